"""The old file, the new file, or nothing: whatever happens in between."""

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xmir_cli.errors import DataError, ExistsError
from xmir_cli.store import atomic
from xmir_cli.store.atomic import atomic_file, atomic_folder, refuse_existing


def write(path: Path, data: bytes) -> None:
    with atomic_file(path) as file:
        file.write(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_contents_take_the_name(tmp_path: Path):
    write(tmp_path / "a", b"old")
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]):
    write(tmp_path / "a", b"old")
    with pytest.raises(error), atomic_file(tmp_path / "a") as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_is_named_after_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "a", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "a", b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_folder_that_is_not_there_is_named_by_the_output(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "gone" / "a", b"x")
    assert caught.value.filename == str(tmp_path / "gone" / "a")


def test_errors_about_other_files_keep_their_name(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as caught, atomic_file(tmp_path / "a"):
        (tmp_path / "input").read_bytes()
    assert caught.value.filename == str(tmp_path / "input")


def test_a_link_keeps_pointing_at_what_is_replaced(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_pipes_devices_and_folders_are_not_replaced(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "fifo", tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(DataError, match="not a regular file, so it is not replaced"):
            write(path, b"x")
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match="not a folder, so it is not replaced"),
        atomic_folder(tmp_path / "file"),
    ):
        pass


def test_names_of_full_length_can_be_written(tmp_path: Path):
    write(tmp_path / ("x" * 255), b"x")
    assert names(tmp_path) == ["x" * 255]


def test_two_writers_at_once_do_not_mix(tmp_path: Path):
    with atomic_file(tmp_path / "a") as first:
        first.write(b"first" * 1000)
        with atomic_file(tmp_path / "a") as second:
            second.write(b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "a").read_bytes() == b"first" * 1000
    assert names(tmp_path) == ["a"]


KILLED = """
import sys, time
from pathlib import Path
from xmir_cli.store.atomic import atomic_file, atomic_folder
with atomic_folder(Path("d")) as folder, atomic_file(Path("a")) as file:
    (folder / "half").write_bytes(b"half" * 1000)
    file.write(b"half" * 100_000)
    print("now", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path):
    write(tmp_path / "a", b"old")
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    write(tmp_path / "a", b"new")
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert names(tmp_path) == ["a", "d"]
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path / "d") == ["x"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "d") as folder:
            (folder / name).write_text(name)
    assert names(tmp_path / "d") == ["new"]
    assert names(tmp_path) == ["d"]


def test_where_folders_cannot_change_places_the_old_one_steps_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(atomic, "_exchange", lambda _one, _other: False)
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "d") as folder:
            (folder / name).write_text(name)
    assert names(tmp_path / "d") == ["new"]
    assert names(tmp_path) == ["d"]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "d") as folder:  # noqa: PT012
        (folder / "half").touch()
        raise RuntimeError
    assert names(tmp_path / "d") == ["old"]
    assert names(tmp_path) == ["d"]


def test_two_folders_at_once_do_not_mix(tmp_path: Path):
    with atomic_folder(tmp_path / "d") as first:
        (first / "first").touch()
        with atomic_folder(tmp_path / "d") as second:
            (second / "second").touch()
    assert names(tmp_path / "d") == ["first"]
    assert names(tmp_path) == ["d"]


def test_many_folders_at_once_are_all_written_and_the_last_one_is_whole(tmp_path: Path):
    def write_some(number: int) -> None:
        for _ in range(40):
            with atomic_folder(tmp_path / "d") as folder:
                for name in "ab":
                    (folder / name).write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_some, range(4)))
    assert names(tmp_path / "d") == ["a", "b"]
    assert (tmp_path / "d" / "a").read_text() == (tmp_path / "d" / "b").read_text()
    with atomic_folder(tmp_path / "d"):  # what one could not remove goes with the next run
        pass
    assert names(tmp_path) == ["d"]


def test_existing_outputs_need_force(tmp_path: Path):
    refuse_existing(tmp_path / "a", force=False)
    (tmp_path / "a").touch()
    refuse_existing(tmp_path / "a", force=True)
    with pytest.raises(ExistsError, match="a: exists already"):
        refuse_existing(tmp_path / "a", force=False)


@pytest.mark.parametrize("kind", ["file", "link", "folder", "full folder"])
def test_whatever_has_the_temporary_name_both_are_written(tmp_path: Path, kind: str):
    shared = atomic._shared(tmp_path / "d")
    if kind == "file":
        shared.write_text("old")
    elif kind == "link":
        shared.symlink_to(tmp_path / "elsewhere")
    else:
        (shared / "a" if kind == "full folder" else shared).mkdir(parents=True)
    write(tmp_path / "d", b"new")
    assert (tmp_path / "d").read_bytes() == b"new"
    (tmp_path / "d").unlink()
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert names(tmp_path / "d") == ["x"]
    assert not (tmp_path / "elsewhere").exists()


def test_an_old_folder_that_nobody_works_on_is_cleared_away(tmp_path: Path):
    shared = atomic._shared(tmp_path / "d")
    left, fresh, held = (shared.with_name(f"{shared.stem}-{name}.tmp") for name in "abc")
    for folder in (left, fresh, held):
        folder.mkdir()
    for folder in (left, held):
        os.utime(folder, (0, 0))
    lock = atomic._hold(held)
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert lock is not None
    os.close(lock)
    assert names(tmp_path) == sorted(["d", fresh.name, held.name])


def test_an_interrupted_run_leaves_a_folder_that_may_be_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "old").touch()

    def interrupted(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_remove", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "d") as folder:
        (folder / "new").touch()
    assert names(tmp_path / "d") == ["new"]
    assert names(atomic._shared(tmp_path / "d")) == ["old"]
