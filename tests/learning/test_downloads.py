"""Downloads, from servers on this machine: the official file or a named error, and nothing left over."""

import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest
from tqdm import tqdm

from diffusion_lesson.learning import downloads
from diffusion_lesson.learning.data import mnist

LABELS = "mnist/t10k-labels-idx1-ubyte.gz"
CONTENT = gzip.compress(os.urandom(300_000))  # a few chunks


class Mirrors:
    """A server whose first path element says how it answers; remembers what it was asked for."""

    def __init__(self):
        self.asked, self.during = [], lambda: None
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                kind = self.path.split("/")[1]
                mirrors.asked.append(kind)
                mirrors.headers = self.headers
                if kind == "missing":
                    return self.send_error(404)
                if kind == "flaky" and mirrors.asked.count("flaky") < 2:
                    return self.send_error(503)
                body = b"<html>log in first</html>" if kind == "wrong" else CONTENT
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                mirrors.during()
                if kind != "truncated":
                    self.wfile.write(body[len(body) // 2 :])
                return None

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, kind):
        return f"http://127.0.0.1:{self.server.server_port}/{kind}/"


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(downloads._CHECKSUMS, LABELS, "sha256:" + hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    served = Mirrors()

    def use(*kinds):
        monkeypatch.setitem(downloads._MIRRORS, "mnist", tuple(served.url(kind) for kind in kinds))

    served.use = use
    yield served
    served.server.shutdown()
    served.server.server_close()


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_kept(mirrors, tmp_path):
    mirrors.use("whole")
    path = downloads.fetch(LABELS)
    assert path == tmp_path / LABELS
    assert path.read_bytes() == CONTENT
    assert downloads.fetch(LABELS) == path
    assert mirrors.asked == ["whole"], "the second time it comes from the disk"
    assert mirrors.headers["Accept-Encoding"] == "identity"
    assert files_in(tmp_path) == [Path(LABELS).name]


@pytest.mark.parametrize("bad", ["truncated", "wrong", "missing"])
def test_the_next_mirror_stands_in_for_a_bad_one(mirrors, tmp_path, bad):
    mirrors.use(bad, "whole")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    assert mirrors.asked == [bad, "whole"]
    assert files_in(tmp_path) == [Path(LABELS).name]


def test_a_mirror_is_tried_again(mirrors):
    mirrors.use("flaky")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    assert mirrors.asked == ["flaky", "flaky"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("truncated", "IncompleteRead"), ("wrong", "does not match the known hash"), ("missing", "404")],
)
def test_a_download_that_fails_everywhere_leaves_nothing_and_says_why(mirrors, tmp_path, bad, reason):
    mirrors.use(bad, "missing")
    with pytest.raises(OSError, match=reason) as error:
        downloads.fetch(LABELS)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / LABELS}: not there, and could not be downloaded:")
    assert mirrors.url(bad) in message
    assert mirrors.url("missing") in message
    assert "DIFFUSION_LESSON_DATA" in message
    assert files_in(tmp_path) == []


def test_a_half_written_file_never_has_the_final_name(mirrors, tmp_path):
    seen = []
    mirrors.during = lambda: seen.append(Path(LABELS).name in files_in(tmp_path))
    mirrors.use("truncated", "whole")
    downloads.fetch(LABELS)
    assert seen == [False, False]


def test_an_interrupted_download_leaves_nothing(mirrors, tmp_path, monkeypatch):
    def interrupt(self, n=1):
        assert any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()), "something is written"
        raise KeyboardInterrupt

    mirrors.use("whole")
    monkeypatch.setattr(tqdm, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        downloads.fetch(LABELS)
    assert files_in(tmp_path) == []


def test_a_killed_download_starts_over(mirrors, tmp_path):
    halfway, done = threading.Event(), threading.Event()
    mirrors.during = lambda: (halfway.set(), done.wait(30))
    program = (
        "import sys; from diffusion_lesson.learning import downloads\n"
        "downloads._MIRRORS['mnist'] = (sys.argv[1],)\n"
        "downloads.fetch(sys.argv[2])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, mirrors.url("whole"), LABELS], stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        assert halfway.wait(60)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        done.set()
    assert not (tmp_path / LABELS).exists()
    mirrors.during = lambda: None
    mirrors.use("whole")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT


def test_without_network_and_cache(monkeypatch, mirrors, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setitem(downloads._MIRRORS, "mnist", (f"http://127.0.0.1:{port}/mnist/",))
    with pytest.raises(
        OSError, match=rf"127.0.0.1:{port}/mnist/t10k-images(.|\n)*Connect to the network"
    ) as error:
        mnist("test")
    assert str(error.value).startswith(str(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"))


def test_a_cached_file_with_a_wrong_checksum_is_named_and_kept(mirrors, tmp_path):
    mirrors.use("whole")
    path = tmp_path / LABELS
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=r"its sha256 is [0-9a-f]{64}; expected [0-9a-f]{64}. Delete it") as error:
        downloads.fetch(LABELS)
    assert str(error.value).startswith(f"{path}: ")
    assert path.read_bytes() == CONTENT[:-1]
    assert mirrors.asked == []


def test_a_folder_that_cannot_be_written_is_a_reason(mirrors, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path / "file"))
    mirrors.use("whole")
    with pytest.raises(OSError, match="Not a directory"):
        downloads.fetch(LABELS)
    assert mirrors.asked == []


@pytest.mark.parametrize("value", [None, ""])
def test_the_users_cache_folder_is_the_usual_place(mirrors, tmp_path, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("DIFFUSION_LESSON_DATA")
    else:
        monkeypatch.setenv("DIFFUSION_LESSON_DATA", value)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    mirrors.use("whole")
    assert downloads.fetch(LABELS) == tmp_path / "cache" / "diffusion-lesson" / LABELS


def test_every_official_file_has_mirrors():
    for file in downloads._CHECKSUMS:
        assert len(downloads._MIRRORS[file.split("/")[0]]) >= 2
    for mirror in sum(downloads._MIRRORS.values(), ()):
        assert mirror.startswith("https://")
        assert mirror.endswith("/")
