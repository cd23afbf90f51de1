"""`xmir embed` through its front door, with a tiny network of random weights."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from xmir_cli.embedding import parts as parts_module
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.stories import embed as story


def picture(path: Path, seed: int, size: tuple[int, int] = (40, 36)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven pictures, a manifest with three columns, and the folder they are in."""
    lines = ["path,label,patient,site"]
    for number in range(7):
        picture(tmp_path / "data" / f"{number}.png", number)
        lines.append(f"{number}.png,{'normal' if number % 2 else 'covid-19'},p{number},A")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def embed(xmir, tiny_arch: str, monkeypatch: pytest.MonkeyPatch):
    """Run with slots of two images."""
    monkeypatch.setattr(story, "BATCHES", 1)

    def run(*arguments: object, **options: object):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", 2)
        return xmir("embed", *model, *arguments, **options)

    return run


def test_a_manifest_becomes_a_table_with_its_columns(embed, images: Path):
    result = embed(images / "labels.csv", "-o", "a.parquet")
    assert (result.code, result.stderr) == (0, "")
    table = pq.read_table("a.parquet")
    names = "id path sha256 width height label patient split site embedding"
    assert table.column_names == names.split()
    assert table["id"].to_pylist() == [f"{number}.png" for number in range(7)]
    assert table["path"].to_pylist()[0] == str(images / "0.png")
    assert table["label"].to_pylist()[:2] == ["covid-19", "normal"]
    assert set(table["split"].to_pylist()) == {None}
    assert (table["width"][0].as_py(), table["height"][0].as_py()) == (40, 36)
    vectors = np.stack(table["embedding"].to_pylist())
    assert vectors.shape == (7, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_fast_decoding_moves_the_embeddings_of_large_jpegs_a_little(embed, images: Path):
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8))
    smooth.resize((700, 600), Image.Resampling.BICUBIC).save(images / "large.jpg", quality=90)
    embed(images, "-o", "exact.parquet")
    assert embed(images, "--fast-decode", "-o", "fast.parquet").code == 0
    exact, fast = read_embeddings("exact.parquet"), read_embeddings("fast.parquet")
    apart = np.abs(exact.vectors - fast.vectors).max(axis=1)
    assert apart[:-1].max() == 0  # PNGs
    assert 0 < apart[-1] < 1e-2
    assert fast.model.preprocessing.jpeg == "reduced"
    table = pq.read_table("fast.parquet")
    assert table["decoded"].to_pylist() == [*[None] * 7, "jpeg 1/8"]
    assert (table["width"][7].as_py(), table["height"][7].as_py()) == (700, 600)
    resumed = embed(images, "--resume", "-o", "fast.parquet")
    assert "0 images of this model are there already" in resumed.stderr


def test_the_receipt_tells_what_was_written(embed, images: Path):
    result = embed(images, "-o", "a.parquet")
    (receipt,) = result.records()
    sha256 = receipt.pop("sha256")
    assert receipt == {
        "schema": "xmir.artifact/1",
        "kind": "embeddings",
        "path": "a.parquet",
        "rows": 7,
        "dim": 16,
        "skipped": 0,
    }
    import hashlib

    assert sha256 == hashlib.sha256(Path("a.parquet").read_bytes()).hexdigest()


def test_the_model_is_recorded_whole(embed, images: Path, tiny_arch: str):
    embed(images, "-o", "a.parquet", "--head", 5, "--mean", "0.5", "--std", "0.25")
    model = read_embeddings("a.parquet").model
    assert (model.architecture, model.weights, model.head) == (tiny_arch, "random:0", 5)
    assert model.preprocessing.mean == (0.5, 0.5, 0.5)
    assert len(model.weights_sha256) == 64


def test_a_second_run_gives_the_same_bytes(embed, images: Path):
    embed(images, "-o", "a.parquet", "--jobs", 1)
    embed(images, "-o", "b.parquet", "--jobs", 3)
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


