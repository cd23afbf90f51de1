"""Frames of one file are images of their own: in maps, caches, labels, patients and rankings."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LABELS, PATIENTS = ("normal", "covid", "pneumonia"), ("p1", "p2", "p3")


def pictures() -> list[np.ndarray]:
    """Three pictures as large as the network's input, of which no two are alike anywhere."""
    rng = np.random.default_rng(5)
    found = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    found[0, :16] //= 4
    found[1, :, :16] //= 4
    found[2, 8:24, 8:24] //= 4
    return list(found)


def write_tiff(name: str) -> None:
    pages = [Image.fromarray(each) for each in pictures()]
    pages[0].save(name, save_all=True, append_images=pages[1:])


def write_dicom(name: str) -> None:
    pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows = dataset.Columns = 32
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.NumberOfFrames = 7, 0, 3
    dataset.PixelData = np.stack(pictures()).tobytes()
    dataset.save_as(name, enforce_file_format=True)


@pytest.fixture(params=[write_tiff, write_dicom], ids=["a.tif", "a.dcm"])
def file(request: pytest.FixtureRequest) -> str:
    name = {write_tiff: "a.tif", write_dicom: "a.dcm"}[request.param]
    request.param(name)
    for number, each in enumerate(pictures(), start=1):
        Image.fromarray(each).save(f"{number}.png")
    return name


@pytest.fixture
def network(tiny_arch: str) -> list[str]:
    return ["--arch", tiny_arch, "--weights", "random:0"]


@pytest.fixture
def index(xmir, file: str, network: list[str]) -> str:
    """The frames with a label and a patient each; of one patient there is a second image."""
    Image.fromarray(255 - pictures()[2]).save("other.png")
    rows = [f"{file}#frame={n + 1},{LABELS[n]},{PATIENTS[n]}" for n in range(3)]
    Path("m.csv").write_text("\n".join(["path,label,patient", *rows, "other.png,covid,p3"]))
    assert xmir("embed", "m.csv", *network, "-o", "a.parquet").code == 0
    assert xmir("index", "a.parquet", "-o", "a.xmir").code == 0
    return "a.xmir"


def name_of(file: str, frame: int) -> str:
    return f"{file}#frame={frame}"


def hits(result) -> list[str]:
    assert result.code == 0, result.stderr
    return [record["meta"]["id"] for record in result.records()]


@pytest.mark.parametrize(
    "method", [["--method", "activation"], ["--method", "occlusion", "--window-size", "8"]]
)
def test_frames_get_maps_of_their_own(xmir, file: str, network: list[str], method: list[str]):
    names = [name_of(file, number) for number in (1, 2, 3)]
    made = xmir("saliency", *network, *method, "-o", "maps", stdin="\n".join(names))
    plain = xmir(
        "saliency", *network, *method, "-o", "plain", stdin="\n".join(f"{n}.png" for n in (1, 2, 3))
    )
    found = [record["saliency"] for record in made.records()]
    expected = [record["saliency"] for record in plain.records()]
    assert len(set(found)) == len(set(expected)) == 3
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(np.load(one), np.load(other))


def test_three_answers_of_a_frame_get_three_maps(xmir, file: str, index: str):
    asked = xmir("query", "--id", name_of(file, 1), "-i", index, "--top", 3)
    made = xmir("saliency", "--method", "activation", "-o", "maps", stdin=asked.stdout)
    assert made.code == 0, made.stderr
    assert len({record["saliency"] for record in made.records()}) == 3
    again = xmir("saliency", "--method", "activation", "-o", "maps", stdin=asked.stdout)
    assert again.records() == made.records()


