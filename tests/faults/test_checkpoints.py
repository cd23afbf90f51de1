"""The fault table's rows about checkpoints: no code runs, nothing is believed, no traceback."""

import io
import json
import os
import pickle
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

STATE = {
    "0.weight": torch.ones(8, 3, 3, 3), "0.bias": torch.ones(8),
    "1.weight": torch.ones(8), "1.bias": torch.ones(8),
    "1.running_mean": torch.ones(8), "1.running_var": torch.ones(8),
    "3.weight": torch.ones(16, 8, 3, 3), "3.bias": torch.ones(16),
    "4.weight": torch.ones(16), "4.bias": torch.ones(16),
    "4.running_mean": torch.ones(16), "4.running_var": torch.ones(16),
}  # fmt: skip


class Payload:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("touch PWNED",))


def saved(value: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def rezipped(data: bytes, change: Callable[[str, bytes], bytes], how: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", how) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


def safetensors(header: object, body: bytes = b"") -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def other(name: str, tensor: Tensor) -> bytes:
    return saved({**STATE, name: tensor})


BOMB = {**STATE, "more": torch.zeros(5_000_000)}
ENTRY = {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4 * 10**18]}
HOSTILE = {
    "pickle": lambda: pickle.dumps(Payload()),
    "old pickle": lambda: pickle.dumps(Payload(), 0),
    "pickle in torch": lambda: saved(Payload()),
    "pickle among tensors": lambda: saved({**STATE, "x": Payload()}),
    "legacy pickle": lambda: saved(Payload(), _use_new_zipfile_serialization=False),
    "module": lambda: saved(nn.Linear(2, 2)),
    "tar": tar,
    "HTML": lambda: b"<!doctype html>",
    "LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\n",
    "empty": lambda: b"",
    "cut": lambda: saved(STATE)[:5000],
    "cut in a tensor": lambda: saved(STATE)[:-300],
    "bomb": lambda: rezipped(saved(BOMB), lambda _, data: data, zipfile.ZIP_DEFLATED),
    "byte order": lambda: rezipped(
        saved(STATE),
        lambda name, data: b"big" if name.endswith("byteorder") else data,
        zipfile.ZIP_STORED,
    ),
    "stride 0": lambda: other("0.weight", torch.zeros(1).expand(10**6, 10**6)),
    "sparse": lambda: other("0.weight", torch.zeros(8, 3, 3, 3).to_sparse()),
    "complex": lambda: other("0.weight", torch.zeros(8, 3, 3, 3, dtype=torch.complex64)),
    "NaN": lambda: other("0.bias", torch.full((8,), float("nan"))),
    "missing": lambda: saved({name: STATE[name] for name in ("0.weight", "0.bias")}),
    "another shape": lambda: other("0.bias", torch.zeros(9)),
    "list": lambda: saved([torch.zeros(2)]),
    "no tensors": lambda: saved({"a": "b"}),
    "promise": lambda: safetensors({"a": ENTRY}),
    "endless header": lambda: struct.pack("<Q", 2**63) + b"{",
    "negative": lambda: safetensors({"a": {**ENTRY, "shape": [-1], "data_offsets": [0, -4]}}),
    "nested": lambda: struct.pack("<Q", 100_001) + b"{" + b"[" * 100_000,
}  # fmt: skip


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_checkpoint_that_is_none(xmir, tiny_arch: str, kind: str):
    Path("evil.pt").write_bytes(HOSTILE[kind]())
    weights = ("--arch", tiny_arch, "--weights", "evil.pt", "--device", "cpu")
    result = xmir("embed", "d", *weights, "-o", "b.parquet")
    assert (result.code, result.stdout) == (6, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"xmir: error: {Path('evil.pt').absolute()}: ")
    assert len(lines) <= 2
    assert all(line.startswith("xmir: ") for line in lines)
    assert "weights_only" not in result.stderr
    assert not Path("PWNED").exists()
    assert not Path("b.parquet").exists()


@pytest.mark.usefixtures("world")
def test_honest_layouts_are_read(xmir, tiny_arch: str):
    Path("zip.pt").write_bytes(saved(STATE))
    Path("legacy.pt").write_bytes(saved(STATE, _use_new_zipfile_serialization=False))
    for name in ("zip.pt", "legacy.pt"):
        weights = ("--arch", tiny_arch, "--weights", name, "--device", "cpu")
        assert xmir("embed", "d", *weights, "--force", "-o", "b.parquet").code == 0


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("scheme", ["https://", "file://", "hf-hub:", "s3://"])
def test_model_files_by_url_are_refused(xmir, tiny_arch: str, scheme: str, monkeypatch):
    def dial(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", dial)
    place = f"{scheme}example.org/evil.pt"
    for flags in (("--arch", tiny_arch, "--weights", place), ("--model", place), ("--arch", place)):
        result = xmir("embed", "d", *flags, "--device", "cpu", "-o", "b.parquet")
        assert (result.code, len(result.stderr.splitlines())) == (6, 1)
    record = json.loads(Path("retrieval.jsonl").read_text().splitlines()[0])
    record["model"]["weights"] = place
    result = xmir("saliency", "-", "--device", "cpu", stdin=json.dumps(record))
    assert result.code == 6


def test_code_that_a_record_or_a_checkpoint_names_does_not_run(xmir, tiny_arch: str):
    Image.new("L", (40, 40), 90).save("a.png")
    made = xmir("saliency", "--query", "a.png", "--image", "a.png", "--arch", tiny_arch,
                "--weights", "random:0", "--method", "uniform")  # fmt: skip
    [record] = made.records()
    Path("evil.py").write_text("open('ran', 'w').close()\n")
    for name in (f"{Path('evil.py').resolve()}:network", "this:d"):
        record["model"]["architecture"] = name
        for command in (("saliency", "--method", "activation"), ("causal-metric",)):
            result = xmir(*command, stdin=json.dumps(record) + "\n")
            assert result.code == 6
            assert "data alone do not make xmir run it" in result.stderr
            assert "XMIR_NETWORKS" in result.stderr
    assert not Path("ran").exists()