def test_unusable_images_are_named_counted_and_left_out(embed, images: Path):
    (images / "3.png").write_bytes(b"")
    (images / "5.png").write_bytes((images / "5.png").read_bytes()[:300])
    result = embed(images / "labels.csv", "gone\x1b[31m.png", "-o", "a.parquet")
    assert result.code == 3
    assert result.stderr.splitlines() == [
        "xmir: warning: skipped 3.png: empty: the file has no bytes",
        "xmir: warning: skipped 5.png: truncated: the file ends early",
        r"xmir: warning: skipped gone\x1b[31m.png: missing: no such file",
        "xmir: note: 5 embedded, 3 skipped (1 empty, 1 truncated, 1 missing)",
    ]
    assert result.records()[0]["skipped"] == 3
    assert pq.read_table("a.parquet")["id"].to_pylist() == [f"{n}.png" for n in (0, 1, 2, 4, 6)]


def test_all_that_was_left_out_is_listed_and_can_be_tried_again(embed, images: Path):
    for number in range(25):
        (images / f"bad{number:02}.png").write_bytes(b"GIF89a" if number else b"")
    flags = (images, images / "0.png", "-o", "a.parquet")
    result = embed(*flags, "--skips", "skips.jsonl")
    listed = [json.loads(line) for line in Path("skips.jsonl").read_text().splitlines()]
    (receipt,) = result.records()
    assert receipt["rows"] + receipt["skipped"] == len(list(images.glob("*.png"))) + 1
    assert len(listed) == receipt["skipped"] == 26
    codes = [(Path(skip["path"]).name, skip["code"]) for skip in listed]
    assert codes[:3] == [
        ("0.png", "duplicate-id"),
        ("bad00.png", "empty"),
        ("bad01.png", "not-an-image"),
    ]
    picture(images / "bad01.png", 1)
    again = embed("-", "-o", "b.parquet", stdin=Path("skips.jsonl").read_text())
    assert again.records()[0]["rows"] == 2
    assert embed(*flags, "--force", "--skips", "skips.jsonl").code == 3
    assert embed(images, "-o", "c.parquet", "--skips", "skips.jsonl").code == 7
    assert embed(images, "-o", "c.parquet", "--skips", "gone/skips.jsonl").code == 5
    assert not Path("c.parquet").exists()


@pytest.mark.usefixtures("images")
def test_the_same_id_twice_is_left_out(embed):
    result = embed("data/0.png", "data/0.png", "-o", "a.parquet")
    assert result.code == 3
    assert "skipped data/0.png: duplicate-id" in result.stderr


def test_nothing_readable_is_an_error_and_no_file(embed, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"hello")
    result = embed("a.png", "-o", "a.parquet")
    assert result.code == 5
    assert result.stderr.endswith(
        "xmir: error: none of 1 inputs could be read; nothing was written\n"
    )
    assert not Path("a.parquet").exists()


def test_where_and_lists_on_stdin(embed, images: Path):
    result = embed(images / "labels.csv", "--where", "label=normal", "-o", "a.parquet")
    assert result.records()[0]["rows"] == 3
    result = embed("-", "-0", "-o", "b.parquet", stdin="data/0.png\0data/1.png\0")
    assert result.records()[0]["rows"] == 2
    assert embed("-", "-o", "c.parquet", stdin="").code == 5


def test_a_receipt_in_a_pipe_stands_for_its_rows(embed, images: Path):
    first = embed(images / "labels.csv", "-o", "a.parquet")
    second = embed("-", "-o", "b.parquet", stdin=first.stdout)
    assert second.code == 0
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


def test_without_an_output_an_arrow_stream_goes_into_the_pipe(embed, images: Path):
    embed(images, "-o", "a.parquet")
    result = embed(images)
    assert embed(images, "-o", "-").stdout_bytes == result.stdout_bytes
    assert not Path("-").exists()
    Path("a.arrow").write_bytes(result.stdout_bytes)
    assert read_embeddings("a.arrow").items.equals(read_embeddings("a.parquet").items)
    embed(images, "-o", "b.arrow", "--file-format", "arrow")
    assert Path("b.arrow").read_bytes() == result.stdout_bytes


