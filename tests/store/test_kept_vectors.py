"""Vectors that lie in a nameless file: the same numbers, in memory only as they are looked at."""

import io

import numpy as np
import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.kept_vectors import gather_vectors, keep_vectors

ROWS = np.arange(70, dtype=np.float32).reshape(10, 7)


def test_kept_vectors_are_those_of_the_blocks(tmp_path):
    found = keep_vectors([ROWS[:3], ROWS[3:3], ROWS[::-1][:7][::-1]], tmp_path)
    assert isinstance(found, np.memmap)
    assert found.tobytes() == ROWS.tobytes()
    assert not list(tmp_path.iterdir())
    assert keep_vectors([ROWS[:0]]).shape == (0, 7)


def test_few_vectors_are_gathered_in_memory_and_more_in_a_file(monkeypatch):
    blocks = [ROWS[:4], ROWS[4:]]
    monkeypatch.setattr("xmir_cli.store.kept_vectors._HELD", ROWS.nbytes)
    assert not isinstance(gather_vectors(blocks, 10, 7), np.memmap)
    monkeypatch.setattr("xmir_cli.store.kept_vectors._HELD", ROWS.nbytes - 1)
    found = gather_vectors(iter(blocks), 10, 7)
    assert isinstance(found, np.memmap)
    assert found.tobytes() == ROWS.tobytes()


def test_a_disk_too_full_for_vectors_is_named_and_an_error_of_their_source_stays(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell():
                raise OSError(28, "No space left on device")
            return super().write(data[:5])

    def lost():
        yield ROWS
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        keep_vectors(lost())
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(DataError, match="no space left on device; vectors are kept there"):
        keep_vectors([ROWS])
