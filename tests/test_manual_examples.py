"""Every shell line of the manual runs as it stands, on tiny images and under a tiny network."""

import contextlib
import io
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli import main, manual
from xmir_cli.errors import Status
from xmir_cli.manual.examples import examples

EXAMPLES = examples()
LABELS = ("normal", "covid-19", "pneumonia")
TINY = {
    "--arch": f"{Path(__file__).parent / 'networks' / 'tiny.py'}:network",
    "--weights": "random:0",
}
PREPARED = (
    EXAMPLES["xmir train"][0][1],
    EXAMPLES["xmir train"][0][1].replace("run1", "run2") + " --seed 1",
    EXAMPLES["xmir embed"][0][1],
    EXAMPLES["xmir index"][0][1],
    EXAMPLES["xmir embed"][0][1].replace("run1", "run2").replace("cxr", "retrained"),
    "xmir retrieval-metric cxr.parquet > means.jsonl",
    "xmir query q/*.png --top 3 > hits.jsonl",
    "xmir query q/*.png --top 3 | xmir saliency --method activation -o earlier > maps.jsonl",
    "xmir causal-metric maps.jsonl > yesterday.jsonl",
    EXAMPLES["xmir concept"][0][1],
)
CASES = [
    pytest.param(line, id=f"{command} {number}")
    for command, shown in EXAMPLES.items()
    for number, (_, line) in enumerate(shown, start=1)
]
STAND_INS = {"fzf": ["head", "-2"]}  # of what asks a person
TEXTS = [
    pytest.param(line, id=f"{file.stem} {number}")
    for file in sorted(Path(manual.__file__).parent.glob("*.md"))
    if file.stem != "examples"
    for number, line in enumerate(re.findall(r"```sh\n(.*?)\n```", file.read_text(), re.DOTALL))
]


