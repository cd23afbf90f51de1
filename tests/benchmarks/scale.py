"""What an index costs as it grows, in time and in memory: built, asked by an id, described.

    python tests/benchmarks/scale.py [--large] [--graphs]

Every step is a process of its own, as it is when it is typed; its peak is what the system says that
it held, pages of mapped files that it touched among it. Beside it run the scripts that one would
write instead: NumPy (the file read whole, the vectors saved, then mapped; one product) and faiss
(IndexFlatIP added to a group of rows at a time, saved, then read; one search).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from timing import Times, arguments, chart, need, table

from xmir_cli.store.embedding_table import Embeddings, to_table
from xmir_cli.store.footer import summed_writer
from xmir_cli.wire.model import ModelSpec

DIM, GROUP = 64, 16_384
SIZES, LARGE, QUICK = [10_000, 100_000, 1_000_000], [10_000_000], [2000]
GRAPHS = [100_000]
ASKED = "000001/000001234.png"
XMIR = (sys.executable, "-m", "xmir_cli")

NUMPY_INDEX = """
import sys
import numpy as np, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
np.save(sys.argv[2] + ".npy", vectors)
pq.write_table(table.drop_columns(["embedding"]), sys.argv[2] + ".items", compression="zstd")
"""
NUMPY_QUERY = """
import sys
import numpy as np, pyarrow.parquet as pq
vectors = np.load(sys.argv[1] + ".npy", mmap_mode="r")
ids = pq.read_table(sys.argv[1] + ".items", columns=["id"])["id"].to_pylist()
similarities = vectors @ vectors[ids.index(sys.argv[2])]
near = np.argpartition(-similarities, 10)[:10]
for row in near[np.argsort(-similarities[near])]:
    print(ids[row], similarities[row])
"""
FAISS_INDEX = """
import sys
import faiss, pyarrow.parquet as pq
file = pq.ParquetFile(sys.argv[1])
index = faiss.IndexFlatIP(int(sys.argv[3]))
for batch in file.iter_batches(16384, columns=["embedding"]):
    index.add(batch.column(0).flatten().to_numpy().reshape(len(batch), -1))
faiss.write_index(index, sys.argv[2] + ".faiss")
items = pq.read_table(sys.argv[1]).drop_columns(["embedding"])
pq.write_table(items, sys.argv[2] + ".items", compression="zstd")
"""
FAISS_QUERY = """
import sys
import faiss, pyarrow.parquet as pq
index = faiss.read_index(sys.argv[1] + ".faiss")
ids = pq.read_table(sys.argv[1] + ".items", columns=["id"])["id"].to_pylist()
similarities, near = index.search(index.reconstruct(ids.index(sys.argv[2]))[None], 10)
for similarity, row in zip(similarities[0], near[0].tolist()):
    print(ids[row], similarity)
"""


@dataclass(frozen=True)
class Taken:
    """What a process took, and what it printed."""

    seconds: float
    processor: float  # seconds
    peak: int  # bytes
    lines: tuple[str, ...]

    @property
    def ids(self) -> set[str]:
        """The ids that it found."""
        own = self.lines[0].startswith("{")
        return {json.loads(line)["meta"]["id"] if own else line.split()[0] for line in self.lines}


def rows(start: int, count: int) -> Embeddings:
    """Rows of an archive: clustered unit vectors, paths of some length, labels and patients."""
    generator = np.random.default_rng(start)
    centres = np.random.default_rng(7).standard_normal((5000, DIM), dtype=np.float32)
    vectors = np.float32(0.7) * generator.standard_normal((count, DIM), dtype=np.float32)
    vectors += centres[generator.integers(0, len(centres), count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{row // 1000:06}/{row:09}.png" for row in range(start, start + count)]
    hashes = generator.bytes(32 * count).hex()
    columns = {
        "id": names,
        "path": [f"/archive/images/{name}" for name in names],
        "sha256": [hashes[64 * row : 64 * row + 64] for row in range(count)],
        "width": pa.array([1024] * count, pa.int32()),
        "height": pa.array([1024] * count, pa.int32()),
        "label": [("normal", "pneumonia", "covid")[row % 3] for row in range(count)],
        "patient": [f"p{row // 4}" for row in range(start, start + count)],
        "split": ["train"] * count,
    }
    model = ModelSpec("densenet121", "random:0", DIM, weights_sha256="ab" * 32)
    return Embeddings(pa.table(columns), vectors, model)


def write(path: Path, count: int) -> None:
    """The embeddings file of so many rows, as 'xmir embed' writes it."""
    first = to_table(rows(0, 1))
    metadata = {**first.schema.metadata, b"xmir.rows": str(count).encode()}
    columns = [name for name in first.column_names if name != "embedding"]
    with (
        path.open("wb") as file,
        summed_writer(
            file,
            first.schema.with_metadata(metadata),
            compression=dict.fromkeys(columns, "zstd"),
            use_dictionary=columns,
            write_statistics=columns,
            write_page_checksum=True,
        ) as writer,
    ):
        for start in range(0, count, GROUP):
            writer.write_table(to_table(rows(start, min(GROUP, count - start))))


def run(command: Sequence[str]) -> Taken:
    """Run a process; raises CalledProcessError when it fails."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = process.stdout.read().decode().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    seconds = time.perf_counter() - start
    return Taken(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, tuple(lines))