def test_numpy_users_get_a_matrix_and_its_rows(embed, images: Path):
    embed(images, "-o", "a.parquet")
    result = embed(images, "-o", "a.npy", "--file-format", "npy")
    assert result.records()[0]["kind"] == "vectors"
    assert np.array_equal(np.load("a.npy"), read_embeddings("a.parquet").vectors)
    assert pq.read_table("a.items.parquet")["id"].to_pylist() == [
        str(images / f"{number}.png") for number in range(7)
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--resume"], "--resume needs an output: -o FILE"),
        (["--file-format", "npy"], "--file-format npy needs an output: -o FILE"),
        (
            ["--file-format", "npy", "-o", "a.parquet"],
            "a.parquet: --file-format npy writes NAME.npy and NAME.items.parquet",
        ),
    ],
)
def test_flags_that_do_not_fit_are_usage_errors(embed, images: Path, arguments: list, line: str):
    result = embed(images, *arguments)
    assert result.code == 2
    assert result.stderr == f"xmir: error: {line}\n"


def test_an_existing_output_is_refused_and_replaced_by_force(embed, images: Path):
    Path("a.parquet").write_text("precious")
    result = embed(images, "-o", "a.parquet")
    assert result.code == 7
    assert result.stderr.splitlines()[0] == "xmir: error: a.parquet: exists already"
    assert Path("a.parquet").read_text() == "precious"
    assert embed(images, "-o", "a.parquet", "--force").code == 0


def test_an_output_that_is_an_input_is_refused(embed, images: Path):
    embed(images, "-o", "a.parquet")
    before = Path("a.parquet").read_bytes()
    result = embed("a.parquet", "-o", "./a.parquet", "--force")
    assert result.code == 2
    assert result.stderr == "xmir: error: --output a.parquet: is an input, too\n"
    assert Path("a.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "form", "line", "hint"),
    [
        ("y.csv", "parquet", "Parquet", "y.parquet: pandas, Polars and DuckDB read that."),
        ("y.NPY", "parquet", "Parquet", "y.parquet, or write it with --file-format npy."),
        ("y.xmir", "parquet", "Parquet", "y.parquet: pandas, Polars and DuckDB read that."),
        ("y.parquet", "arrow", "an Arrow stream", "y.arrows."),
    ],
)
def test_a_name_of_another_format_is_refused(
    embed, images: Path, name: str, form: str, line: str, hint: str
):
    result = embed(images, "--file-format", form, "-o", name)
    assert result.code == 2
    ending = Path(name).suffix
    assert result.stderr == (
        f"xmir: error: --output {name}: {line} is written, and the name ends with {ending}\n"
        f"xmir: hint: Name it {hint}\n"
    )
    assert not Path(name).exists()
    assert embed(images, "-o", "y.v2").code == 0


def test_an_output_folder_that_is_not_there_is_said_at_once(embed, images: Path):
    result = embed(images, "-o", "no/where/a.parquet")
    assert (result.code, result.stderr) == (5, "xmir: error: no/where: no such folder\n")


def test_a_network_that_gives_nan_writes_nothing(embed, images: Path, tmp_path: Path):
    network = tmp_path / "broken.py"
    network.write_text(
        "from torch import nn\n"
        "from xmir_cli.model.architectures import Architecture\n"
        "from xmir_cli.records import Preprocessing\n"
        "class Root(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return (x.mean(dim=(2, 3), keepdim=True) - 10).sqrt()\n"
        "def network():\n"
        "    recipe = Preprocessing(input_size=32, resize=32)\n"
        "    return Architecture(Root(), channels=3, preprocessing=recipe)\n"
    )
    result = embed(images, "-o", "a.parquet", "--arch", f"{network}:network")
    assert result.code == 5
    assert result.stderr.startswith(
        f"xmir: error: {images}/0.png: the network gave NaN or infinity; nothing was written\n"
    )
    assert not Path("a.parquet").exists()


