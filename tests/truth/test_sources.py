"""Masks and boxes are found for the image that they belong to, whatever keeps them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import DataError, ItemError, SettingError
from xmir_cli.truth.marks import MarkedImage, merge
from xmir_cli.truth.sources import open_truth

SIZE = (6, 4)  # width, height


def write(path: str, rows: slice, columns: slice, size=SIZE, level=255) -> np.ndarray:
    """A mask of that part of a picture, stored as its ending says."""
    mask = np.zeros(size[::-1], np.uint8)
    mask[rows, columns] = level
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".npy"):
        np.save(path, mask)
    else:
        Image.fromarray(mask).save(path)
    return mask > 0


def found(truth, name: str, columns=None, by=None, size=SIZE) -> dict[str, np.ndarray]:
    shapes = truth.of(MarkedImage(name, columns or {}), size)
    return {} if shapes is None else {mark.name: mark.mask for mark in merge(shapes, by)}


@pytest.mark.parametrize("ending", [".png", ".npy", ".tif"])
@pytest.mark.parametrize("level", [1, 255])
def test_a_mask_of_any_kind_is_what_is_not_zero(ending, level):
    mask = write(f"m/a{ending}", slice(1, 3), slice(2, 5), level=level)
    np.testing.assert_array_equal(found(open_truth("m", None, None), "x/a.jpg")[""], mask)


def test_labels_count_each_and_what_was_stored_with_losses_counts_from_half_on():
    values = np.array([[0, 1, 2, 3, 0, 0]] * 4, np.uint8)
    Path("m").mkdir()
    Image.fromarray(values).save("m/a.png")
    np.testing.assert_array_equal(found(open_truth("m", None, None), "a.png")[""], values > 0)
    soft = np.linspace(0, 250, 64).reshape(8, 8).astype(np.uint8)
    Image.fromarray(soft).save("m/b.png")
    half = found(open_truth("m", None, None), "b.png", size=(8, 8))[""]
    np.testing.assert_array_equal(half, soft > 125)


@pytest.mark.parametrize(("name", "quality"), [("m/a.jpg", 75), ("m/a.jpg", 95), ("m/a.png", 75)])
def test_a_mask_is_not_grown_by_what_jpeg_does_to_its_edge(name, quality):
    """Of few values as it has, whether it is stored as JPEG or was, before it became a PNG."""
    mask = np.zeros((128, 128), bool)
    mask[50:70, 53:73] = True
    Path("m").mkdir()
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save("m/a.jpg", quality=quality)
    with Image.open("m/a.jpg") as picture:
        values = np.asarray(picture)
    assert 2 < len(np.unique(values)) <= 32
    if name.endswith(".png"):
        Path("m/a.jpg").unlink()
        Image.fromarray(values).save(name)
    seen = found(open_truth("m", None, None), "a.png", size=(128, 128))[""]
    np.testing.assert_array_equal(seen, mask)


def test_a_column_names_a_mask_from_the_image_folder_upwards():
    mask = write("data/masks/a.png", slice(0, 2), slice(0, 3))
    write("data/images/a.png", slice(0, 4), slice(0, 6))
    truth = open_truth("mask", None, None)
    for cell in ("masks/a.png", str(Path("data/masks/a.png").absolute())):
        columns = {"mask": cell, "label": "x"}
        np.testing.assert_array_equal(found(truth, "data/images/a.png", columns)[""], mask)
    # a bare name beside the image is the image itself
    with pytest.raises(ItemError, match=r"missing: mask: no such file \(a.png\)"):
        found(truth, "data/images/a.png", {"mask": "a.png"})
    assert found(truth, "data/images/a.png", {"mask": None}) == {}
    assert found(truth, "data/images/a.png", {"mask": ""}) == {}
    with pytest.raises(ItemError, match="bad-record: mask: expected the file of a mask"):
        found(truth, "data/images/a.png", {"mask": 7})


def test_several_columns_are_one_mask_or_told_apart():
    left = write("l/a.png", slice(0, 4), slice(0, 2))
    right = write("r/a.npy", slice(0, 4), slice(4, 6))
    truth, columns = open_truth("left,right", None, None), {"left": "l/a.png", "right": "r/a.npy"}
    np.testing.assert_array_equal(found(truth, "i/a.png", columns)[""], left | right)
    apart = found(truth, "i/a.png", columns, by="column")
    assert list(apart) == ["left", "right"]
    np.testing.assert_array_equal(apart["right"], right)


def test_a_column_that_no_image_has_is_said_with_the_one_that_was_meant():
    truth = open_truth("maks", None, None)
    assert found(truth, "a.png", {"mask": "m.png", "label": "x"}) == {}
    assert truth.say_nothing() == (
        "maks: neither a folder nor a column of these records; did you mean mask?"
    )


def test_a_table_of_masks_has_several_for_an_image_told_apart_by_a_column():
    first = write("t/m/a1.png", slice(0, 1), slice(0, 6))
    second = write("t/m/a2.png", slice(2, 3), slice(0, 6))
    Path("t/masks.csv").write_text(
        "image,mask,reader\nimages/a.png,m/a1.png,ann\nimages/a.png,m/a2.png,bo\nb.png,,ann\n"
    )
    truth = open_truth("t/masks.csv", None, ["path=image"])
    np.testing.assert_array_equal(found(truth, "t/images/a.png")[""], first | second)
    apart = found(truth, "t/images/a.png", by="reader")
    np.testing.assert_array_equal(apart["ann"], first)
    np.testing.assert_array_equal(apart["bo"], second)
    assert found(truth, "b.png") == {}
    assert found(truth, "t/other/a.png") == {}
    Path("t/other.csv").write_text("path,mask_file\na.png,m/a1.png\n")
    with pytest.raises(DataError, match="expected a column 'mask', found path, mask_file"):
        open_truth("t/other.csv", None, None)


def test_a_mask_of_another_size_is_refused_in_words():
    write("m/a.png", slice(0, 2), slice(0, 2), size=(4, 6))
    with pytest.raises(ItemError) as caught:
        found(open_truth("m", None, None), "a.png")
    assert caught.value.reason == (
        "wrong-size: expected 6 x 4 pixels as the image, found 4 x 6 (m/a.png)"
    )
    np.save("m/b.npy", np.zeros((2, 2, 2, 2)))
    with pytest.raises(ItemError, match=r"bad-mask: m/b.npy: expected a mask \[height, width\]"):
        found(open_truth("m", None, None), "b.png")


def test_each_frame_has_a_mask_of_its_own():
    masks = np.zeros((3, 4, 6), bool)
    masks[1, 1, 1] = masks[2, 2, 2] = True
    Path("m").mkdir()
    np.save("m/s.npy", masks)
    truth = open_truth("m", None, None)
    for frame in (1, 2, 3):
        np.testing.assert_array_equal(found(truth, f"s.dcm#frame={frame}")[""], masks[frame - 1])
    with pytest.raises(ItemError, match="bad-frame: there is no frame 4, only 1 to 3"):
        found(truth, "s.dcm#frame=4")
    second = write("m/s-frame-2.png", slice(0, 1), slice(0, 1))
    np.testing.assert_array_equal(found(truth, "s.dcm#frame=2")[""], second)


def test_data_sets_put_words_behind_the_name():
    Path("m").mkdir()
    truth = open_truth("m", None, None)
    for tail in ("_segmentation", "_mask", ""):
        mask = write(f"m/ISIC_7{tail}.png", slice(0, len(tail) % 3 + 1), slice(0, 2))
        np.testing.assert_array_equal(found(truth, "i/ISIC_7.jpg")[""], mask)


def test_dots_in_a_name_are_no_ending():
    mask = write("m/1.2.840.png", slice(0, 1), slice(0, 1))
    write("m/1.2.png", slice(0, 4), slice(0, 1))
    np.testing.assert_array_equal(found(open_truth("m", None, None), "1.2.840")[""], mask)


BOXES = {
    "b.csv": "path,x,y,w,h,class\na.png,1,1,2,2,one\na.png,4,0,1,4,two\nb.png,,,,,\n",
    "c.csv": "path,class,x,y,width,height\na.png,one,1,1,2,2\na,two,4,0,1,4\nb.png,,,,,\n",
    "b.tsv": "path\tx\ty\tw\th\tclass\na.png\t1\t1\t2\t2\tone\n"
    "a.png\t4.0\t0\t1\t4\ttwo\nb\t\t\t\t\t\n",
    "list.json": json.dumps(
        [
            {"path": "a.png", "x": 1, "y": 1, "w": 2, "h": 2, "class": "one"},
            {"path": "a.png", "box": [4, 0, 1, 4], "class": "two"},
            {"path": "b.png", "box": None},
        ]
    ),
    "names.json": json.dumps({"a.png": [[1, 1, 2, 2], [4, 0, 1, 4]], "b.png": []}),
    "coco.json": json.dumps(
        {
            "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
            "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
            "annotations": [
                {"image_id": 7, "category_id": 1, "bbox": [1, 1, 2, 2]},
                {"image_id": 7, "category_id": 2, "bbox": [4, 0, 1, 4]},
            ],
        }
    ),
}
BOXES["lines.jsonl"] = "\n".join(map(json.dumps, json.loads(BOXES["list.json"])))


@pytest.mark.parametrize("name", BOXES)
def test_boxes_of_any_table_are_the_pixels_that_they_cover(name):
    Path(name).write_text(BOXES[name])
    truth = open_truth(None, Path(name), None)
    expected = np.zeros((4, 6), bool)
    expected[1:3, 1:3] = True
    expected[:, 4] = True
    np.testing.assert_array_equal(found(truth, "deep/a.png")[""], expected)
    assert not found(truth, "b.png")[""].any()  # known to have none
    assert found(truth, "c.png") == {}  # not known
    by = {"names.json": None, "coco.json": "category"}.get(name, "class")
    if by:
        apart = found(truth, "a.png", by=by)
        assert {key: int(mask.sum()) for key, mask in apart.items()} == {"one": 4, "two": 4}


def test_a_box_is_at_least_a_pixel_and_ends_with_its_image():
    boxes = ("2.4,1.4,0.1,0.1", "-0.4,-0.4,7,5", "0.5,0.5,1,1", "3,0,4,4", "3,0,8,4")
    rows = [f"{name}.png,{box}\n" for name, box in zip("abcde", boxes, strict=True)]
    Path("b.csv").write_text("path,x,y,w,h\n" + "".join(rows))
    truth = open_truth(None, Path("b.csv"), None)
    assert np.argwhere(found(truth, "a.png")[""]).tolist() == [[1, 2]]
    assert found(truth, "b.png")[""].all()
    assert np.argwhere(found(truth, "c.png")[""]).tolist() == [[0, 0]]
    assert found(truth, "d.png")[""].sum() == 12
    with pytest.raises(ItemError) as caught:
        found(truth, "e.png")
    assert caught.value.reason == ("wrong-size: the box 3, 0, 8, 4 reaches beyond the image, 6 x 4")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("b.csv", "path,x,y,w,h\na.png,1,2,0,4\n", "row 1: expected a box x, y, w, h in pixels"),
        ("b.csv", "path,x,y,w,h\na.png,1,,3,4\n", "found 1, None, 3, 4"),
        ("b.csv", "path,x,y,w,h\na.png,1,two,3,4\n", "found 1, two, 3, 4"),
        ("b.csv", "path,x,y,w\na.png,1,2,3\n", "expected columns x, y, w, h; there are path"),
        ("b.csv", "name,x,y,w,h\na.png,1,2,3,4\n", "expected a column 'path'"),
        ("b.json", "[{}]", "entry 1: path: expected a file, found None"),
        ("b.json", '{"a.png": [1, 2, 3, 4]}', "'a.png': expected a list of boxes [x, y, w, h]"),
        ("b.json", '{"a.png": [[1, 2, 3]]}', "row 1: expected a box"),
        ("b.json", '{"a.png": [[1, 2, 3, true]]}', "row 1: expected a box"),
        ("b.json", '[{"path": "a.png", "box": "1234"}]', "row 1: expected a box"),
        ("b.json", "{", "not JSON"),
        ("b.json", "[" * 100_000, "not JSON"),
        ("b.json", '{"annotations": [{"image_id": 1}]}', "images: expected a list of objects"),
        (
            "b.json",
            '{"images": [], "annotations": [{"image_id": 1}]}',
            "annotation 1: image_id: no such image in it",
        ),
        ("b.jsonl", "{}\n[]", "entries: expected a list of objects"),
    ],
)
def test_what_is_no_table_of_boxes_is_refused_at_once(name, text, expected):
    Path(name).write_text(text)
    with pytest.raises(DataError) as caught:
        open_truth(None, Path(name), None)
    assert expected in str(caught.value)


def test_two_places_of_one_truth_cannot_be_meant():
    with pytest.raises(SettingError, match=r"expected a \.csv"):
        open_truth(None, Path("boxes.txt"), None)
    with pytest.raises(SettingError, match="only with a table"):
        open_truth("mask", None, ["path=image"])
    with pytest.raises(DataError, match=r"\./none: no such folder"):
        open_truth("./none", None, None)
