"""Two runs that make one output: the second says so."""

import os
from pathlib import Path

import pytest

from xmir_cli.errors import ExistsError
from xmir_cli.store.turns import hold


def test_a_second_run_of_the_output_says_so(tmp_path: Path):
    output = tmp_path / "a.parquet"
    with hold(output):
        with (
            pytest.raises(ExistsError, match=r"a\.parquet: another run is working on it"),
            hold(output),
        ):
            pass
        with hold(tmp_path / "b.parquet"):
            pass
    assert not list(tmp_path.iterdir())
    with hold(output):
        pass


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
