"""What a file says to leave out: by content wherever it lies, or by name."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from xmir_cli.errors import DataError
from xmir_cli.pictures.exclusion import leaving_out, read_exclusion
from xmir_cli.pictures.items import list_items
from xmir_cli.store.hashes import sha256_file


@pytest.fixture(autouse=True)
def folder():
    """Four pictures, each larger than the one before, and where they lie."""
    Path("one").mkdir()
    for row in range(4):
        Image.effect_noise((20 + 10 * row, 20), 40 + row).save(f"one/{row}.png")
    return Path("one")


def write(*lines):
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    Path("list.jsonl").write_text(text)
    return Path("list.jsonl")


def kept(source, *arguments, where=None):
    return [
        Path(item.path).name
        for item in list_items(arguments, False, where, None, leaving_out(source, 1))
    ]


def finding(row, **more):
    path = f"one/{row}.png"
    told = {"query": f"/elsewhere/{row}.png", "retrieved": "/elsewhere/x.png", "finding": "leak"}
    return {**told, "query_identity": sha256_file(path), **more}


@pytest.mark.parametrize("sized", [True, False])
def test_an_image_is_left_out_by_its_content_wherever_it_lies(folder, sized, capsys):
    sizes = {row: (folder / f"{row}.png").stat().st_size for row in range(4)}
    more = [{"query_bytes": sizes[row]} if sized else {} for row in range(4)]
    source = write(finding(1, **more[1]), finding(3, **more[3]))
    folder.rename("two")
    Path("two/1.png").rename("two/9.png")
    assert kept(source, "two") == ["0.png", "2.png"]
    assert "note: list.jsonl: 2 of 4 images are left out\n" in capsys.readouterr().err


def test_another_image_under_its_name_is_not_left_out(capsys):
    source = write(finding(1))
    Image.new("L", (20, 20), 9).save("one/1.png")
    assert kept(source, "one") == ["0.png", "1.png", "2.png", "3.png"]
    assert (
        "0 of 4 images are left out; 1 that it names are not among them" in capsys.readouterr().err
    )


def test_ids_and_paths_one_a_line(folder):
    Path("t.csv").write_text("path,id\none/0.png,a\none/1.png,b\none/2.png,c\none/3.png,d\n")
    assert kept(write("b", str(folder.absolute() / "0.png")), "t.csv") == ["2.png", "3.png"]
    assert kept(write("one/2.png", {"id": "d"}), "t.csv") == ["0.png", "1.png"]
    assert kept(write({"path": "one/2.png", "code": "empty"}), "t.csv") == [
        "0.png",
        "1.png",
        "3.png",
    ]


def test_an_image_that_nobody_hashed_is_known_by_its_id():
    Path("t.csv").write_text("path,id\none/0.png,a\none/1.png,b\n")
    record = finding(0, query_identity=None, query_meta={"id": "b"}, meta={"id": "a"})
    assert kept(write(record), "t.csv") == ["0.png"]
    itself = finding(0, query_identity=None, meta={"id": "a"})
    assert kept(write(itself), "t.csv") == ["1.png"]


def test_an_empty_list_leaves_nothing_out(capsys):
    assert len(kept(write(), "one")) == 4
    assert "list.jsonl: 0 of 4 images are left out\n" in capsys.readouterr().err


def test_bad_lists_are_refused():
    with pytest.raises(DataError, match=r"list.jsonl: line 2: expected a record of xmir audit"):
        read_exclusion(write(finding(0), {"finding": "leak"}))
    with pytest.raises(DataError, match="line 1: bad-record: not a JSON object"):
        read_exclusion(write("{"))
    with pytest.raises(DataError, match="says to leave out all 4 images"):
        kept(write(*map(finding, range(4))), "one")


def test_a_frame_is_left_out_and_the_others_of_its_file_stay():
    frames = [Image.new("L", (20, 20), shade) for shade in (10, 90, 200)]
    frames[0].save("f.tif", save_all=True, append_images=frames[1:])
    told = {"query": "f.tif#frame=2", "query_identity": f"{sha256_file('f.tif')}#frame=2"}
    source = write(told)
    Path("f.tif").rename("g.tif")
    assert kept(source, "g.tif#frame=*") == ["g.tif#frame=1", "g.tif#frame=3"]


def test_a_copy_leaves_the_training_set_where_only_that_is_asked_for():
    shutil.copy("one/1.png", "one/9.png")
    Path("t.csv").write_text(
        "path,id,split\none/1.png,a,train\none/2.png,c,train\none/9.png,b,test\n"
    )
    told = {"retrieved_identity": sha256_file("one/1.png"), "meta": {"id": "b"}}
    source = write(finding(1, **told, query_meta={"id": "a"}))
    assert kept(source, "t.csv", where=["split=train"]) == ["2.png"]
    assert kept(source, "t.csv", where=["split=test"]) == ["9.png"]
    Path("t.csv").write_text("path,id\none/1.png,a\none/2.png,c\n")
    assert kept(source, "t.csv") == ["2.png"]


def test_equal_files_of_one_name_are_told_apart_by_their_folders():
    for name in ("train", "test"):
        Path(f"old/{name}").mkdir(parents=True)
        shutil.copy("one/1.png", f"old/{name}/1.png")
    told = {"retrieved": "/old/test/1.png", "retrieved_identity": sha256_file("one/1.png")}
    source = write(finding(1, query="/old/train/1.png", finding="duplicate") | told)
    Path("old").rename("new")
    assert kept(source, "new/train/1.png", "new/test/1.png", "one/2.png") == ["1.png", "2.png"]
    listed = list_items(["new"], False, None, None, leaving_out(source, 1))
    assert [item.id for item in listed] == ["new/test/1.png"]
    assert kept(source, "new/train/1.png", "one/2.png") == ["2.png"]


@pytest.mark.parametrize("stays", ["b", "a"])
def test_of_equal_files_one_stays_and_it_is_the_one_that_is_told(stays):
    shutil.copy("one/1.png", "one/9.png")
    Path("t.csv").write_text("path,id\none/1.png,a\none/9.png,b\none/2.png,c\n")
    told = {"retrieved_identity": sha256_file("one/1.png"), "meta": {"id": stays}}
    source = write(finding(1, **{**told, "finding": "duplicate", "retrieved": "/x/none.png"}))
    name = {"a": "1.png", "b": "9.png"}[stays]
    assert kept(source, "t.csv") == sorted([name, "2.png"], reverse=name == "9.png")
    shutil.copy("one/1.png", "one/8.png")
    assert kept(source, "one/8.png", "one/2.png") == ["8.png", "2.png"]  # the only one stays
    assert kept(source, "one/1.png", "one/2.png") == ["2.png"]  # but for the one that is to leave
    by_name = finding(1, **{**told, "meta": {}, "retrieved": f"/x/{name}"})
    assert name in kept(write(by_name), "t.csv")
    everywhere = finding(1, **told | {"finding": "label"})  # nobody knows which is right
    assert kept(write(by_name, everywhere), "t.csv") == ["2.png"]