def stages(pipeline: str) -> tuple[list[list[str]], str | None]:
    """The words of each command of a pipeline, and the file that its output goes to."""
    lexer = shlex.shlex(pipeline, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    words: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            words.append([])
        else:
            words[-1].append(word)
    target = words[-1][-1] if ">" in words[-1] else None
    return [*words[:-1], words[-1][:-2] if target else words[-1]], target


def run(text: str, allowed: Sequence[int] = (0,)) -> bytes:
    """What the pipelines print, one a line; each command must end with an allowed exit code."""
    printed = b""
    for pipeline in text.replace("\\\n", " ").splitlines():
        commands, target = stages(pipeline)
        data = b""
        for words in commands:
            data = call(words, data, allowed)
        if target is not None:
            Path(target).write_bytes(data)
        printed += data
    return printed


def call(words: Sequence[str], data: bytes, allowed: Sequence[int]) -> bytes:
    """The output of one command that reads `data`; xmir runs in this process."""
    if words[0] != "xmir":
        words = STAND_INS.get(words[0], words)
        return subprocess.run(words, input=data, stdout=subprocess.PIPE, check=True).stdout
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    arguments = [
        word if word == "sides" else TINY.get(before, word)
        for before, word in itertools.pairwise(words)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.execute(arguments)
    err.flush()
    assert code in allowed, f"xmir {' '.join(arguments)}: {err.buffer.getvalue().decode()}"
    out.flush()
    return out.buffer.getvalue()


def draw(path: Path) -> tuple[int, int, int, int]:
    """A picture that is like no other, with a patch whose place tells its label; its box."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    pixels = rng.integers(0, 90, (40, 44), dtype=np.uint8)
    row = 12 * (zlib.crc32(path.name.rpartition("-")[0].encode()) % 3)
    pixels[row : row + 12, 10:30] += 120
    Image.fromarray(pixels).save(path)
    return 10, row, 20, 12


def draw_slice(path: Path) -> None:
    """A CT slice, as DICOM without any name in it."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    slice_ = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    slice_.Modality, slice_.PhotometricInterpretation = "CT", "MONOCHROME2"
    slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = 40, 40, 1
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 16, 15
    slice_.PixelRepresentation, slice_.RescaleSlope, slice_.RescaleIntercept = 1, 1, 0
    slice_.PixelData = np.linspace(-1000, 400, 1600).astype("<i2").tobytes()
    path.parent.mkdir()
    slice_.save_as(path)


def draw_all() -> None:
    """The user's files that the examples name."""
    rows, boxes, readers = ["path,label,patient,split,mask"], ["path,x,y,w,h"], []
    Path("data/masks").mkdir(parents=True)
    for label in LABELS:
        for number in range(1, 21):
            name = f"{label}-{number}.png"
            x, y, width, height = draw(Path(f"data/images/{name}"))
            split = "train" if number <= 16 else "test"
            rows.append(f"images/{name},{label},{label}-{number // 2},{split},masks/{name}")
            boxes.append(f"{name},{x},{y},{width},{height}")
            readers += [f"{name},data/masks/{name},{reader}" for reader in ("A", "B")]
            mask = np.zeros((40, 44), np.uint8)
            mask[y : y + height, x : x + width] = 255
            Image.fromarray(mask).save(f"data/masks/{name}")
    for file, lines in (("data/labels.csv", rows), ("boxes.csv", boxes)):
        Path(file).write_text("\n".join(lines) + "\n")
    Path("readers.csv").write_text("\n".join(["path,mask,reader", *readers]) + "\n")
    for name in ("new.png", "a.png", "b.png", "q/normal-x.png", "q/covid-19-x.png"):
        draw(Path(name))
    Path("atlas-ids.txt").write_text("images/normal-1.png\nimages/covid-19-2.png\n")
    draw_slice(Path("scans/slice.dcm"))


def write_sides() -> None:
    """A folder of open_clip with an index of its embeddings, and texts; skips without open_clip."""
    pytest.importorskip("open_clip", reason="needs the extra clip")
    from tests.extras import towers

    towers.write_sides(Path("sides"))
    Path("prompts.txt").write_text("left lung\nright lung\n")
    Path("terms.txt").write_text("left\nright\nboth\n")
    run("xmir embed data/images --arch sides -o sides.parquet")
    run("xmir index sides.parquet -o sides.xmir")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's files, a trained network, an index and records."""
    pytest.importorskip("pydicom")
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        draw_all()
        for line in PREPARED:
            run(line)
    return folder


@pytest.mark.parametrize("text", CASES)
def test_every_example_does_what_it_says_it_does(text, prepared, tmp_path, monkeypatch):
    here = tmp_path / "copy"
    shutil.copytree(prepared, here)
    monkeypatch.chdir(here)
    if "sides" in text:
        write_sides()
    outputs = [Path(after) for word, after in pairs(text) if word == "-o"]
    if "--resume" not in text:
        concepts = [each for each in outputs if each.suffix == ".npy"]
        outputs += [
            each.with_suffix(end) for each in concepts for end in (".json", ".shuffled.npy")
        ]
        for output in filter(Path.exists, outputs):
            shutil.rmtree(output) if output.is_dir() else output.unlink()
    assert run(text, allowed=(0, Status.GATE) if "leaks=0" in text else (0,)) or outputs
    assert all(output.exists() for output in outputs)


@pytest.mark.parametrize("text", TEXTS)
def test_every_shell_line_of_the_other_pages_works(text, prepared, tmp_path, monkeypatch):
    here = tmp_path / "copy"
    shutil.copytree(prepared, here)
    monkeypatch.chdir(here)
    run(text, allowed=(0, Status.SKIPPED))


def test_the_network_in_the_manual_is_one(prepared, monkeypatch, tmp_path):
    text = (Path(manual.__file__).parent / "networks.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = [block for block in blocks if "def network" in block]
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(code)
    words = ["embed", prepared / "new.png", "--arch", "net.py:network", "--weights", "random:0"]
    assert main.execute([*map(str, words), "-o", "new.parquet"]) == 0


def pairs(text: str) -> Iterator[tuple[str, str]]:
    return itertools.pairwise(text.split())


def test_every_command_has_examples_in_the_order_of_the_help():
    assert list(EXAMPLES) == ["xmir", *(f"xmir {name}" for name in main.COMMANDS)]


@pytest.mark.parametrize("text", CASES)
def test_no_line_of_an_example_is_wider_than_a_page(text):
    assert max(map(len, text.splitlines())) <= 72
