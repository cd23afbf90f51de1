"""`xmir embed` of DICOM files: columns, windows that travel, and no word of a patient anywhere."""

import base64
import io
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402

CANARY = "CANARYPHI"


def dicom(path: Path, seed: int, **tags: object) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.{seed}"
    dataset.Rows, dataset.Columns = 36, 40
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    for keyword in ("PatientName", "PatientComments", "InstitutionName", "ImageComments"):
        setattr(dataset, keyword, CANARY)
    dataset.PatientID = f"{CANARY}{seed % 2}"
    dataset.add_new(0x00091001, "LO", CANARY)
    for keyword, value in {"Modality": "CR", **tags}.items():
        setattr(dataset, keyword, value)
    values = np.random.default_rng(seed).integers(0, 4096, (36, 40), dtype=np.uint16)
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())


@pytest.fixture
def embed(xmir, tiny_arch: str):
    def run(*arguments: object):
        model = ("--arch", tiny_arch, "--weights", "random:0", "--device", "cpu", "--batch", 2)
        return xmir("embed", *model, *arguments)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(4):
        dicom(tmp_path / "data" / f"{number}.dcm", number, ViewPosition="PA")
    return tmp_path / "data"


def test_the_file_tells_its_columns_and_what_was_done(embed, folder: Path):
    assert embed(folder, "-o", "a.parquet").code == 0
    table = pq.read_table("a.parquet")
    assert set(table["modality"].to_pylist()) == {"CR"}
    assert set(table["view_position"].to_pylist()) == {"PA"}
    assert set(table["patient"].to_pylist()) == {None}
    assert table["decoded"].to_pylist()[0].startswith("window ")


def test_patients_can_be_told_apart_by_a_key_alone(embed, folder: Path, monkeypatch):
    monkeypatch.setenv("XMIR_PATIENT_KEY", "secret")
    embed(folder, "-o", "a.parquet")
    first, second, third, fourth = pq.read_table("a.parquet")["patient"].to_pylist()
    assert first == third != second == fourth
    (folder / "labels.csv").write_text("path,patient\n0.dcm,p7\n1.dcm,\n")
    embed(folder / "labels.csv", "-o", "b.parquet")
    assert pq.read_table("b.parquet")["patient"].to_pylist() == ["p7", second]


def test_a_resumed_run_has_the_same_rows_and_no_other_keys(embed, folder: Path, monkeypatch):
    monkeypatch.setenv("XMIR_PATIENT_KEY", "secret")
    embed(folder, "-o", "a.parquet")
    again = embed(folder, "-o", "a.parquet", "--resume")
    assert "4 images of this model are there already" in again.stderr
    embed(folder, "-o", "b.parquet")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    monkeypatch.setenv("XMIR_PATIENT_KEY", "other")
    assert "0 images of this model" in embed(folder, "-o", "a.parquet", "--resume").stderr


def test_the_window_is_part_of_the_model(embed, folder: Path, xmir):
    embed(folder, "-o", "a.parquet", "--window", "2000,500")
    embed(folder, "-o", "b.parquet")
    assert pq.read_table("a.parquet")["embedding"] != pq.read_table("b.parquet")["embedding"]
    xmir("index", "a.parquet", "-o", "a.xmir")
    found = xmir("query", "-i", "a.xmir", folder / "1.dcm", "-k", 1).records()
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert found[0]["model"]["preprocessing"]["window"] == "2000,500"
    assert found[0]["meta"]["modality"] == "CR"
    refused = embed(folder, "-o", "c.parquet", "--window", "5")
    assert refused.code == 2
    assert refused.stderr.startswith("xmir: error: --window: expected auto, minmax, CENTRE,WIDTH")


def test_embeddings_of_the_time_before_windows_are_still_read(embed, folder: Path):
    from xmir_cli.store.embeddings import read_embeddings
    from xmir_cli.wire.model import ModelSpec

    embed(folder, "-o", "a.parquet")
    spec = read_embeddings("a.parquet").model
    old = json.loads(json.dumps(spec.to_json()))
    del old["preprocessing"]["window"]
    assert ModelSpec.from_json(old, "a").same_embedding(spec)


