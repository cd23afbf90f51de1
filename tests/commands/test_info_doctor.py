"""`xmir info` without a file: what xmir finds on the machine."""

import importlib.metadata
import os
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from xmir_cli.commands.info import Info
from xmir_cli.doctor import caches, extras, machine, speed
from xmir_cli.doctor.rows import table_rows
from xmir_cli.errors import ModelError, SettingError
from xmir_cli.table import count_cells

ROOT = Path(__file__).parents[2]
PARTS = ["devices", "versions", "extras", "threads", "caches", "speed"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(speed, "SECONDS", 0.0)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch):
    """Packages as if installed in these versions; None: not at all."""

    def pretend(**versions: str | None) -> None:
        monkeypatch.setattr(extras, "find_version", lambda name: versions.get(name.lower(), "9999"))

    return pretend


def test_a_pipe_gets_one_record(xmir, monkeypatch):
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    result = xmir("info")
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    assert list(record) == ["schema", *PARTS]
    assert record["schema"] == "xmir.doctor/1"
    assert record["devices"]["cpu"]["cores"] == os.cpu_count()
    assert record["versions"]["torch"] == importlib.metadata.version("torch")
    assert record["versions"]["python"] == sys.version.split()[0]
    assert record["threads"]["torch"] == torch.get_num_threads()
    assert record["threads"]["MKL_NUM_THREADS"] == "3"
    assert record["speed"]["failed"] is None
    assert record["speed"]["images_per_second"] > 0


def test_a_table_has_a_block_for_each_part(xmir):
    result = xmir("info", "--format", "table")
    assert result.code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["name", "value", "note"]
    assert [line.split()[1] for line in lines if line.startswith("part ")] == PARTS
    assert "{" not in result.stdout
    assert "None" not in result.stdout


def test_no_command_is_cut_in_eighty_columns(xmir, lacking, monkeypatch, tmp_path: Path):
    lacking(**dict.fromkeys(("transformers", "psycopg", "pydicom", "jinja2", "ray")))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path.parent / ("long" * 15) / ("names" * 9)))
    monkeypatch.setattr("xmir_cli.printer.find_width", lambda: 80)
    lines = xmir("info", "--format", "table").stdout.splitlines()
    assert max(map(count_cells, lines)) <= 80
    for name in ("hf", "postgres", "dicom", "report", "ray", "dev", "bench"):
        shown = any(line.rstrip().endswith(f"pip install 'xmir[{name}]'") for line in lines)
        assert shown == (name != "bench")


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {name: list(needed) for name, needed in extras.EXTRAS.items()} == project[
        "optional-dependencies"
    ]
    always = [each.partition(">=")[0] for each in project["dependencies"]]
    assert [*extras.NEEDED] == [each for each in always if each != "typer"]


def test_an_extra_tells_what_lacks_and_what_is_too_old(lacking):
    lacking(transformers="5.23.9", pgvector=None, timm="1.0.31", ray="2.60.0rc1", ruff="0.17.6")
    found = extras.find_extras()
    assert found["hf"] == {
        "state": "too old",
        "packages": {"transformers": "5.23.9", "huggingface-hub": "9999"},
        "install": "pip install 'xmir[hf]'",
    }
    assert (found["postgres"]["state"], found["postgres"]["packages"]["pgvector"]) == (
        "missing",
        None,
    )
    for name in ("timm", "ray", "dev"):
        assert (found[name]["state"], found[name]["install"]) == ("installed", None)


def test_a_cache_tells_its_size_without_what_links_point_to(tmp_path: Path, monkeypatch):
    folder = tmp_path / ".cache" / "huggingface" / "hub" / "models--a--b"
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "one").write_bytes(bytes(5000))
    (folder / "link").symlink_to(folder / "blobs" / "one")
    found = caches.find_caches()
    assert found["hf hub"]["path"] == "~/.cache/huggingface/hub"
    assert 5000 <= found["hf hub"]["bytes"] < 10000
    assert found["torch hub"] == {
        "path": "~/.cache/torch/hub",
        "exists": False,
        "bytes": 0,
        "writable": True,
    }
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    assert not caches.find_caches()["torch hub"]["writable"]
    assert [each.name for each in (tmp_path / ".cache").iterdir()] == ["huggingface"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_not_be_written_says_so(tmp_path: Path):
    (tmp_path / ".cache").mkdir(mode=0o500)
    assert not caches.find_caches()["torch hub"]["writable"]


def test_cuda_devices_tell_their_memory(monkeypatch):
    class Device:
        name, total_memory = "Card", 80 * 2**30

    def taken(number):
        raise RuntimeError(f"device {number} is busy")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Device)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 80 * 2**30))
    assert machine.find_devices()["cuda:0"] == {
        "name": "Card",
        "memory": 80 * 2**30,
        "free": 2**30,
    }
    monkeypatch.setattr(torch.cuda, "mem_get_info", taken)
    assert machine.find_devices()["cuda:0"]["free"] is None


def test_a_speed_that_cannot_be_measured_says_why(xmir, monkeypatch):
    def fail(*_, **__):
        raise ModelError("no network\nat all")

    monkeypatch.setattr(speed, "load_embedder", fail)
    result = xmir("info")
    assert result.code == 0
    (record,) = result.records()
    assert (record["speed"]["images_per_second"], record["speed"]["failed"]) == (None, "no network")
    assert list(table_rows(record))[-1]["note"] == "no network"


def test_flags_of_files_need_a_file(xmir, tmp_path: Path):
    with pytest.raises(SettingError, match="only with `files`"):
        Info(verify=True)
    result = xmir("info", "--verify")
    assert result.code == 2
    assert "--verify: only with FILE..." in result.stderr
    result = xmir("info", tmp_path, "--format", "table")
    assert result.code == 2
    assert "--format: table only without FILE..." in result.stderr


def test_the_list_has_a_line_a_key(xmir):
    result = xmir("info", "--format", "list")
    assert result.code == 0
    assert "devices.cpu.cores" in result.stdout


def test_nothing_secret_is_told(xmir, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("XMIR_INDEX", "postgresql://user:hidden@host/base")
    for form in ("jsonl", "table", "list"):
        told = xmir("info", "--format", form).stdout
        assert "secret" not in told
        assert "hidden" not in told
        assert str(tmp_path) not in told
