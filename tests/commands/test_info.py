"""`xmir info` on everything the other commands write, and on what they do not."""

import json
import shutil
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from xmir_cli.gallery.folder.manifest import describe
from xmir_cli.store.arrays import write_array
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.store.runs import Run, write_checkpoint
from xmir_cli.wire.model import ModelSpec


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    lines = ["path,label"]
    for number in range(3):
        values = np.full((36, 40), 60 * number, np.uint8)
        Image.fromarray(values).save(tmp_path / "data" / f"{number}.png")
        lines.append(f"{number}.png,{'normal' if number else ''}")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def embeddings(xmir, images: Path, tiny_arch: str) -> str:
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    assert xmir("embed", images / "labels.csv", *model, "-o", "a.parquet").code == 0
    return "a.parquet"


def info(xmir, *files: object) -> dict:
    result = xmir("info", *files)
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    assert record.pop("schema") == "xmir.info/1"
    return record


def refused(xmir, file: object) -> tuple[int, str]:
    result = xmir("info", file)
    return result.code, result.stderr.splitlines()[0].removeprefix(f"xmir: error: {file}: ")


def test_embeddings_tell_rows_labels_and_model(xmir, embeddings: str, tiny_arch: str):
    record = info(xmir, embeddings)
    model = record.pop("model")
    assert (model["architecture"], model["weights"], model["head"]) == (tiny_arch, "random:0", None)
    assert record.pop("torch") == torch.__version__
    assert record == {
        "path": "a.parquet",
        "kind": "embeddings",
        "bytes": Path("a.parquet").stat().st_size,
        "rows": 3,
        "dim": 16,
        "columns": ["id", "path", "sha256", "width", "height", "label", "patient", "split"],
        "label": {"normal": 2, "-": 1},
        "split": {"-": 3},
        "ranges": {
            "width": {"minimum": 40, "maximum": 40, "mean": 40},
            "height": {"minimum": 36, "maximum": 36, "mean": 36},
        },
        "missing_values": {"label": 1, "patient": 3, "split": 3},
        "device": "cpu",
        "precision": "fp32",
    }


def test_an_arrow_file_and_a_folder_of_parts_tell_the_same(xmir, embeddings: str, tiny_arch: str):
    plain = info(xmir, embeddings)
    model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu")
    xmir("embed", embeddings, *model, "-o", "a.arrow", "--file-format", "arrow")
    Path("parts").mkdir()
    Path(embeddings).rename("parts/part-0.parquet")
    for file in ("a.arrow", "parts"):
        record = info(xmir, file)
        assert {**record, "path": "", "bytes": 0} == {**plain, "path": "", "bytes": 0}


def test_an_index_tells_its_manifest(xmir, embeddings: str):
    assert xmir("index", embeddings, "-o", "a.xmir").code == 0
    record = info(xmir, "a.xmir")
    assert (record["kind"], record["search"], record["rows"], record["dim"]) == (
        "index",
        "exact",
        3,
        16,
    )
    assert set(record["files"]) == {"items.parquet", "vectors.npy"}
    told = info(xmir, embeddings)
    for key in ("model", "columns", "label", "split", "ranges", "missing_values"):
        assert record[key] == told[key]


