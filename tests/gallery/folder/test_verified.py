import os
import time
from pathlib import Path

import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder import verified as checked
from xmir_cli.gallery.folder.manifest import Manifest, describe
from xmir_cli.gallery.folder.verified import remember, verify_once
from xmir_cli.wire.model import ModelSpec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checked, "_FINE", -1)
    monkeypatch.setattr(checked, "_COARSE", -1)
    place = tmp_path / "a.xmir"
    place.mkdir()
    (place / "a").write_bytes(b"1234")
    return place


def _manifest(folder):
    model = ModelSpec("tiny", "random:0")
    return Manifest("exact", 1, 1, model, {"a": describe(folder / "a")}, None, None)


def _hashed(monkeypatch):
    """The files that are read from here on."""
    read = []

    def watch(path):
        read.append(path.name)
        return describe(path)

    monkeypatch.setattr("xmir_cli.gallery.folder.manifest.describe", watch)
    return read


def test_a_file_that_has_not_changed_is_read_once(folder, monkeypatch):
    manifest, read = _manifest(folder), _hashed(monkeypatch)
    for _ in range(3):
        assert verify_once(folder, "a", manifest) == folder / "a"
    assert read == ["a"]


def test_any_change_is_found_even_when_the_times_are_set_back(folder):
    manifest = _manifest(folder)
    status = (folder / "a").stat()
    verify_once(folder, "a", manifest)
    time.sleep(0.02)  # a tick of the file system's clock
    (folder / "a").write_bytes(b"1235")
    os.utime(folder / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match=r"a: damaged index \(checksum\)"):
        verify_once(folder, "a", manifest)


def test_a_file_in_the_place_of_a_checked_one_is_read(folder):
    manifest = _manifest(folder)
    verify_once(folder, "a", manifest)
    (folder / "b").write_bytes(b"1235")
    (folder / "b").replace(folder / "a")
    with pytest.raises(DataError, match="damaged index"):
        verify_once(folder, "a", manifest)
    with pytest.raises(DataError, match=r"b: damaged index \(missing\)"):
        verify_once(folder, "b", manifest)


def test_another_manifest_asks_for_another_check(folder):
    verify_once(folder, "a", _manifest(folder))
    other = Manifest("exact", 1, 1, ModelSpec("t", "r"), {"a": (4, "ab" * 32)}, None, None)
    with pytest.raises(DataError, match="damaged index"):
        verify_once(folder, "a", other)


def test_a_file_that_was_just_written_is_not_remembered(folder, monkeypatch):
    monkeypatch.setattr(checked, "_FINE", 60_000_000_000)
    monkeypatch.setattr(checked, "_COARSE", 60_000_000_000)
    manifest, read = _manifest(folder), _hashed(monkeypatch)
    for _ in range(2):
        verify_once(folder, "a", manifest)
    assert read == ["a", "a"]
    assert not Path(os.environ["XDG_CACHE_HOME"]).exists()


def test_an_index_just_built_is_not_read_again(folder, monkeypatch):
    manifest = _manifest(folder)
    remember(folder, manifest, time.time_ns())
    read = _hashed(monkeypatch)
    assert verify_once(folder, "a", manifest) == folder / "a"
    assert read == []


@pytest.mark.parametrize("enough", [True, False])
def test_what_may_have_changed_after_it_was_hashed_is_read_again(folder, monkeypatch, enough):
    written = (folder / "a").stat().st_ctime_ns
    monkeypatch.setattr(checked, "_FINE" if written % 1000 else "_COARSE", 1000)
    manifest, read = _manifest(folder), _hashed(monkeypatch)
    remember(folder, manifest, written + (1001 if enough else 1000))
    verify_once(folder, "a", manifest)
    assert read == ([] if enough else ["a"])


def test_without_a_cache_every_opening_checks(folder, monkeypatch):
    Path(os.environ["XDG_CACHE_HOME"]).write_text("no folder")
    manifest, read = _manifest(folder), _hashed(monkeypatch)
    for _ in range(2):
        verify_once(folder, "a", manifest)
    assert read == ["a", "a"]


def test_without_a_home_every_opening_checks(folder, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", nowhere)
    manifest, read = _manifest(folder), _hashed(monkeypatch)
    for _ in range(2):
        verify_once(folder, "a", manifest)
    assert read == ["a", "a"]