def test_one_frame_of_several_goes_through_the_pipe(embed, folder: Path, xmir):
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "SC_rgb_rle_2frame.dcm"
    result = embed(path, f"{path}#frame=2", folder, "-o", "a.parquet")
    assert result.code == 3
    assert "skipped" in result.stderr
    assert "multi-frame: 2 frames; name one" in result.stderr
    xmir("index", "a.parquet", "-o", "a.xmir")
    found = xmir("query", "-i", "a.xmir", f"{path}#frame=2", "-k", 2)
    assert found.records()[0]["retrieved"] == f"{path}#frame=2"
    maps = xmir("saliency", "-", "-o", "maps", "--device", "cpu", "--method", "activation",
                stdin=found.stdout)  # fmt: skip
    assert (maps.code, len(maps.records())) == (0, 2)
    page = xmir("montage", "-", "-o", "page.png", stdin=maps.stdout)
    assert (page.code, "skipped" in page.stderr) == (0, False)


def test_no_word_of_a_patient_reaches_any_output(embed, folder: Path, xmir):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", CANARY)
    info.add_itxt("Name", CANARY)
    grey = Image.fromarray(np.random.default_rng(9).integers(0, 256, (36, 40), dtype=np.uint8))
    grey.save(folder / "text.png", pnginfo=info)
    exif = Image.Exif()
    exif[0x010E] = exif[0x9C9C] = CANARY
    grey.save(folder / "exif.jpg", exif=exif, comment=CANARY.encode(), icc_profile=CANARY.encode())
    (folder / "cut.png").write_bytes((folder / "text.png").read_bytes()[:-40])
    dicom(folder / "broken.dcm", 5, PhotometricInterpretation=CANARY)
    dicom(folder / "short.dcm", 6, Modality=CANARY, ViewPosition=CANARY, Rows=3000)
    said = [embed(folder, "-o", "a.parquet"), xmir("index", "a.parquet", "-o", "a.xmir")]
    said.append(xmir("query", "-i", "a.xmir", folder, "-k", 3))
    said.append(xmir("saliency", "-", "-o", "maps", "--method", "activation",
                     stdin=said[-1].stdout))  # fmt: skip
    said.append(xmir("montage", "-", "-o", "page.png", stdin=said[-1].stdout))
    said.append(xmir("report", "-", "-o", "page.html", stdin=said[3].stdout))
    said += [xmir("info", path, "--format", "jsonl") for path in sorted(folder.iterdir())]
    assert "skipped" in said[0].stderr
    assert said[4].code == 0
    for result in said:
        assert CANARY not in result.stdout + result.stderr
    assert said[5].code == 0
    page = Path("page.html").read_text(encoding="utf-8")
    for number, coded in enumerate(re.findall(r'base64,([^"]+)', page)):
        Path("a.xmir", f"{number}.picture").write_bytes(base64.b64decode(coded))
    written = [Path("a.parquet"), Path("page.png"), Path("page.html"), *Path("a.xmir").iterdir()]
    written += [path for path in Path("maps").rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        assert CANARY.encode() not in path.read_bytes(), path


def test_files_without_an_ending_are_embedded_as_on_a_cd(embed, tmp_path):
    for number in range(2):
        (tmp_path / "cd").mkdir(exist_ok=True)
        dicom(tmp_path / "cd" / f"IM00000{number}", number)
    Image.new("L", (40, 36)).save(tmp_path / "cd" / "a.png")
    (tmp_path / "cd" / "autorun.inf").write_text("[autorun]")
    result = embed(tmp_path / "cd", "-o", "cd.parquet")
    assert (result.code, result.records()[0]["rows"]) == (0, 3)
    assert "1 file is no image and is left out of the folders: 1 .inf" in result.stderr