def test_every_byte_of_an_index_is_checked(xmir, embeddings: str):
    assert xmir("index", embeddings, "-o", "a.xmir", "--kind", "hnsw").code == 0
    for name in ("vectors.npy", "items.parquet", "graph.hnsw"):
        whole = Path("a.xmir", name).read_bytes()
        Path("a.xmir", name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        result = xmir("info", "a.xmir")
        assert (result.code, result.stdout) == (5, "")
        assert f"{name}: damaged index (checksum)" in result.stderr
        Path("a.xmir", name).write_bytes(whole)
    assert xmir("info", "a.xmir").code == 0


def test_an_index_that_was_just_built_is_read_only_to_verify_it(xmir, embeddings: str, monkeypatch):
    assert xmir("index", embeddings, "-o", "a.xmir").code == 0
    if not Path("a.xmir/vectors.npy").stat().st_ctime_ns % 1000:
        pytest.skip("the file system's clock is too coarse to tell")
    read = []

    def watch(path):
        read.append(path.name)
        return describe(path)

    monkeypatch.setattr("xmir_cli.gallery.folder.manifest.describe", watch)
    told = info(xmir, "a.xmir")
    assert read == []
    assert xmir("info", "--verify", "a.xmir").records()[0] == {
        "schema": "xmir.info/1",
        **told,
        "checksum": "all",
    }
    assert len(read) == 2


def test_embeddings_are_described_without_their_vectors(xmir, embeddings: str):
    table = pq.read_table(embeddings)
    Path("parts").mkdir()
    for number in range(3):
        labels = pa.array([None, f"l{number}", "x"], pa.string())
        part = table.set_column(table.column_names.index("label"), "label", labels)
        pq.write_table(part, f"parts/part-{number}.parquet")
    vectors = pa.array([[float("nan")] * 16] * 3, pa.list_(pa.float32(), 16))
    unusable = table.set_column(table.column_names.index("embedding"), "embedding", vectors)
    pq.write_table(unusable, "parts/part-3.parquet")
    record = info(xmir, "parts")
    assert (record["rows"], record["dim"]) == (12, 16)
    own = {"-" if name is None else name: 0 for name in table["label"].to_pylist()}
    for name in table["label"].to_pylist():
        own["-" if name is None else name] += 1
    expected = {"-": 3, "l0": 1, "l1": 1, "l2": 1, "x": 3}
    expected |= {name: count + expected.get(name, 0) for name, count in own.items()}
    assert record["label"] == expected


def test_a_checkpoint_tells_its_model_and_parameters(xmir):
    spec = ModelSpec("resnet18", "imagenet", 256)
    metadata = {
        "xmir.schema": "xmir.checkpoint/1",
        "xmir.model": json.dumps(spec.to_json()),
        "xmir.training": '{"asked": {"epochs": 2}, "epochs": []}',
    }
    write_tensors(Path("a.safetensors"), {"w": torch.zeros(4, 3), "b": torch.zeros(3)}, metadata)
    record = info(xmir, "a.safetensors")
    assert (record["kind"], record["tensors"], record["parameters"]) == ("checkpoint", 2, 15)
    assert record["model"]["architecture"] == "resnet18"
    assert record["training"]["asked"] == {"epochs": 2}


def test_foreign_tensors_are_only_counted(xmir):
    write_tensors(Path("a.safetensors"), {"w": torch.zeros(4, dtype=torch.float16)}, {})
    record = info(xmir, "a.safetensors")
    assert (record["kind"], record["types"]) == ("tensors", ["F16"])
    assert "model" not in record


def test_a_map_tells_its_range_and_what_made_it(xmir):
    write_array(Path("a.npy"), np.array([[-1, 0], [0, 3]], np.float32))
    plain = info(xmir, "a.npy")
    assert plain.pop("histogram_edges") == pytest.approx([-1 + 0.4 * place for place in range(11)])
    assert plain == {
        "path": "a.npy",
        "kind": "array",
        "bytes": Path("a.npy").stat().st_size,
        "shape": [2, 2],
        "type": "float32",
        "minimum": -1.0,
        "maximum": 3.0,
        "mean": 0.5,
        "histogram": [1, 0, 2, 0, 0, 0, 0, 0, 0, 1],
        "distinct": 3,
        "tied": 0.5,
    }
    Path("a.json").write_text('{"made_of": {"method": "occlusion"}}')
    record = info(xmir, "a.npy")
    assert record["kind"] == "saliency"
    assert record["made_by"] == {"made_of": {"method": "occlusion"}}
    Path("a.json").write_text("[]")
    assert xmir("info", "a.npy").stderr == "xmir: error: a.json: damaged metadata\n"


def test_an_empty_array_has_no_range(xmir):
    write_array(Path("a.npy"), np.zeros((0, 4), np.float32))
    assert "minimum" not in info(xmir, "a.npy")


def test_a_manifest_tells_its_rows_and_labels(xmir, images: Path):
    record = info(xmir, images / "labels.csv")
    assert (record["kind"], record["rows"]) == ("manifest", 3)
    assert record["columns"] == ["path", "label"]
    assert record["label"] == {"normal": 2, "-": 1}


def test_labels_that_are_no_utf_8_and_numbers_of_any_size_are_counted(xmir):
    lines = [b"path,label,age", b"a.png,\xe9,7", b"b.png,\xe9," + b"9" * 400, b"c.png,e,8"]
    Path("m.csv").write_bytes(b"\n".join(lines))
    (record,) = xmir("info", "m.csv").records()
    assert record["label"] == {"\\udce9": 2, "e": 1}
    assert xmir("info", "m.csv", "--format", "list").code == 0


def test_many_labels_are_summed_up(xmir):
    lines = [f"{number}.png,c{number:02}" for number in range(30)]
    Path("m.csv").write_text("\n".join(["path,label", *lines]))
    labels = info(xmir, "m.csv")["label"]
    assert len(labels) == 21
    assert labels["..."] == 10


def test_an_image_tells_what_will_be_done_to_it(xmir):
    Image.fromarray(np.full((4, 6), 40_000, np.uint16)).save("deep.png")
    record = info(xmir, "deep.png")
    assert {**record, "bytes": 0} == {
        "path": "deep.png",
        "kind": "image",
        "bytes": 0,
        "format": "PNG",
        "pictures": 1,
        "width": 6,
        "height": 4,
        "mode": "F",
        "done": ["scaled from 0..65535"],
        "minimum": 40_000,
        "maximum": 40_000,
        "mean": 40_000,
        "histogram": [24, *[0] * 9],
        "histogram_edges": [40_000] * 11,
        "distinct": 1,
        "values": {"40000": 24},
    }


def test_one_of_the_images_in_a_file_is_named_as_everywhere(xmir):
    pages = [Image.new("L", (8, 6), 10), Image.new("RGB", (4, 3))]
    pages[0].save("a.tif", save_all=True, append_images=pages[1:])
    assert info(xmir, "a.tif")["done"] == ["first of 2 frames"]
    record = info(xmir, "a.tif#frame=2")
    assert {key: record[key] for key in ("path", "pictures", "width", "mode", "done")} == {
        "path": "a.tif#frame=2",
        "pictures": 2,
        "width": 4,
        "mode": "RGB",
        "done": [],
    }
    assert [each["width"] for each in xmir("info", "a.tif#frame=*").records()] == [8, 4]
    result = xmir("info", "a.tif#frame=3")
    assert (result.code, result.stderr) == (
        5,
        "xmir: error: a.tif#frame=3: bad-frame: there is no frame 3, only 1 to 2\n",
    )


@pytest.mark.parametrize("content", [b"hello", b"\x80\x04pickle", b"PK\x03\x04"])
def test_unknown_files_are_told_what_is_known(xmir, content: bytes):
    Path("a.bin").write_bytes(content)
    code, line = refused(xmir, "a.bin")
    assert code == 5
    assert line.startswith("unknown; expected embeddings (Parquet, Arrow, a folder of parts), an")


def test_damaged_files_of_a_known_kind_say_so(xmir, embeddings: str):
    data = Path(embeddings).read_bytes()
    Path("cut.parquet").write_bytes(data[: len(data) // 2])
    assert refused(xmir, "cut.parquet") == (5, "damaged or not a Parquet file")
    Path("cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    assert refused(xmir, "cut.npy") == (5, "not a NumPy file (.npy)")
    Path("cut.safetensors").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    code, line = refused(xmir, "cut.safetensors")
    assert (code, line) == (6, "not a safetensors file, or cut short")
    Path("cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert refused(xmir, "cut.png") == (5, "truncated: the file ends early")
    Path("folder").mkdir()
    assert refused(xmir, "folder")[1].startswith("a folder without manifest or parts; expected")
    assert refused(xmir, "gone") == (5, "no such file or directory")


def test_one_bad_file_does_not_stop_the_others(xmir, embeddings: str):
    result = xmir("info", "gone", embeddings)
    assert result.code == 3
    assert result.stderr.splitlines() == [
        "xmir: warning: skipped gone: not-usable: no such file or directory",
        "xmir: note: 1 described, 1 skipped (1 not-usable)",
    ]
    assert len(result.records()) == 1
    assert xmir("info", "gone", "gone too").code == 5


def test_on_a_terminal_it_is_a_listing(xmir):
    Image.fromarray(np.zeros((4, 6), np.uint8)).save("a.png")
    result = xmir("info", "a.png", "--format", "list")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["path", "a.png"]
    assert lines[1].split() == ["kind", "image"]
    assert lines[-1] == ""


def test_info_needs_no_torch(embeddings: str):
    program = (
        "import sys\nfrom xmir_cli import main\n"
        f"assert main.execute(['info', {embeddings!r}]) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def verified(xmir, file: str) -> str:
    result = xmir("info", "--verify", file)
    assert (result.code, result.stderr) == (0, "")
    return result.records()[0]["checksum"]


def test_verify_reads_every_byte_of_what_the_commands_write(xmir, embeddings: str):
    xmir("index", embeddings, "-o", "a.xmir")
    query = xmir("query", "-i", "a.xmir", "--all", "-k", 1, "--device", "cpu").stdout
    made = xmir("saliency", "--method", "activation", "-o", "m", "--device", "cpu", stdin=query)
    saliency = made.records()[0]["saliency"]
    spec = ModelSpec("resnet18", "imagenet")
    write_checkpoint(Path("net.safetensors"), {"w": torch.ones(9)}, spec, Run({"epochs": 0}))
    Path("parts").mkdir()
    shutil.copy(embeddings, "parts/part-000000.parquet")
    files = [embeddings, "net.safetensors", saliency, "parts/part-000000.parquet"]
    assert {verified(xmir, file) for file in (*files, "a.xmir", "parts")} == {"all"}
    for file in (*files, "a.xmir/vectors.npy", "a.xmir/items.parquet"):
        whole = Path(file).read_bytes()
        place = len(whole) - 2
        if file.endswith("parquet"):  # it ends with its footer
            place = whole.index(b"PAR1") + 60
        Path(file).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        artefact = "a.xmir" if file.startswith("a.xmir") else file
        result = xmir("info", "--verify", artefact)
        assert result.code in {5, 6}
        assert "damaged" in result.stderr
        Path(file).write_bytes(whole)


def test_verify_says_what_has_no_checksum(xmir, embeddings: str):
    table = pq.read_table(embeddings)
    seals = {b"xmir.checksum", b"xmir.sealed"}
    told = {k: v for k, v in table.schema.metadata.items() if k not in seals}
    pq.write_table(table.replace_schema_metadata(told), "old.parquet", write_page_checksum=True)
    write_tensors(Path("their.safetensors"), {"w": torch.zeros(4)}, {})
    write_array(Path("their.npy"), np.zeros((4, 4), np.float32))
    others = ("data/labels.csv", "data/0.png")
    for file in ("old.parquet", "their.safetensors", "their.npy", *others):
        assert verified(xmir, file) == "no checksum"
    with pa.ipc.new_stream("a.arrow", table.schema) as writer:
        writer.write_table(table)
    assert verified(xmir, "a.arrow") == "description"


def test_a_page_tells_its_title_and_who_wrote_it(xmir):
    head = '<!doctype html>\n<meta name="generator" content="xmir 1.2"><title>A &amp; B</title>'
    Path("p.html").write_text(head)
    record = info(xmir, "p.html")
    assert record == {
        "path": "p.html", "kind": "page", "bytes": len(head), "title": "A & B", "version": "1.2",
    }  # fmt: skip
    Path("p.html").write_text("<!doctype html>\n<title>of another program</title>")
    assert refused(xmir, "p.html")[1].startswith("unknown; expected")


def test_a_list_of_ids_tells_how_many(xmir):
    Path("atlas-ids.txt").write_text("a/1.png\nb/2.png\nb/2.png\n")
    record = info(xmir, "atlas-ids.txt")
    assert (record["kind"], record["rows"], record["distinct"]) == ("ids", 3, 2)
    for content in (b"", b"a\0b\n", b"\xff\xfe\n"):
        Path("no.txt").write_bytes(content)
        assert refused(xmir, "no.txt")[0] == 5


def test_a_folder_of_differences_tells_what_was_compared(xmir):
    Path("diff").mkdir()
    for name in ("mean-ill", "mean-ill-error", "mean-well", "ill-minus-well", "ill-minus-well-p"):
        write_array(Path("diff", f"{name}.npy"), np.zeros((4, 5), np.float32))
    record = info(xmir, "diff")
    assert record == {
        "path": "diff", "kind": "differences", "compared": ["ill", "well"],
        "differences": ["ill-minus-well"], "shape": [4, 5],
    }  # fmt: skip


def test_what_lies_beside_a_map_is_told_to_belong_to_it(xmir):
    write_array(Path("m.npy"), np.zeros((4, 5), np.float32))
    Path("m.json").write_text('{"made_of": {}}')
    assert refused(xmir, "m.json") == (5, "belongs to the map m.npy beside it")


def test_a_folder_of_maps_tells_how_many(xmir):
    Path("maps").mkdir()
    for name in "abc":
        write_array(Path("maps", f"{name}.npy"), np.zeros((4, 5), np.float32))
    assert refused(xmir, "maps")[1].startswith("a folder without manifest or parts")
    for name in "ab":
        Path("maps", f"{name}.json").write_text("{}")
    assert info(xmir, "maps") == {"path": "maps", "kind": "maps", "rows": 2}


def test_dates_have_a_first_and_a_last(xmir):
    days = [date(2017, 3, 3), date(2015, 1, 2), None, date(2017, 3, 3)]
    times = [datetime(2017, 3, 3, 1), datetime(2015, 1, 2), None, datetime(2016, 1, 2)]
    pq.write_table(pa.table({"path": list("abcd"), "day": days, "at": times}), "t.parquet")
    record = info(xmir, "t.parquet")
    assert record["ranges"] == {
        "day": {"minimum": "2015-01-02", "maximum": "2017-03-03"},
        "at": {"minimum": "2015-01-02 00:00:00", "maximum": "2017-03-03 01:00:00"},
    }
    assert "labels" not in record
    assert record["missing_values"] == {"day": 1, "at": 1}