def script(text: str, *values: str) -> tuple[str, ...]:
    """The command of a script."""
    return (sys.executable, "-c", text, *values)


def race(
    title: str, commands: dict[str, Sequence[str]], number: int, picture: Path | None
) -> dict[str, Taken]:
    """Run all in turn, every other round backwards, and print what they took; the last of each."""
    times, taken = Times(list(commands)), {name: list[Taken]() for name in commands}
    for turn in range(number):
        for name in list(commands)[:: -1 if turn % 2 else 1]:
            found = run(commands[name])
            times[name].append(found.seconds)
            taken[name].append(found)
    last = {name: each[-1] for name, each in taken.items()}
    notes = {
        name: f"{statistics.median(found.processor for found in each):.2f} s of a processor, "
        f"peak {max(found.peak for found in each) / 1e6:.0f} MB"
        for name, each in taken.items()
    }
    if title.endswith("asked") and len(last) > 1:
        truth = last["NumPy"].ids
        for name, found in last.items():
            notes[name] += f", {100 * len(found.ids & truth) / len(truth):.2f} % of the ids"
    reference = "faiss" if "faiss" in commands else next(iter(commands))
    table(title, times, reference, notes)
    if picture is not None:
        name = title.replace(" ", "-").replace(",", "")
        chart(picture.with_stem(f"{picture.stem}-{name}"), title, times, reference)
    return last


def measure(folder: Path, count: int, number: int, picture: Path | None) -> None:
    """All steps at one size."""
    source = str(folder / "e.parquet")
    write(Path(source), count)
    places = {name: str(folder / name) for name in ("a.xmir", "half.xmir", "numpy", "faiss")}
    index = (*XMIR, "index", source, "--force", "-o")
    commands: dict[str, Sequence[str]] = {
        "xmir": (*index, places["a.xmir"]),
        "xmir float16": (*index, places["half.xmir"], "--store", "float16"),
        "NumPy": script(NUMPY_INDEX, source, places["numpy"]),
        "faiss": script(FAISS_INDEX, source, places["faiss"], str(DIM)),
    }
    race(f"{count} x {DIM}, built", commands, number, picture)
    asked = (*XMIR, "query", "--id", ASKED, "--top", "10", "--format", "jsonl", "--index")
    commands = {
        "xmir": (*asked, places["a.xmir"]),
        "xmir float16": (*asked, places["half.xmir"]),
        "NumPy": script(NUMPY_QUERY, places["numpy"], ASKED),
        "faiss": script(FAISS_QUERY, places["faiss"], ASKED),
    }
    race(f"{count} x {DIM}, asked", commands, number, picture)
    told = {
        "index": (*XMIR, "info", places["a.xmir"]),
        "embeddings": (*XMIR, "info", source),
    }
    race(f"{count} x {DIM}, described", told, number, picture)


def measure_graphs(folder: Path, count: int, number: int, picture: Path | None) -> None:
    """A graph of one size, by one thread and by all."""
    source, place = str(folder / "e.parquet"), folder / "graph.xmir"
    write(Path(source), count)
    index = (*XMIR, "index", source, "--force", "--kind", "hnsw", "-o", str(place))
    for name, flags in {"all processors": (), "--reproducible": ("--reproducible",)}.items():
        race(f"{count} x {DIM}, graph by {name}", {"xmir": (*index, *flags)}, number, picture)
        told = json.loads((place / "manifest.json").read_text())
        print(f"threads {told['threads']}, recall at 10 {told['recall_at_10']:.4f}")


def main() -> None:
    """Print tables for every size."""
    given = arguments(
        __doc__.split("\n")[0],
        number=3,
        large="ten million vectors, too (15 GB of disk)",
        graphs="only graphs: by all processors, by one",
    )
    need(faiss="pip install faiss-cpu")
    work, sizes = (measure_graphs, GRAPHS) if given.graphs else (measure, SIZES)
    sizes = QUICK if given.quick else [*sizes, *(LARGE if given.large else [])]
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            work(Path(folder), count, given.rounds, given.chart)


if __name__ == "__main__":
    main()
