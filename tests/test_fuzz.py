"""Any record, any table, any damaged file: an exit code and lines of our own, never a traceback.

XMIR_FUZZ=5000 tries so many inputs a test, at random; without it a few, always the same ones.
"""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from xmir_cli import main

LONG = int(os.environ.get("XMIR_FUZZ", "0"))
CODES = {0, 2, 3, 4, 5, 6, 7}
ARCH = f"{Path(__file__).parent / 'networks' / 'tiny.py'}:network"
MODEL = ("--arch", ARCH, "--weights", "random:0", "--device", "cpu")

fuzzed = settings(
    max_examples=LONG or 25,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Terminal:
    """The command line in this process, its words checked after each run."""

    def __init__(self) -> None:
        self.codes: dict[str, dict[int, int]] = {}

    def __call__(self, *arguments: object, stdin: bytes = b"") -> tuple[int, str]:
        out, err = io.BytesIO(), io.BytesIO()
        kept = sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
        stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                code = main.execute([str(argument) for argument in arguments])
        finally:
            sys.stdin = kept
        said = err.getvalue().decode()
        assert code in CODES, (code, said)
        assert all(line.startswith("xmir: ") for line in said.splitlines()), said
        assert len(said.splitlines()) < 30, said
        counts = self.codes.setdefault(str(arguments[0]), {})
        counts[code] = counts.get(code, 0) + 1
        return code, out.getvalue().decode()


class World:
    """One of everything, made once by the commands themselves."""

    def __init__(self, folder: Path, xmir: Terminal) -> None:
        self.folder, self.xmir = folder, xmir
        lines = ["path,label,patient,mask,x,y,w,h"]
        (folder / "masks").mkdir()
        for number in range(6):
            values = np.random.default_rng(number).integers(0, 256, (36, 40), dtype=np.uint8)
            Image.fromarray(values).save(folder / f"{number}.png")
            Image.fromarray(values // 128).save(folder / "masks" / f"{number}.png")
            row = f"{number}.png,{'ab'[number % 2]},p{number}"
            lines.append(f"{row},masks/{number}.png,{number},3,12,9")
        (folder / "labels.csv").write_text("\n".join(lines))
        assert xmir("embed", folder / "labels.csv", *MODEL, "-o", folder / "a.parquet")[0] == 0
        self.stream = self._stream()
        assert xmir("index", folder / "a.parquet", "-o", folder / "a.xmir")[0] == 0
        code, found = xmir("query", "-i", folder / "a.xmir", folder / "0.png", "-k", 2)
        assert code == 0
        self.retrieval = [json.loads(line) for line in found.splitlines()]
        maps = ("saliency", "-", "--method", "activation", "-o", folder / "maps")
        code, made = xmir(*maps, stdin=found.encode())
        assert code == 0
        self.saliency = [json.loads(line) for line in made.splitlines()]
        train = ("--per-class", "2", "--epochs", "1", "--classes-per-batch", "2")
        code, _ = xmir("train", folder / "labels.csv", *MODEL, *train, "-o", self.checkpoint)
        assert code == 0

    @property
    def checkpoint(self) -> Path:
        return self.folder / "net.safetensors"

    def _stream(self) -> bytes:
        from xmir_cli.store.embeddings import read_embeddings, write_stream

        buffer = io.BytesIO()
        write_stream(buffer, read_embeddings(str(self.folder / "a.parquet")))
        return buffer.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), Terminal())


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["/dev/zero", "..", "", "\0", "/proc/self/mem", "a\nb", "/" * 5000, "\ud800"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, records: list[dict]) -> bytes:
    """A good record with some of its values, or of those inside them, replaced or gone."""
    record = json.loads(json.dumps(draw(st.sampled_from(records))))
    for _ in range(draw(st.integers(1, 3))):
        place = record
        while True:
            key = draw(st.sampled_from(sorted(place)))
            if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            break
        if draw(st.booleans()) and draw(st.booleans()):
            del place[key]
            if not place:
                break
        else:
            place[key] = draw(values)
        if not record:
            break
    return json.dumps(record).encode()


