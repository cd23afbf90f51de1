"""What the guards cost: embedding with and without them, and opening an index of 1 GB.

    python tests/benchmarks/guards.py [--index]

Without: files read and decoded by bare library calls, no hashes, no checks, a plain write. The
pipeline around them, the network (DenseNet-121) and the images (PNGs of 1024 pixels) are the same.

The clock of a busy machine does not see a hundredth. Loading is therefore measured by itself, too:
every image in turn with and without, in processor time, as a share of all that embedding takes.
"""

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from embed import pictures
from PIL import Image
from timing import arguments, chart, rounds, table

from xmir_cli.embedding import slots
from xmir_cli.embedding.parts import Parts
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.gallery.folder.manifest import GraphSettings
from xmir_cli.gallery.vectors import unit_rows
from xmir_cli.images.picture import Picture
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder, resolve_model
from xmir_cli.pictures import files
from xmir_cli.pictures.items import Item
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.embedding_header import EMBEDDING, Header
from xmir_cli.store.embedding_table import Embeddings, to_table
from xmir_cli.store.embeddings import write_embeddings
from xmir_cli.wire.model import ModelSpec

BARE = "without guards"


def _open(data: bytes, *_: object) -> Picture:
    image = Image.open(io.BytesIO(data))
    image.load()
    return Picture(image, image.width, image.height, ())


@contextmanager
def _unguarded() -> Iterator[None]:
    with (
        mock.patch.object(files, "_read_file", lambda path: ("", Path(path).read_bytes())),
        mock.patch.object(files, "decode_bytes", _open),
        mock.patch.object(slots.np, "isfinite", return_value=np.array([True])),
    ):
        yield


def _embedded(embedder: Embedder, paths: list[str]) -> Embeddings:
    size = 4 * embedder.batch
    found = slots.embed_slots(embedder, paths, size, len(paths), lambda _: None, None)
    rows = [row for slot in found for row in slot]
    header = Header(None, embedder.dim, embedder.spec, {})
    parts = Parts(None, [Item(path, path, {}) for path in paths], header)
    parts.add(0, rows)
    table = pa.concat_tables(parts.tables()).drop_columns([EMBEDDING])
    return Embeddings(table, np.stack([row.vector for row in rows]), embedder.spec, {})


def guarded(embedder: Embedder, paths: list[str], output: Path) -> np.ndarray:
    found = _embedded(embedder, paths)
    write_embeddings(output, found)
    return found.vectors


def bare(embedder: Embedder, paths: list[str], output: Path) -> np.ndarray:
    with _unguarded():
        found = _embedded(embedder, paths)
    pq.write_table(to_table(found), output)
    return found.vectors


def loading(paths: list[str], number: int) -> float:
    """Seconds of one thread that the guards add to the loading of an image, the median."""

    def load(path: str) -> float:
        start = time.thread_time()
        files.read_picture(path)
        return time.thread_time() - start

    more = []
    for path in paths * number:
        with _unguarded():
            without = load(path)
        more.append(load(path) - without)
    return float(np.median(more))


def embedding(count: int, side: int, name: str, number: int, picture: Path | None) -> None:
    spec = resolve_model(ModelChoice(architecture=name, weights="random:0"))
    embedder = load_embedder(spec, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        paths, output = pictures(Path(folder), count, side), Path(folder) / "out.parquet"
        contestants = {
            BARE: lambda: bare(embedder, paths, output),
            "xmir embed": lambda: guarded(embedder, paths, output),
        }
        times = rounds(contestants, number)
        more = loading(paths, number)
    share = more / (np.median(times[BARE]) / count)
    first, second = times.results.values()
    equal = "equal" if np.array_equal(first, second) else "DIFFERENT"
    note = f"loading with guards takes {100 * share:.2f} % of the time more; {equal}"
    title = f"{count} PNGs of {side} pixels to embeddings on the disk"
    table(title, times, BARE, {"xmir embed": note})
    if picture:
        chart(picture, title, times, BARE)


def index(rows: int, dim: int) -> None:
    """Seconds from opening to the first answer: checked, remembered, and by NumPy alone."""
    generator = np.random.default_rng(0)
    vectors, _ = unit_rows(generator.standard_normal((rows, dim), dtype=np.float32))
    names = [f"{number}.png" for number in range(rows)]
    columns = dict.fromkeys(("id", "path", "sha256"), names)
    blank = {name: pa.nulls(rows, pa.string()) for name in ("label", "patient", "split")}
    items = pa.table({**columns, "width": [1] * rows, "height": [1] * rows, **blank})
    spec = ModelSpec("densenet121", "random:0")
    query = vectors[0].copy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "a.xmir"
        build_gallery(Embeddings(items, vectors, spec), folder, "exact", GraphSettings())
        megabytes = vectors.nbytes >> 20
        del vectors
        time.sleep(0.2)  # a file that has just changed is not remembered

        def ours() -> float:
            gallery = open_gallery(str(folder))
            [hits] = gallery.search([Question("", query, {})], 10)
            return float(hits.similarities[0])

        def theirs() -> float:
            similarities = np.load(folder / "vectors.npy", mmap_mode="r") @ query
            return float(similarities[np.argsort(-similarities)[0]])

        with mock.patch.dict("os.environ", {"XDG_CACHE_HOME": name}):
            theirs()  # from the disk into memory, for all
            start, worked = time.perf_counter(), time.process_time()
            ours()
            first, worked = time.perf_counter() - start, time.process_time() - worked
            times = rounds({"NumPy alone": theirs, "xmir, checked before": ours}, 5)
    medians = {key: float(np.median(each)) for key, each in times.items()}
    print(f"\nAn index of {megabytes} MB ({rows} x {dim}), from opening to the first answer")
    hashed = f"all of its bytes hashed ({worked:.2f} s of a processor)"
    print(f"{'xmir, for the first time':26} {first:6.2f} s, {hashed}")
    for key, seconds in medians.items():
        print(f"{key:26} {seconds:6.2f} s")
    print(f"the check costs {first - medians['xmir, checked before']:.2f} s, once")


def main() -> None:
    given = arguments(__doc__.splitlines()[0], 5, index="open an index of 1 GB, too")
    if given.quick:
        embedding(6, 64, "resnet18", given.rounds, given.chart)
        index(500, 32)
        return
    embedding(48, 1024, "densenet121", given.rounds, given.chart)
    if given.index:
        index(262_144, 1024)


if __name__ == "__main__":
    main()
