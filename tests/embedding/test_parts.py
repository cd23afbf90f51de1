import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.causes import Cause
from xmir_cli.embedding import parts as module
from xmir_cli.embedding.leftover import refuse_leftover
from xmir_cli.embedding.parts import EmbeddedRow, Parts
from xmir_cli.errors import DataError, ExistsError, ItemError
from xmir_cli.pictures.items import Item
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.embedding_writers import write_parquet
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.store.unfinished import parts_folder
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", weights_sha256="ab" * 32)
MADE = {"precision": "fp32"}
ITEMS = [
    Item(name, f"/data/{name}", {"label": "x", "width": "theirs", "age": "7"}) for name in "abcdef"
]
OUTPUT = Path("a.parquet")


def hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def rows(names: str, **columns: str) -> list[EmbeddedRow]:
    return [
        EmbeddedRow(hashed(name), 4, 3, np.full(2, "abcdef".index(name), np.float32), columns)
        for name in names
    ]


def parts(model: ModelSpec = MODEL, made: dict[str, str] = MADE, output: Path | None = OUTPUT):
    return Parts(output, ITEMS, Header(None, 2, model, made))


def table(of: Parts) -> pa.Table:
    return pa.concat_tables(of.tables())


def written(of: Parts, path: Path = OUTPUT) -> pa.Table:
    write_parquet(path, of.header, of.tables())
    return pq.read_table(path)


def test_items_and_rows_become_the_table_of_the_contract():
    kept = parts()
    kept.add(0, rows("ab"))
    found = table(kept)
    names = "id path sha256 width height label patient split age embedding"
    assert found.column_names == names.split()
    assert found.to_pylist()[1] == {
        "id": "b",
        "path": "/data/b",
        "sha256": hashed("b"),
        "width": 4,
        "height": 3,
        "label": "x",
        "patient": None,
        "split": None,
        "age": "7",
        "embedding": [1, 1],
    }


def test_rows_are_kept_on_the_disk_and_taken_up_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    parts().add(0, rows("ab"))
    later = parts()
    assert later.recall() == 2
    known = later.find("/data/b")
    assert known is not None
    assert known.sha256 == hashed("b")
    assert later.find("/data/c") is None
    later.add(0, [later.find("/data/a"), known, *rows("c")])  # only c is new
    assert sorted(path.name for path in parts_folder(OUTPUT).iterdir()) == [
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    assert table(later)["embedding"].to_pylist() == [[0, 0], [1, 1], [2, 2]]
    assert parts().recall() == 3
    later.remove()
    assert not parts_folder(OUTPUT).exists()


def test_a_part_is_embeddings_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    kept = parts()
    kept.add(0, rows("ab", modality="CR"))
    found = read_embeddings(str(parts_folder(OUTPUT)))
    assert found.items["label"].to_pylist() == ["x", "x"]
    assert found.items["modality"].to_pylist() == ["CR", "CR"]


def test_a_column_that_comes_late_is_in_every_row_group(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "group_rows", lambda _: 2)
    kept = parts()
    kept.add(0, rows("ab"))
    kept.add(2, rows("cd"))
    kept.add(4, rows("e", modality="CR", decoded="jpeg 1/2"))
    found = written(kept)
    assert found["modality"].to_pylist() == [None] * 4 + ["CR"]
    assert found["decoded"].to_pylist() == [None] * 4 + ["jpeg 1/2"]
    groups = pq.ParquetFile(OUTPUT).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [2, 2, 1]
    assert len(list(parts_folder(OUTPUT).iterdir())) == 2


def test_what_parts_there_were_does_not_change_the_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "group_rows", lambda _: 4)
    slots = [(0, rows("ab")), (2, [ItemError(Cause.EMPTY, ""), *rows("d", modality="CR")])]
    whole, pieces = parts(), parts(output=Path("b.parquet"))
    for first, slot in slots:
        whole.add(first, slot)
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    for first, slot in slots:
        pieces.add(first, slot)
    written(whole)
    written(pieces, Path("b.parquet"))
    assert OUTPUT.read_bytes() == Path("b.parquet").read_bytes()
    again = parts()
    assert again.recall() == 3
    again.add(0, [again.find(f"/data/{name}") for name in "ab"])
    again.add(2, [ItemError(Cause.EMPTY, ""), again.find("/data/d")])
    written(again, Path("c.parquet"))
    assert OUTPUT.read_bytes() == Path("c.parquet").read_bytes()