lines = st.one_of(
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [b"{}", b"[" * 100_000, b'{"a":' * 100_000, b'{"query": NaN}', b"1e999", b"{" + b"9" * 5000]
    ),
)


def _fields(world: World, kind: str) -> list[dict]:
    return world.retrieval if kind == "retrieval" else world.saliency


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("retrieval", ("saliency", "-", "--method", "activation", "--force", "-o", "out")),
        ("saliency", ("causal-metric", "-", "--curve-steps", "2")),
        ("saliency", ("localization-metric", "-", "--masks", "mask", "--by", "column")),
        ("saliency", ("cluster", "-")),
        ("saliency", ("cluster", "-", "--summary")),
        ("retrieval", ("montage", "-", "--force", "-o", "page.png")),
        ("saliency", ("montage", "-", "--force", "-o", "page.png")),
        ("retrieval", ("report", "-", "--force", "-o", "page.html")),
        ("saliency", ("report", "-", "--force", "-o", "page.html")),
        ("retrieval", ("sanity-check", "-", "--method", "activation")),
    ],
    ids=lambda part: part if isinstance(part, str) else part[0],
)
def test_no_record_ends_in_a_traceback(world: World, kind: str, command: tuple[str, ...]):
    @fuzzed
    @given(st.data())
    def run(data: st.DataObject) -> None:
        good = _fields(world, kind)
        some = data.draw(st.lists(changed(good) | lines, min_size=1, max_size=2))
        world.xmir(*command, stdin=b"\n".join([*some, json.dumps(good[0]).encode()]))

    run()
    assert not [
        path for path in Path().iterdir() if path.name not in {"out", "page.png", "page.html"}
    ]


@pytest.mark.parametrize(
    "command", [("embed", "-", *MODEL, "--force", "-o", "b.parquet"), ("query", "-", "-i")]
)
def test_no_list_of_paths_ends_in_a_traceback(world: World, command: tuple[str, ...]):
    index = (world.folder / "a.xmir",) if command[-1] == "-i" else ()

    @fuzzed
    @given(st.lists(lines, min_size=1, max_size=3))
    def run(some: list[bytes]) -> None:
        good = str(world.folder / "0.png").encode()
        world.xmir(*command, *index, stdin=b"\n".join([*some, good]))

    run()


columns = st.sampled_from(
    [
        "id",
        "path",
        "sha256",
        "width",
        "height",
        "label",
        "patient",
        "split",
        "embedding",
        "a\nb",
        "",
    ]
)
arrays = st.sampled_from(
    [
        pa.array([1, None]),
        pa.array(["0.png", None]),
        pa.array(["0.png", "0.png"]),
        pa.array([b"\xff", b"\0"]),
        pa.array([[1.0], [2.0, 3.0]]),
        pa.array([[1.0, float("nan")], None], pa.list_(pa.float32(), 2)),
        pa.array([{"a": 1}, None]),
        pa.array([0, 1], pa.timestamp("ns")),
        pa.array([None, None]),
        pa.array(["x", "y"]).dictionary_encode(),
    ]
)


@pytest.mark.parametrize("with_metadata", [True, False])
def test_no_table_ends_in_a_traceback(world: World, with_metadata: bool):
    good = pq.read_table(world.folder / "a.parquet").slice(0, 2)

    @fuzzed
    @given(st.dictionaries(columns, arrays, max_size=3), st.sets(columns), st.integers(0, 2))
    def run(replaced: dict[str, pa.Array], dropped: set[str], rows: int) -> None:
        table = good.drop_columns([name for name in dropped if name in good.column_names])
        for name, array in replaced.items():
            if name in table.column_names:
                table = table.drop_columns([name])
            table = table.append_column(name, array)
        table = table.slice(0, rows)
        if not with_metadata:
            table = table.replace_schema_metadata(None)
        pq.write_table(table, "t.parquet")
        world.xmir("index", "t.parquet", "--force", "-o", "t.xmir")
        world.xmir("retrieval-metric", "t.parquet")
        world.xmir("embed", "t.parquet", *MODEL, "--force", "-o", "b.parquet")
        world.xmir("info", "t.parquet")

    run()


