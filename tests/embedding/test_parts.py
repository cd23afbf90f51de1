from pathlib import Path

import numpy as np
import pytest

from xmir_cli.embedding import parts as module
from xmir_cli.embedding.leftover import parts_folder, refuse_leftover
from xmir_cli.embedding.parts import EmbeddedRow, Parts, to_embeddings
from xmir_cli.errors import DataError, ExistsError
from xmir_cli.pictures.items import Item
from xmir_cli.store.embeddings import write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", weights_sha256="ab")
MADE = {"precision": "fp32"}


def rows(*names: str) -> list[tuple[Item, EmbeddedRow]]:
    return [
        (
            Item(name, f"/data/{name}", {"label": "x", "width": "theirs", "age": "7"}),
            EmbeddedRow(f"hash of {name}", 4, 3, np.full(2, number, np.float32)),
        )
        for number, name in enumerate(names)
    ]


def parts(model: ModelSpec = MODEL, made: dict[str, str] = MADE) -> Parts:
    return Parts(Path("a.parquet"), ["label", "width", "age"], model, made)


def test_items_and_rows_become_the_table_of_the_contract():
    table = to_embeddings(rows("a", "b"), ["label", "width", "age"], MODEL, MADE)
    names = "id path sha256 width height label patient split age"
    assert table.items.column_names == names.split()
    assert table.items.to_pylist()[1] == {
        "id": "b",
        "path": "/data/b",
        "sha256": "hash of b",
        "width": 4,
        "height": 3,
        "label": "x",
        "patient": None,
        "split": None,
        "age": "7",
    }
    assert table.vectors.tolist() == [[0, 0], [1, 1]]


def test_rows_are_kept_on_the_disk_and_taken_up_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    parts().add(rows("a", "b"))
    later = parts()
    assert later.recall() == 2
    assert later.find("/data/b", "hash of b").vector.tolist() == [1, 1]
    assert later.find("/data/b", "another hash") is None
    later.add(rows("a", "b", "c"))  # only c is new
    assert sorted(path.name for path in parts_folder(Path("a.parquet")).iterdir()) == [
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    assert parts().recall() == 3
    later.remove()
    assert not parts_folder(Path("a.parquet")).exists()


def test_short_runs_write_no_parts():
    parts().add(rows("a"))
    assert not parts_folder(Path("a.parquet")).exists()


def test_rows_of_other_models_or_arithmetic_are_not_taken():
    write_embeddings(Path("a.parquet"), to_embeddings(rows("a"), ["label"], MODEL, MADE))
    assert parts().recall() == 1
    assert parts(made={"precision": "bf16"}).recall() == 0
    assert parts(model=ModelSpec("densenet121", "random:0", 5)).recall() == 0


def test_without_an_output_nothing_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    nowhere = Parts(None, [], MODEL, MADE)
    nowhere.add(rows("a"))
    nowhere.remove()
    assert list(Path().iterdir()) == []


def test_parts_of_an_interrupted_run_are_not_lost_silently():
    refuse_leftover(Path("a.parquet"))
    parts_folder(Path("a.parquet")).mkdir()
    with pytest.raises(ExistsError, match=r"a\.parquet\.parts: an interrupted run"):
        refuse_leftover(Path("a.parquet"))


def test_a_link_under_the_name_of_the_parts_is_never_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious").touch()
    output = tmp_path / "a.parquet"
    parts_folder(output).symlink_to("there")
    with pytest.raises(ExistsError):
        refuse_leftover(output)
    kept = Parts(output, [], MODEL, {})
    assert kept.recall() == 0
    kept.written = -1e9
    with pytest.raises(DataError, match="a link, so nothing is written there"):
        kept.add(rows("a"))
    kept.remove()
    assert not parts_folder(output).is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["precious"]
