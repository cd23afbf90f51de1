"""Coverage-guided fuzzing of what reads foreign bytes: anything but our own errors is a find.

    pip install atheris
    python tests/torture/guided.py image -max_total_time=3600 corpus/
    python tests/torture/guided.py record | array | tensors | table | manifest ...

The flags after the target are libFuzzer's; a folder is its corpus, kept from run to run. A find is
written to crash-HASH and printed with its traceback. tests/test_fuzz.py asks the whole commands.
"""

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris
import numpy as np
import torch

with atheris.instrument_imports(include=["xmir_cli"]):
    from xmir_cli.console import Skips
    from xmir_cli.embedding.parts import EmbeddedRow, Parts
    from xmir_cli.errors import XmirError
    from xmir_cli.explain.requests import read_requests
    from xmir_cli.images.decode import decode_bytes
    from xmir_cli.pages.entries import read_entries
    from xmir_cli.pictures.items import Item
    from xmir_cli.scoring.tasks import read_tasks
    from xmir_cli.store.arrays import read_array, write_array
    from xmir_cli.store.checkpoint import read_tensors, write_tensors
    from xmir_cli.store.embedding_header import Header
    from xmir_cli.store.embedding_writers import write_parquet
    from xmir_cli.store.embeddings import read_embeddings
    from xmir_cli.store.jsonl import read_records
    from xmir_cli.store.manifest import read_table
    from xmir_cli.wire.model import ModelSpec
    from xmir_cli.wire.records import Record

from corpus import images

PLACE = Path(tempfile.mkdtemp(prefix="xmir-fuzz-"))
SPEC = ModelSpec("densenet121", "random:0", weights_sha256="0" * 64)


class _Quiet(Skips):
    def add(self, name: str, reason: str, path: str | None = None) -> None:
        """Nobody reads along."""


def image(data: bytes) -> None:
    decode_bytes(data, "#frame=1")


def record(data: bytes) -> None:
    for reader in (
        lambda lines: read_requests(lines, None, _Quiet()),
        lambda lines: read_tasks(lines, _Quiet().add),
        lambda lines: read_entries(lines, _Quiet()),
    ):
        stream = io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape")
        list(reader(read_records(stream)))


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        (PLACE / name).write_bytes(data)
        read(PLACE / name)

    return target


TARGETS = {
    "image": image,
    "record": record,
    "array": _file("a.npy", read_array),
    "tensors": _file("a.safetensors", read_tensors),
    "table": _file("a.parquet", lambda path: read_embeddings(str(path))),
    "manifest": _file("a.csv", read_table),
}


def _seeds(name: str) -> Iterator[bytes]:
    """Something good to start from."""
    if name == "image":
        yield from (data for _, data, _ in images() if len(data) < 1 << 16)
    elif name == "record":
        pair: Record = {"query": "a.png", "retrieved": "b.png", "similarity": 0.5}
        details = {"matches": [{"query": [0, 0, 1, 1], "retrieved": [0, 0, 1, 1]}]}
        record: Record = {**pair, "saliency": "m.npy", "model": SPEC.to_json(), "details": details}
        yield json.dumps(record).encode()
    elif name == "manifest":
        yield b'path,label,id\na.png,"x\ny",1\n'
    else:
        path = PLACE / "seed"
        if name == "array":
            write_array(path, np.ones((3, 4), np.float32))
        elif name == "tensors":
            write_tensors(path, {"a": torch.ones(2, 3)}, {"xmir.schema": "x"})
        else:
            item = Item("a", "/a.png", {})
            row = EmbeddedRow("0" * 64, 4, 4, np.ones(4, np.float32))
            parts = Parts(None, [item], Header(None, 4, SPEC, {}))
            parts.add(0, [row])
            write_parquet(path, parts.header, parts.tables())
        yield path.read_bytes()


def main() -> None:
    """Fuzz the target of the first argument."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: guided.py {'|'.join(TARGETS)} [libFuzzer's flags] [corpus]")
    name = sys.argv.pop(1)
    target = TARGETS[name]

    def once(data: bytes) -> None:
        try:
            target(data)
        except XmirError:  # said in one line
            return

    seeds = PLACE / "seeds"
    seeds.mkdir()
    for number, data in enumerate(_seeds(name)):
        (seeds / str(number)).write_bytes(data)
    sys.argv.append(str(seeds))
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
