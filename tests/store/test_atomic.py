"""The old file, the new file, or nothing: whatever happens in between."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xmir_cli.errors import DataError, ExistsError
from xmir_cli.store import atomic, temporaries
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


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").touch()
    (tmp_path / "file").symlink_to("real")
    (tmp_path / "nothing").symlink_to("gone")
    (tmp_path / "folder").symlink_to("there")
    for name in ("file", "nothing"):
        with pytest.raises(ExistsError):
            refuse_existing(tmp_path / name, force=False)
        write(tmp_path / name, b"new")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "y").touch()
    assert names(tmp_path) == ["file", "folder", "nothing", "real", "there"]
    assert not (tmp_path / "folder").is_symlink()
    assert names(tmp_path / "there") == ["x"]
    assert (tmp_path / "real").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_the_systems_names_of_open_files_are_not_replaced(name: str):
    with pytest.raises(DataError, match="so it is not replaced"):
        write(Path(name), b"x")
    with pytest.raises(DataError, match="so it is not replaced"):
        refuse_existing(Path(name), force=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_usual_umask")
def test_what_is_replaced_keeps_its_mode_and_what_is_new_has_the_umasks(tmp_path: Path):
    write(tmp_path / "new", b"x")
    assert mode(tmp_path / "new") == 0o640
    for bits in (0o600, 0o666, 0o444, 0o4755):
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(bits)
        write(tmp_path / "old", b"x")
        assert mode(tmp_path / "old") == bits & 0o777
    for bits in (0o750, 0o700):
        with atomic_folder(tmp_path / "d") as folder:
            assert mode(folder) == 0o700
            (folder / "a").touch()
        assert mode(tmp_path / "d") == bits
        assert mode(tmp_path / "d" / "a") == (0o640 if bits == 0o750 else 0o600)
        (tmp_path / "d").chmod(0o700)
        (tmp_path / "d" / "a").chmod(0o600)


def test_nobody_else_can_read_what_is_being_written(tmp_path: Path):
    (tmp_path / "a").touch(0o600)
    with atomic_file(tmp_path / "a") as file:
        file.write(b"x")
        [temporary] = [name for name in names(tmp_path) if name != "a"]
        assert mode(tmp_path / temporary) == 0o600


def test_temporary_names_are_new_each_time(tmp_path: Path):
    found = set()
    for _ in range(9):
        with atomic_file(tmp_path / "a"), atomic_folder(tmp_path / "d"):
            found.update(names(tmp_path))
    assert len(found - {"a", "d"}) == 18


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
    temporaries._due.clear()  # another run looks through the folder at once
    with atomic_folder(tmp_path / "d"):  # what one could not remove goes with the next run
        pass
    assert names(tmp_path) == ["d"]


def test_existing_outputs_need_force(tmp_path: Path):
    refuse_existing(tmp_path / "a", force=False)
    (tmp_path / "a").touch()
    refuse_existing(tmp_path / "a", force=True)
    with pytest.raises(ExistsError, match="a: exists already"):
        refuse_existing(tmp_path / "a", force=False)


@pytest.mark.parametrize("kind", ["file", "hard link", "link", "folder", "pipe"])
def test_what_somebody_put_under_a_name_of_earlier_versions_is_never_written(
    tmp_path: Path, kind: str
):
    key = hashlib.sha256(b"d").hexdigest()[:16]
    shared = tmp_path / f".xmir-{key}.tmp"
    (tmp_path / "precious").write_text("old")
    {
        "file": shared.touch,
        "hard link": lambda: shared.hardlink_to(tmp_path / "precious"),
        "link": lambda: shared.symlink_to(tmp_path / "precious"),
        "folder": shared.mkdir,
        "pipe": lambda: os.mkfifo(shared),
    }[kind]()
    write(tmp_path / "d", b"new")
    assert (tmp_path / "d").read_bytes() == b"new"
    (tmp_path / "d").unlink()
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert names(tmp_path / "d") == ["x"]
    assert (tmp_path / "precious").read_text() == "old"


def test_what_nobody_works_on_is_cleared_away_and_nothing_else(tmp_path: Path):
    held, descriptor = temporaries.make_folder(tmp_path / "d")
    kept = [".xmir-mine.tmp", ".xmir-0123456789abcdef-x.tmp", "a.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    for end in ("tmp", "old"):
        temporaries.aside(tmp_path / "e", end).mkdir()
        temporaries.aside(tmp_path / "e", end).touch()
    temporaries._due.clear()
    write(tmp_path / "d", b"x")
    os.close(descriptor)
    assert names(tmp_path) == sorted(["d", held.name, *kept])


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "old").touch()
    monkeypatch.setattr(atomic, "_exchange", lambda _one, _other: False)
    rename, calls = Path.rename, []

    def fail_third(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_third)
    with pytest.raises(OSError, match="Input/output"), atomic_folder(tmp_path / "d") as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]