def test_names_that_are_no_utf8_are_stored_escaped(embed, tmp_path: Path):
    picture(tmp_path / "a.png", 1)
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/\xff\n.png")  # noqa: PTH104
    result = embed(".", "-o", "a.parquet")
    assert result.code == 0
    assert pq.read_table("a.parquet")["id"].to_pylist() == ["./\\xff\n.png"]


def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the network sees from now on."""
    from xmir_cli.model.embedder import Embedder

    seen: list[int] = []
    embed = Embedder.embed

    def watched(self, images, job):
        seen.append(len(images))
        return embed(self, images, job)

    monkeypatch.setattr(Embedder, "embed", watched)
    return seen


def test_resume_remakes_only_slots_whose_files_changed(
    embed, images: Path, monkeypatch: pytest.MonkeyPatch
):
    embed(images, "-o", "a.parquet")
    seen, known = passes(monkeypatch), []
    monkeypatch.setattr("xmir_cli.progress.Progress.go_on", lambda _, count: known.append(count))
    result = embed(images, "-o", "a.parquet", "--resume")
    assert (result.code, seen) == (0, [])
    assert sum(known) == 7  # which took none of this run's time
    assert result.stderr == "xmir: note: 7 images of this model are there already\n"
    picture(images / "2.png", 99)
    embed(images, "-o", "a.parquet", "--resume")
    assert (seen, sum(known)) == ([2], 7 + 5)  # the slot of 2.png and 3.png
    embed(images, "-o", "fresh.parquet")
    assert Path("a.parquet").read_bytes() == Path("fresh.parquet").read_bytes()


def test_resume_takes_the_rows_of_a_stream(embed, images: Path, monkeypatch: pytest.MonkeyPatch):
    flags = (images, "-o", "a.arrow", "--file-format", "arrow", "--features")
    embed(*flags)
    before = Path("a.arrow").read_bytes()
    seen = passes(monkeypatch)
    result = embed(*flags, "--resume")
    assert (result.code, seen, Path("a.arrow").read_bytes()) == (0, [], before)
    assert result.stderr == "xmir: note: 7 images of this model are there already\n"
    Path("a.arrow").write_bytes(before[:-200])
    assert "0 images of this model" in embed(*flags, "--resume").stderr
    assert Path("a.arrow").read_bytes() == before


def test_resume_does_not_mix_models(embed, images: Path, monkeypatch: pytest.MonkeyPatch):
    embed(images, "-o", "a.parquet")
    seen = passes(monkeypatch)
    result = embed(images, "-o", "a.parquet", "--resume", "--head", 3)
    assert result.stderr == "xmir: note: 0 images of this model are there already\n"
    assert seen == [2, 2, 2, 1]


def test_an_unreadable_image_in_a_slot_does_not_undo_the_others(
    embed, images: Path, monkeypatch: pytest.MonkeyPatch
):
    (images / "3.png").write_bytes(b"")
    embed(images, "-o", "a.parquet")
    seen = passes(monkeypatch)
    assert embed(images, "-o", "a.parquet", "--resume").code == 3
    assert seen == []


def test_leftover_parts_are_not_thrown_away_unasked(
    embed, images: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        patched.setattr(parts_module, "PART_SECONDS", 0.0)
        patched.setattr(parts_module.Parts, "remove", lambda _: None)
        embed(images, "-o", "a.parquet")
    Path("a.parquet").unlink()
    assert len(list(Path("a.parquet.parts").iterdir())) == 4
    result = embed(images, "-o", "a.parquet")
    assert result.code == 7
    assert result.stderr.splitlines() == [
        "xmir: error: a.parquet.parts: an interrupted run has left its parts there",
        "xmir: hint: Continue it with --resume, or start again with --force.",
    ]
    (Path("a.parquet.parts") / "part-000001.parquet").write_bytes(b"damaged")
    result = embed(images, "-o", "a.parquet", "--resume")
    assert result.stderr == "xmir: note: 5 images of this model are there already\n"
    assert not Path("a.parquet.parts").exists()


@pytest.mark.parametrize(
    ("shell", "code", "message"),
    [
        ("$X -o - | true", 141, ""),
        ("$X > /dev/full", 5, "xmir: error: standard output: no space left on device\n"),
        ("$X >&-", 5, "xmir: error: standard output is closed\n"),
        ("ulimit -f 1; $X -o a.parquet", 5, "xmir: error: a.parquet: file too large\n"),
    ],
)
def test_full_disks_and_gone_readers(
    images: Path, tiny_arch: str, shell: str, code: int, message: str
):
    model = f"--arch {tiny_arch} --weights random:0 --device cpu"
    command = shell.replace("$X", f"{sys.executable} -m xmir_cli embed {images} {model}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (result.returncode, result.stderr) == (code, message)
    assert sorted(path.name for path in Path().iterdir()) == ["data"]


SLOW = """
import sys, time
from xmir_cli import main
from xmir_cli.stories import embed
from xmir_cli.embedding import parts
embed.BATCHES = 1
parts.PART_SECONDS = 0.0
add = parts.Parts.add
def slowly(self, first, rows):
    add(self, first, rows)
    time.sleep(0.2)