damage = st.tuples(
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=4),
    st.none() | st.integers(0, 1 << 20),
)


def _damaged(data: bytes, harm: tuple[list[tuple[int, int]], int | None]) -> bytes:
    flips, cut = harm
    harmed = bytearray(data)
    for place, value in flips:
        harmed[place % len(harmed)] = value
    return bytes(harmed[: None if cut is None else cut % len(harmed)])


@pytest.mark.parametrize(
    "name", ["a.parquet", "net.safetensors", "maps", "manifest.json", "labels.csv"]
)
def test_no_damaged_file_ends_in_a_traceback(world: World, name: str):
    maps = Path(str(world.saliency[0]["saliency"]))
    source = {"maps": maps, "manifest.json": world.folder / "a.xmir" / name}.get(
        name, world.folder / name
    )
    whole = source.read_bytes()
    users: dict[str, Callable[[Path], object]] = {
        "a.parquet": lambda path: (
            world.xmir("index", path, "--force", "-o", "t.xmir"),
            world.xmir("retrieval-metric", path),
        ),
        "net.safetensors": lambda path: world.xmir(
            "embed",
            world.folder / "0.png",
            "-m",
            path,
            "--device",
            "cpu",
            "--force",
            "-o",
            "c.parquet",
        ),
        "maps": lambda path: [
            world.xmir(
                *command, stdin=json.dumps({**world.saliency[0], "saliency": str(path)}).encode()
            )
            for command in (
                ("causal-metric", "-", "--curve-steps", "2"),
                ("montage", "-", "-f", "-o", "p.png"),
                ("localization-metric", "-", "--masks", "mask"),
                ("cluster", "-"),
            )
        ],
        "manifest.json": lambda path: world.xmir(
            "query", "-i", path.parent, world.folder / "0.png", "-k", 1
        ),
        "labels.csv": lambda path: (
            world.xmir("embed", path, *MODEL, "--force", "-o", "c.parquet"),
            [
                world.xmir(
                    "localization-metric",
                    option,
                    path,
                    stdin=json.dumps(world.saliency[0]).encode(),
                )
                for option in ("--masks", "--boxes")
            ],
        ),
    }

    if name == "manifest.json":
        shutil.copytree(world.folder / "a.xmir", "i.xmir")
    path = Path("i.xmir" if name == "manifest.json" else ".") / source.name

    @fuzzed
    @given(damage)
    def run(harm: tuple[list[tuple[int, int]], int | None]) -> None:
        path.write_bytes(_damaged(whole, harm))
        users[name](path)
        world.xmir("info", path)

    run()


@pytest.mark.parametrize("name", ["vectors.npy", "items.parquet"])
def test_no_damaged_part_of_an_index_is_answered_from(world: World, name: str):
    shutil.copytree(world.folder / "a.xmir", "i.xmir")
    whole = (Path("i.xmir") / name).read_bytes()

    @fuzzed
    @given(damage)
    def run(harm: tuple[list[tuple[int, int]], int | None]) -> None:
        harmed = _damaged(whole, harm)
        (Path("i.xmir") / name).write_bytes(harmed)
        code, out = world.xmir("query", "-i", "i.xmir", world.folder / "0.png", "-k", 1)
        assert (code, bool(out)) == ((0, True) if harmed == whole else (5, False))

    run()


def test_no_damaged_stream_is_indexed(world: World):
    @fuzzed
    @given(damage)
    def run(harm: tuple[list[tuple[int, int]], int | None]) -> None:
        world.xmir("index", "-", "--force", "-o", "t.xmir", stdin=_damaged(world.stream, harm))

    run()
