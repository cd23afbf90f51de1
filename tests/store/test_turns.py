"""Two runs that make one output: the second waits for the first, and says so."""

import os
import threading
from pathlib import Path

from xmir_cli.store.turns import hold, is_held


def test_a_second_run_of_the_output_begins_when_the_first_has_ended(tmp_path: Path, capsys):
    output = tmp_path / "a.parquet"
    first = hold(output)
    first.__enter__()
    order = []

    def end() -> None:
        order.append("first")
        first.__exit__(None, None, None)

    with hold(tmp_path / "b.parquet"):  # another output
        assert is_held(output)
    assert not is_held(tmp_path / "b.parquet")
    threading.Timer(0.5, end).start()
    with hold(output):
        order.append("second")
    assert order == ["first", "second"]
    assert capsys.readouterr().err == (
        f"xmir: note: {output}: another run is working on it; this one waits for its end\n"
    )
    assert not list(tmp_path.iterdir())
    assert not is_held(output)


def test_a_killed_run_keeps_nothing_from_its_next(tmp_path: Path):
    with hold(tmp_path / "a"):
        [lock] = tmp_path.iterdir()
    lock.touch()
    with hold(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_where_no_lock_can_be_had_the_run_goes_on(tmp_path: Path):
    with hold(tmp_path / "gone" / "a"), hold(None):
        pass
    with hold(tmp_path / "a"):
        [lock] = tmp_path.iterdir()
    (tmp_path / "precious").write_text("old")
    lock.symlink_to("precious")
    with hold(tmp_path / "a"):
        pass
    assert lock.is_symlink()
    assert (tmp_path / "precious").read_text() == "old"
    lock.unlink()
    os.mkfifo(lock)
    with hold(tmp_path / "a"):
        pass