def test_what_is_kept_of_one_frame_is_not_used_for_another(xmir, file: str, network: list[str]):
    occlusion = ["--method", "occlusion", "--window-size", "8", "--stride", "8", "--cache", "kept"]

    def map_of(name: str, folder: str) -> np.ndarray:
        made = xmir("saliency", *network, *occlusion, "-o", folder, stdin=name)
        return np.load(made.records()[0]["saliency"])

    first = map_of(name_of(file, 1), "one")
    second = map_of(name_of(file, 2), "two")
    assert np.array_equal(second, map_of("2.png", "three"))
    assert np.array_equal(first, map_of("1.png", "four"))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_a_frame_has_its_own_label_and_finds_itself(xmir, file: str, index: str, frame: int):
    (hit,) = xmir("query", name_of(file, frame), "-i", index, "--top", 1).records()
    assert hit["retrieved"].endswith(name_of(file, frame))
    assert hit["query_label"] == hit["retrieved_label"] == LABELS[frame - 1]
    assert hit["match"] is True
    assert hit["similarity"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("way", [[], ["--id"]])
def test_only_the_frame_itself_is_left_out(xmir, file: str, index: str, way: list[str]):
    asked = xmir("query", *way, name_of(file, 3), "-i", index, "--top", 9, "--no-self")
    assert sorted(hits(asked)) == sorted([name_of(file, 1), name_of(file, 2), "other.png"])


@pytest.mark.parametrize("way", [[], ["--id"]])
def test_only_the_frames_own_patient_is_left_out(xmir, file: str, index: str, way: list[str]):
    same = ["--exclude-same", "patient"]
    asked = xmir("query", *way, name_of(file, 3), "-i", index, "--top", 9, *same)
    assert sorted(hits(asked)) == [name_of(file, 1), name_of(file, 2)]
    asked = xmir("query", *way, name_of(file, 1), "-i", index, "--top", 9, *same)
    assert sorted(hits(asked)) == sorted([name_of(file, 2), name_of(file, 3), "other.png"])


def test_a_copy_of_the_file_under_another_name_is_the_same_frame(xmir, file: str, index: str):
    Path("copy").write_bytes(Path(file).read_bytes())
    (hit, *_) = xmir("query", "copy#frame=2", "-i", index, "--top", 1).records()
    assert (hit["query_label"], hit["match"]) == ("covid", True)
    without = xmir("query", "copy#frame=2", "-i", index, "--top", 9, "--no-self")
    assert name_of(file, 2) not in hits(without)


def test_frames_are_scored_as_their_pictures_are(xmir, file: str, network: list[str]):
    def numbers(names: list[str], folder: str) -> list[tuple[float, float]]:
        made = xmir(
            "saliency", *network, "--method", "activation", "-o", folder, stdin="\n".join(names)
        )
        scored = xmir("causal-metric", "--curve-steps", 4, stdin=made.stdout)
        assert scored.code == 0, scored.stderr
        return [(record["insertion"], record["deletion"]) for record in scored.records()]

    frames = numbers([name_of(file, number) for number in (1, 2, 3)], "maps")
    assert frames == numbers([f"{number}.png" for number in (1, 2, 3)], "plain")
    assert len(set(frames)) == 3


def test_all_frames_are_embedded_by_one_name(xmir, file: str, network: list[str]):
    done = xmir("embed", name_of(file, 0).replace("=0", "=*"), *network, "-o", "all.parquet")
    assert (done.code, done.records()[0]["rows"]) == (0, 3)
    some = xmir("embed", f"{file}#frame=2-4", *network, "-o", "some.parquet")
    assert (some.code, some.records()[0]["rows"]) == (3, 2)
    assert f"skipped {name_of(file, 4)}: bad-frame" in some.stderr


def test_classes_and_training_see_the_frames(xmir, file: str, network: list[str]):
    rows = [f"{file}#frame={n},{label}" for n, label in ((1, "a"), (2, "b"), (3, "b"))]
    Path("m.csv").write_text("\n".join(["path,label", *rows, "1.png,a"]))
    named = ["path,label", "1.png,a", "2.png,b", "3.png,b", "1.png,a"]
    Path("p.csv").write_text("\n".join(named))
    for table in ("m.csv", "p.csv"):
        out = xmir("diff-saliency", table, *network, "-o", table[0])
        assert out.code == 0, out.stderr
    for picture in ("a-minus-b.npy", "mean-b.npy"):
        assert np.array_equal(np.load(f"m/{picture}"), np.load(f"p/{picture}"))


def test_pages_show_the_frames(xmir, file: str, index: str):
    asked = xmir("query", name_of(file, 1), "-i", index, "--top", 3)
    assert xmir("montage", "-o", "frames.png", stdin=asked.stdout).code == 0
    lines = []
    for record in asked.records():
        hit = record["meta"]["id"]
        number = hit.removeprefix(f"{file}#frame=")
        plain = f"{number}.png" if hit != number else hit
        known = {key: value for key, value in record.items() if not key.endswith("_identity")}
        lines.append(json.dumps({**known, "query": "1.png", "retrieved": plain, "meta": {}}))
    assert xmir("montage", "-o", "plain.png", stdin="\n".join(lines)).code == 0
    shown, expected = (np.asarray(Image.open(name)) for name in ("frames.png", "plain.png"))
    pictures_only = slice(0, 224)  # captions below differ
    assert shown.shape[1] == expected.shape[1]
    assert np.array_equal(shown[pictures_only], expected[pictures_only])


def shown(result) -> list[str]:
    assert result.code == 0, result.stderr
    return [Path(record["retrieved"]).name for record in result.records()]


def test_one_name_asks_saliency_for_several_frames(xmir, file: str, network: list[str]):
    ask = ["saliency", *network, "--method", "activation", "-o", "maps"]
    frames = [name_of(file, number) for number in (1, 2, 3)]
    made = xmir(*ask, stdin=f"{file}#frame=*\n1.png")
    assert shown(made) == [record["path"] for record in made.records()] == [*frames, "1.png"]
    bad = xmir(*ask, stdin=f"1.png\n{file}#frame=3-2")
    assert bad.code == 3
    assert "skipped line 2: bad-frame: frame: expected FIRST-LAST" in bad.stderr
    pair = xmir(*ask, "--query", "1.png", "--image", f"{file}#frame=2-3", "--image", "2.png")
    assert shown(pair) == [*frames[1:], "2.png"]
    bad = xmir(*ask, "--query", "1.png", "--image", f"{file}#frame=0-2")
    assert (bad.code, "--image" in bad.stderr) == (2, True)


def test_frames_may_be_negatives(xmir, file: str, network: list[str]):
    ask = ["saliency", *network, "--method", "attention", "--tuple", "quadruplet", "-o", "maps"]
    pair = ["--query", "1.png", "--image", "2.png"]
    (one,) = xmir(*ask, *pair, "--negative", f"{file}#frame=1-2").records()
    apart = ["--negative", name_of(file, 1), "--negative", name_of(file, 2)]
    (other,) = xmir(*ask, *pair, *apart).records()
    assert one == other


@pytest.mark.parametrize("flag", ["--query", "--contrast"])
def test_one_image_is_not_several(xmir, file: str, network: list[str], flag: str):
    pair = {"--query": "1.png", "--image": "2.png", flag: f"{file}#frame=*"}
    words = [word for each in pair.items() for word in each]
    done = xmir("saliency", *network, "--method", "activation", "-o", "maps", *words)
    assert done.code == 2
    reason = "the name stands for 3 pictures, and one is needed"
    assert f"{flag} {file}#frame=*: {reason}" in done.stderr
    pair[flag] = f"{file}#frame=2-2"
    words = [word for each in pair.items() for word in each]
    assert xmir("saliency", *network, "--method", "activation", "-o", "maps", *words).code == 0


def test_info_tells_how_many_pictures_a_file_has(xmir, file: str):
    (record,) = xmir("info", name_of(file, 2)).records()
    assert record["pictures"] == 3
    whole = xmir("info", file)
    if file == "a.tif":
        assert whole.records()[0]["pictures"] == 3
    else:  # as `embed` says
        assert (whole.code, whole.stdout) == (5, "")
        assert "multi-frame: 3 frames; name one: FILE#frame=1" in whole.stderr