def test_rows_are_fetched_whatever_order_they_lie_in():
    first = parts()
    first.add(0, rows("abcd"))
    written(first)
    turned = Parts(OUTPUT, ITEMS[::-1], Header(None, 2, MODEL, MADE))
    assert turned.recall() == 4
    turned.add(2, [turned.find(item.path) for item in ITEMS[3::-1]])
    assert table(turned)["embedding"].to_pylist() == [[3, 3], [2, 2], [1, 1], [0, 0]]
    assert table(turned)["id"].to_pylist() == ["d", "c", "b", "a"]


def test_short_runs_write_no_parts():
    parts().add(0, rows("a"))
    assert not parts_folder(OUTPUT).exists()


def test_rows_of_other_models_or_arithmetic_are_not_taken():
    kept = parts()
    kept.add(0, rows("a"))
    written(kept)
    assert parts().recall() == 1
    assert parts(made={"precision": "bf16"}).recall() == 0
    assert parts(model=ModelSpec("densenet121", "random:0", 5)).recall() == 0


def test_of_a_damaged_file_no_row_is_taken():
    kept = parts()
    kept.add(0, rows("abc"))
    written(kept)
    data = bytearray(OUTPUT.read_bytes())
    place = data.index(np.full(2, 2, np.float32).tobytes())
    data[place] ^= 1
    OUTPUT.write_bytes(bytes(data))
    assert parts().recall() == 0


def test_without_an_output_what_was_kept_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(module, "group_rows", lambda _: 1)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    nowhere = parts(output=None)
    nowhere.add(0, rows("ab"))
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["part-000000.parquet"]
    assert table(nowhere)["id"].to_pylist() == ["a", "b"]
    nowhere.remove()
    assert list(tmp_path.iterdir()) == []


def test_parts_of_an_interrupted_run_are_not_lost_silently():
    refuse_leftover(OUTPUT)
    parts_folder(OUTPUT).mkdir()
    with pytest.raises(ExistsError, match=r"a\.parquet\.parts: an interrupted run"):
        refuse_leftover(OUTPUT)


def test_a_link_under_the_name_of_the_parts_is_never_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious").touch()
    output = tmp_path / "a.parquet"
    parts_folder(output).symlink_to("there")
    with pytest.raises(ExistsError):
        refuse_leftover(output)
    kept = parts(output=output)
    assert kept.recall() == 0
    kept.written = -1e9
    with pytest.raises(DataError, match="a link, so nothing is written there"):
        kept.add(0, rows("a"))
    kept.remove()
    assert not parts_folder(output).is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["precious"]


def test_memory_grows_by_a_few_numbers_a_row(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "group_rows", lambda _: 256)
    count, dim = 6_000, 256
    items = [Item(str(number), f"/data/{number}", {}) for number in range(count)]
    kept = Parts(OUTPUT, items, Header(None, dim, MODEL, MADE))

    def embed(start: int, stop: int) -> None:
        for first in range(start, stop, 64):
            vectors = np.zeros((64, dim), np.float32)
            kept.add(first, [EmbeddedRow("ab" * 32, 4, 3, vector) for vector in vectors])

    embed(0, 1_024)
    tracemalloc.start()
    embed(1_024, 5_632)
    grown = tracemalloc.get_traced_memory()[0] / (5_632 - 1_024)
    tracemalloc.stop()
    assert grown < 100  # bytes; a vector alone has 1024
