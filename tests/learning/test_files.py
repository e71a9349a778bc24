"""Files whole or not at all; a folder for one run at a time."""

import errno
import gc
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from diffusion_lesson.learning import files
from diffusion_lesson.learning.files import check_writable, one_run, replace_file

HOLDER = """
import sys, time
from pathlib import Path
from diffusion_lesson.learning.files import one_run
with one_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def left(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    for words in ("old", "new"):
        replace_file(tmp_path / "a", lambda path, words=words: path.write_text(words))
    assert left(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "new"


def test_it_syncs_through_a_handle_that_may_write(tmp_path, monkeypatch):
    # Windows refuses a handle opened for reading; its rule is put in force here, for files.
    fcntl = pytest.importorskip("fcntl")
    real = os.fsync

    def windows(handle):
        if (
            os.path.isfile(f"/proc/self/fd/{handle}")
            and fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        ):
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(handle)

    monkeypatch.setattr(os, "fsync", windows)
    replace_file(tmp_path / "a", lambda path: path.write_bytes(b"weights"))


def test_a_disk_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    # Some network disks say so, and a folder may be closed to reading: the file is in its place all the same.
    real = os.fsync

    def files_only(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    replace_file(tmp_path / "a", lambda path: path.write_text("new"))
    assert (tmp_path / "a").read_text() == "new"


def test_the_folder_is_synced_where_it_can_be(tmp_path, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or real(handle))
    replace_file(tmp_path / "a", lambda path: path.write_text("new"))
    expected = [tmp_path / "a", *([tmp_path] if os.name == "posix" else [])]
    assert synced == [path.stat().st_ino for path in expected]


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_whatever_stops_it_the_old_file_stays_and_nothing_half_written(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def half(path):
        path.write_text("ne")
        raise error

    with pytest.raises(type(error)):
        replace_file(tmp_path / "a", half)
    assert left(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match=r"a'$") as caught:
            replace_file(tmp_path / "a", lambda path: path.write_bytes(bytes(5000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.filename == str(tmp_path / "a")
    assert left(tmp_path) == []


def test_what_can_be_written_is_no_error_and_leaves_only_its_folder(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "a.png")
    assert left(tmp_path / "new" / "folder") == []


@pytest.mark.parametrize(
    ("path", "named"),
    [("file/a.png", "file"), ("file/b/a.png", "file"), ("nowhere/a", "nowhere"), ("folder", "folder")],
)
def test_what_cannot_be_written_is_refused_by_the_name_of_what_is_in_the_way(tmp_path, path, named):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError, match=r"^\[Errno ") as caught:
        check_writable(tmp_path / path)
    assert caught.value.filename == str(tmp_path / named)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_is_at_work(tmp_path, holder):
    with pytest.raises(
        ValueError, match=rf"^checkpoint: .* in use by another process \(number {holder.pid} on .*, since 20"
    ):
        one_run(tmp_path).__enter__()


def test_what_a_killed_run_left_is_no_obstacle_and_is_tidied(tmp_path, holder):
    (tmp_path / ".step.safetensors.1.partial").write_text("half")
    holder.kill()
    holder.wait()
    with one_run(tmp_path):
        assert left(tmp_path) == ["lock", "running.json"]
    assert left(tmp_path) == ["lock"]


def test_the_same_process_may_begin_again_while_an_earlier_run_hangs(tmp_path, holder):
    holder.communicate("")

    def run():
        with one_run(tmp_path):
            yield

    first = run()
    next(first)
    second = run()
    next(second)
    first.close()
    assert files._HELD[os.getpid(), os.path.realpath(tmp_path)]
    del second
    gc.collect()
    assert not files._HELD[os.getpid(), os.path.realpath(tmp_path)]
