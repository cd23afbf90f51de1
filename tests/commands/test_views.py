"""Whatever the network sees of a picture: maps, overlays, regions, points, matches lie where they
belong in the upright original."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NETWORK = f"{Path(__file__).parents[1] / 'networks' / 'bright.py'}:network"
MODEL = ("--arch", NETWORK, "--weights", "random:0", "--device", "cpu")
SPOTS = {  # size, and where the bright spot is
    "land.png": ((150, 100), (20, 80)),
    "port.png": ((100, 150), (80, 20)),
    "turned.jpg": ((150, 100), (20, 80)),  # its pixels lie on their side
    "turned.png": ((150, 100), (20, 80)),
    "turned.tif": ((150, 100), (20, 80)),
    "mid.png": ((150, 100), (75, 50)),
}


def _draw(name: str) -> None:
    (width, height), (x, y) = SPOTS[name]
    rows, columns = np.mgrid[0:height, 0:width]
    values = 90 + 30 * np.sin(columns / 12) + 20 * np.cos(rows / 9)
    values[(columns - x) ** 2 + (rows - y) ** 2 < 10**2] = 255
    picture = Image.fromarray(values.astype(np.uint8))
    exif = Image.Exif()
    if name.startswith("turned"):
        picture, exif[274] = picture.transpose(Image.Transpose.ROTATE_90), 6
    picture.save(name, exif=exif, **({"quality": 98} if name.endswith("jpg") else {}))


@pytest.fixture(autouse=True)
def _pictures() -> None:
    for name in SPOTS:
        _draw(name)


def _open(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture, dtype=float)


def _centre(record: dict) -> tuple[float, float]:
    """Where the strong part of a map lies in the original."""
    saliency = np.load(record["saliency"])
    assert saliency.shape == (96, 96)
    rows, columns = np.nonzero(saliency > saliency.max() / 2)
    left, top, width, height = record["roi"]
    return left + (columns.mean() + 0.5) * width / 96, top + (rows.mean() + 0.5) * height / 96


@pytest.mark.parametrize("method", ["activation", "occlusion"])
@pytest.mark.parametrize("view", ["pad", "squash"])
def test_maps_lie_on_what_is_seen_up_to_the_corners(xmir, view: str, method: str):
    images = [flag for name in SPOTS for flag in ("--image", name)]
    done = xmir("saliency", "--query", "mid.png", *images, *MODEL, "--view", view,
                "--method", method, "-o", "maps")  # fmt: skip
    assert done.code == 0, done.stderr
    for record, (size, spot) in zip(done.records(), SPOTS.values(), strict=True):
        assert record["model"]["preprocessing"]["view"] == view
        assert record["image_size"] == list(size)
        assert _centre(record) == pytest.approx(spot, abs=7)
        overlay = _open(record["overlay"])
        assert overlay.shape[1::-1] == size
        coloured = np.ptp(overlay, axis=2) > 40
        rows, columns = np.nonzero(coloured)
        assert (columns.mean(), rows.mean()) == pytest.approx(spot, abs=7)


def test_a_crop_does_not_see_the_corners(xmir):
    done = xmir("saliency", "--query", "mid.png", "--image", "mid.png", *MODEL, "-o", "maps",
                "--method", "activation")  # fmt: skip
    (record,) = done.records()
    assert "view" not in record["model"]["preprocessing"]
    assert record["roi"] == [25, 0, 100, 100]
    assert _centre(record) == pytest.approx((75, 50), abs=7)


@pytest.mark.parametrize("method", ["activation", "occlusion", "gradcam", "random", "rise"])
def test_a_map_is_zero_beyond_the_picture_and_says_what_was_cut(xmir, method: str):
    done = xmir("saliency", "--query", "mid.png", "--image", "port.png", *MODEL, "-o", "maps",
                "--view", "pad", "--method", method)  # fmt: skip
    (record,) = done.records()
    saliency = np.load(record["saliency"])
    assert record["roi"] == [-25, 0, 150, 150]
    assert not saliency[:, :16].any()
    assert not saliency[:, 80:].any()
    assert saliency[:, 16:80].any()
    assert 0 < record["details"]["beyond"] < 1


@pytest.fixture
def make_index(xmir):
    def make(view: str, *flags: str) -> None:
        done = xmir("embed", *SPOTS, *MODEL, "--view", view, *flags, "-o", "e.parquet")
        assert done.code == 0, done.stderr
        assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0

    return make


@pytest.mark.parametrize("view", ["pad", "squash"])
def test_a_region_is_one_of_the_upright_picture(xmir, make_index, view: str):
    make_index(view)
    shares = []
    for name in ("land.png", "turned.jpg", "turned.png", "turned.tif"):
        for region in ("10,70,20,20", "100,10,20,20"):
            done = xmir("query", name, "--region", region, "-i", "e.xmir", "--top", 1)
            assert ("the upright picture, 150 x 100 pixels" in done.stderr) == (name != "land.png")
            shares.append(done.records()[0]["share"])
    assert min(shares[::2]) > 0.5
    assert max(shares[1::2]) < 0.05
    assert shares[::2] == pytest.approx([shares[0]] * 4, abs=0.01)


@pytest.mark.parametrize("view", ["pad", "squash"])
def test_points_and_matches_lie_in_the_upright_picture(xmir, make_index, view: str):
    make_index(view, "--features")
    hits = xmir("query", "turned.jpg", "-i", "e.xmir", "--top", 6).stdout
    Path("hits.jsonl").write_text(hits)
    for features in ("from the index", "computed"):
        done = xmir("saliency", "hits.jsonl", "--method", "activation", "--matches", 1, "-o", "m")
        for record in done.records():
            name = Path(record["retrieved"]).name
            (match,) = record["details"]["matches"]
            for side, spot in (("query", (20, 80)), ("retrieved", SPOTS[name][1])):
                left, top, width, height = match[side]
                assert (left + width / 2, top + height / 2) == pytest.approx(spot, abs=12), features
        on, off = (
            xmir("saliency", "hits.jsonl", "--method", "activation", "--point", point, "-o", "m")
            for point in ("20,80", "120,20")
        )
        assert "turned.jpg: turned by its EXIF orientation; the point is one of the upright" in (
            on.stderr
        )
        shares = [[r["details"]["share"] for r in done.records()] for done in (on, off)]
        assert min(shares[0]) > 5 * max(shares[1])
        beyond = xmir("saliency", "hits.jsonl", "--method", "activation", "--point", "80,120",
                      "-o", "m")  # fmt: skip
        assert beyond.code == 2
        assert "80,120: beyond the image, which is 150 x 100 pixels when upright" in beyond.stderr
        records = [{**json.loads(line)} for line in hits.splitlines()]
        for record in records:
            del record["index"]
        Path("hits.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def test_scores_count_the_picture_alone(xmir):
    done = xmir("saliency", "--query", "mid.png", "--image", "port.png", *MODEL, "-o", "maps",
                "--view", "pad", "--method", "activation,random")  # fmt: skip
    scored = xmir("causal-metric", "-", "--control", "random", stdin=done.stdout)
    assert scored.code == 0, scored.stderr
    by_method = {record["method"]: record for record in scored.records()}
    # the control is the method of that name: it has no more to do beyond the picture
    scored = by_method["activation"]
    for key in ("insertion", "deletion"):
        assert scored[f"{key}_control"]["random"] == pytest.approx(
            by_method["random"][key], abs=1e-4
        )
    checked = xmir("sanity-check", "-", "--method", "random", "--seeds", 2, stdin=done.stdout)
    last = checked.records()[-1]
    assert last["spearman"] == 1


def test_class_averages_leave_out_what_lies_beyond(xmir):
    Path("t.csv").write_text("path,label\nland.png,a\nturned.png,a\nmid.png,b\nturned.tif,b\n")
    done = xmir("diff-saliency", "t.csv", *MODEL, "--view", "pad", "--method", "activation",
                "-o", "d")  # fmt: skip
    assert done.code == 0, done.stderr
    saliency = np.load(done.records()[0]["saliency"])
    assert saliency.any()
    assert not saliency[:16].any()
    assert not saliency[80:].any()


def test_records_say_how_their_images_are_prepared(xmir):
    done = xmir("saliency", "-", "--view", "pad", stdin="")
    assert done.code == 2
    assert "--view: records say how their images are prepared" in done.stderr


@pytest.mark.parametrize("view", ["crop", "pad", "squash"])
def test_fast_decoding_moves_no_map(xmir, view: str):
    Image.fromarray(_open("mid.png").astype(np.uint8)).resize((1200, 800)).save("large.jpg")
    done = xmir("embed", "large.jpg", *MODEL, "--view", view, "--fast-decode", "-o", "e.parquet")
    assert done.code == 0, done.stderr
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    hits = xmir("query", "large.jpg", "-i", "e.xmir").stdout
    done = xmir("saliency", "-", "--method", "activation", "-o", "m", stdin=hits)
    (record,) = done.records()
    assert record["model"]["preprocessing"]["jpeg"] == "reduced"
    assert record["image_size"] == [1200, 800]
    assert _centre(record) == pytest.approx((600, 400), abs=56)
    assert _open(record["overlay"]).shape == (800, 1200, 3)