parts.Parts.add = slowly
main.run(sys.argv[1:])
"""


def test_a_killed_run_is_resumed_to_the_very_same_bytes(embed, images: Path, tiny_arch: str):
    embed(images, "-o", "undisturbed.parquet")
    flags = ["--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", "2"]
    command = [sys.executable, "-c", SLOW, "embed", str(images), "-o", "a.parquet", *flags]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        parts = Path("a.parquet.parts")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(list(parts.glob("part-*"))) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not Path("a.parquet").exists()
    result = embed(images, "-o", "a.parquet", "--resume")
    known = int(result.stderr.split()[2])
    assert known >= 4
    assert Path("a.parquet").read_bytes() == Path("undisturbed.parquet").read_bytes()
    assert json.loads(result.stdout)["rows"] == 7
    assert not parts.exists()


@pytest.mark.parametrize("flag", ["--output", "--skips"])
def test_the_file_of_the_network_is_an_input(xmir, images: Path, tmp_path: Path, flag: str):
    network = tmp_path / "own.py"
    network.write_text("def network(): raise AssertionError\n")
    Path("o.jsonl").hardlink_to(network)
    name = str(network) if flag == "--output" else "o.jsonl"
    chosen = ["--arch", f"{network}:network", "--weights", "random:0", "--force"]
    result = xmir("embed", str(images), *chosen, flag, name)
    assert (result.code, "is an input, too" in result.stderr) == (2, True)
    assert network.read_text().startswith("def network")


@pytest.mark.parametrize(
    ("engine", "line"),
    [
        ("spark", "--engine spark: expected local, ray or ray://HOST:PORT"),
        ("ray://", "--engine ray://: expected local, ray or ray://HOST:PORT"),
        ("ray://head", "--engine ray://head: expected local, ray or ray://HOST:PORT"),
        ("ray", "--engine ray needs the package ray"),
        ("ray://head:10001", "--engine ray needs the package ray"),
    ],
)
def test_an_engine_that_is_not_there_is_said_in_one_line(
    embed, images: Path, monkeypatch: pytest.MonkeyPatch, engine: str, line: str
):
    monkeypatch.setattr("xmir_cli.commands.embed.find_spec", lambda _: None)
    result = embed(images, "-o", "a.parquet", "--engine", engine)
    assert result.code == 2
    assert result.stderr.splitlines()[0] == f"xmir: error: {line}"
    assert "package ray" not in line or result.stderr.endswith(
        "xmir: hint: pip install 'xmir[ray]'\n"
    )
