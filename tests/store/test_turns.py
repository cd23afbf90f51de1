"""Two runs that continue one output: the second says so."""

import os
from pathlib import Path

import pytest

from xmir_cli.errors import ExistsError
from xmir_cli.store.turns import hold


def test_a_second_run_that_would_continue_the_output_says_so(tmp_path: Path):
    output = tmp_path / "a.parquet"
    with hold(output, resume=False):
        with (
            pytest.raises(ExistsError, match=r"a\.parquet: another run is working on it"),
            hold(output, resume=True),
        ):
            pass
        with hold(output, resume=False), hold(tmp_path / "b.parquet", resume=True):
            pass
    assert not list(tmp_path.iterdir())
    with hold(output, resume=True):
        pass


def test_a_killed_run_keeps_nothing_from_its_next(tmp_path: Path):
    with hold(tmp_path / "a", resume=True):
        [lock] = tmp_path.iterdir()
    lock.touch()
    with hold(tmp_path / "a", resume=True):
        pass
    assert not list(tmp_path.iterdir())


def test_where_no_lock_can_be_had_the_run_goes_on(tmp_path: Path):
    with hold(tmp_path / "gone" / "a", resume=True), hold(None, resume=False):
        pass
    with hold(tmp_path / "a", resume=True):
        [lock] = tmp_path.iterdir()
    (tmp_path / "precious").write_text("old")
    lock.symlink_to("precious")
    with hold(tmp_path / "a", resume=True):
        pass
    assert lock.is_symlink()
    assert (tmp_path / "precious").read_text() == "old"
    lock.unlink()
    os.mkfifo(lock)
    with hold(tmp_path / "a", resume=True):
        pass
