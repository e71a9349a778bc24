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


ODD_HEADERS = {
    "dripping": {},
    "endless": {},
    "no length": {},
    "cut": {},
    "no number": {"Content-Length": "much"},
    "called packed": {"Content-Length": str(len(CONTENT)), "Content-Encoding": "gzip"},
    "called x-gzip": {
        "Content-Length": str(len(CONTENT)),
        "Content-Encoding": "x-gzip",
        "Content-Type": "text/plain",
    },
}


class Mirrors:
    """A server whose first path element says how it answers; remembers what it was asked for."""

    def __init__(self):
        self.asked, self.during, self.over = [], lambda: None, threading.Event()
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                kind = self.path.split("/")[1]
                mirrors.asked.append(kind)
                mirrors.headers, mirrors.path = self.headers, self.path
                if kind == "missing":
                    return self.send_error(404)
                if kind == "flaky" and mirrors.asked.count("flaky") < 2:
                    return self.send_error(503)
                body = b"<html>log in first</html>" if kind == "wrong" else CONTENT
                if kind == "silent":
                    mirrors.over.wait(30)
                    return None
                if kind == "empty":
                    body = b""
                self.send_response(200)
                if kind in ODD_HEADERS:
                    for name, value in ODD_HEADERS[kind].items():
                        self.send_header(name, value)
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if kind == "dripping":
                    while not mirrors.over.wait(0.01):
                        self.wfile.write(CONTENT[:1])
                if kind == "endless":
                    while not mirrors.over.is_set():
                        self.wfile.write(CONTENT)
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                mirrors.during()
                if kind not in ("truncated", "cut"):
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
    served.over.set()
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
    [
        ("truncated", "IncompleteRead"),
        ("wrong", "what begins with b'<html>log in"),
        ("missing", "404"),
    ],
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


@pytest.mark.parametrize("kind", ["no length", "no number", "called packed", "called x-gzip"])
def test_odd_headers_do_not_matter(mirrors, kind):
    mirrors.use(kind, "missing")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("bad", "limit", "reason"),
    [
        ("dripping", {"_PATIENCE": 0.1}, "too slow: [0-9]+ bytes in 0 seconds"),
        ("silent", {"_TIMEOUT": 0.2}, "Read timed out"),
        ("endless", {"LIMIT": 500_000}, "more than 500,000 bytes came"),
        ("empty", {}, "what came is another file: its sha256 is e3b0c442"),
        ("cut", {}, "what came is another file: its sha256 is"),
    ],
)
def test_a_bad_mirror_is_given_up_and_the_next_asked(mirrors, tmp_path, monkeypatch, bad, limit, reason):
    for name, value in limit.items():
        monkeypatch.setattr(downloads, name, value)
    mirrors.use(bad, "whole")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    (tmp_path / LABELS).unlink()
    mirrors.use(bad)
    with pytest.raises(OSError, match=reason) as error:
        downloads.fetch(LABELS)
    assert str(error.value).startswith(f"{tmp_path / LABELS}: not there, and could not be downloaded:")
    assert files_in(tmp_path) == []


def test_several_processes_may_ask_at_once(mirrors, tmp_path):
    program = (
        "import sys; from diffusion_lesson.learning import downloads\n"
        "downloads._MIRRORS['mnist'] = (sys.argv[1],); downloads._CHECKSUMS[sys.argv[2]] = sys.argv[3]\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(downloads.fetch(sys.argv[2]))"
    )
    checksum = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    command = [sys.executable, "-c", program, mirrors.url("whole"), LABELS, checksum]
    meeting = threading.Barrier(3)  # all are halfway through before one is done
    mirrors.during = lambda: meeting.wait(30)
    several = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(3)
    ]
    for each in several:
        assert each.stdout.readline() == b"ready\n"
    for each in several:
        each.stdin.write(b"go\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0].decode().strip() for each in several]
    assert said == [str(tmp_path / LABELS)] * 3
    assert (tmp_path / LABELS).read_bytes() == CONTENT
    assert files_in(tmp_path) == [Path(LABELS).name]


def test_a_file_that_another_process_put_there_meanwhile_is_taken(mirrors, tmp_path):
    def put():
        (tmp_path / LABELS).write_bytes(CONTENT)

    mirrors.during = put
    mirrors.use("truncated", "missing")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    assert mirrors.asked == ["truncated"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX's limits")
def test_a_full_disk_is_said_at_once_and_leaves_nothing(mirrors, tmp_path):
    program = (
        "import resource, sys; from diffusion_lesson.learning import downloads\n"
        "downloads._MIRRORS['mnist'] = (sys.argv[1],) * 2\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: downloads.fetch(sys.argv[2])\n"
        "except OSError as error: print(error)"
    )
    command = [sys.executable, "-c", program, mirrors.url("whole"), LABELS]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert said.startswith(f"{tmp_path / LABELS}: can't be written (")
    assert "DIFFUSION_LESSON_DATA names another folder" in said
    assert mirrors.asked == ["whole"], "the other mirrors are not at fault"
    assert files_in(tmp_path) == []


def test_what_a_killed_process_left_is_removed_when_it_is_old(mirrors, tmp_path):
    mirrors.use("whole")
    young, old, other = (tmp_path / f"{LABELS}.{name}" for name in ("1.partial", "2.partial", "3.bak"))
    young.parent.mkdir()
    for file in (young, old, other):
        file.write_bytes(b"")
    for file in (old, other):
        os.utime(file, (0, 0))
    downloads.fetch(LABELS)
    assert files_in(tmp_path) == [Path(LABELS).name, young.name, other.name]


def test_others_may_read_the_file_as_any_other(mirrors, tmp_path):
    (tmp_path / "any").write_text("")
    mirrors.use("whole")
    assert downloads.fetch(LABELS).stat().st_mode == (tmp_path / "any").stat().st_mode


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


def test_a_home_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", "~nobody-of-this-name/data")
    with pytest.raises(OSError, match=r"^~nobody-of-this-name.data: there is no such home"):
        downloads.fetch(LABELS)


@pytest.mark.parametrize("value", [None, ""])
def test_the_users_cache_folder_is_the_usual_place(mirrors, tmp_path, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("DIFFUSION_LESSON_DATA")
    else:
        monkeypatch.setenv("DIFFUSION_LESSON_DATA", value)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    mirrors.use("whole")
    assert downloads.fetch(LABELS) == tmp_path / "cache" / "diffusion-lesson" / LABELS


@pytest.mark.parametrize("first", [b"\xff\xd8", b"\x1f\x8b"])
def test_a_photograph_comes_from_its_dogs_folder_and_begins_as_one(mirrors, tmp_path, monkeypatch, first):
    file, content = "dreambooth/dog8/03.jpg", first + os.urandom(1000)
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", content)
    monkeypatch.setitem(downloads._CHECKSUMS, file, "sha256:" + hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(downloads._MIRRORS, "dreambooth", (mirrors.url("whole"),))
    if first == b"\xff\xd8":
        assert downloads.fetch(file) == tmp_path / file
        assert (tmp_path / file).read_bytes() == content
        assert mirrors.path == "/whole/dog8/03.jpg"
    else:
        with pytest.raises(OSError, match="not the file, but what begins with"):
            downloads.fetch(file)
        assert not files_in(tmp_path)


def test_every_official_file_has_mirrors():
    for file in downloads._CHECKSUMS:
        assert len(downloads._MIRRORS[file.split("/")[0]]) >= 2
    for mirror in sum(downloads._MIRRORS.values(), ()):
        assert mirror.startswith("https://")
        assert mirror.endswith("/")
