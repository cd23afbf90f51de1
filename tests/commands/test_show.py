"""`--show`: pictures on a terminal, and nowhere else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.screen import fakes
from xmir_cli.pictures.files import open_image
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
NAMES = ["a", "b", "c", "d"]  # each with its corners turned once more
EVIL = "e\x1b]0;x\x07\n\x9b2J.png"
WIDE, HIGH = 60, 45  # pixels of an image


def corners(number):
    return np.rot90(CORNERS, number)


def draw(path, number):
    pixels = Image.fromarray(corners(number)).resize((WIDE, HIGH), Image.Resampling.NEAREST)
    pixels.save(path)


@pytest.fixture
def index(xmir):
    for number, name in enumerate(NAMES):
        draw(f"{name}.png", number)
    draw(EVIL, 4)
    names = [*(f"{name}.png" for name in NAMES), EVIL]
    angles = np.arange(5) / 10
    items = pa.table(
        {
            "id": [*NAMES, EVIL],
            "path": [str(Path(name).absolute()) for name in names],
            "sha256": [open_image(name).sha256 for name in names],
            "width": pa.array([WIDE] * 5, pa.int32()),
            "height": pa.array([HIGH] * 5, pa.int32()),
            "label": ["ill", "ill", "well", "ill", "\x1b[2Jwell"],
        }
    )
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    model = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
    write_embeddings(Path("e.parquet"), Embeddings(items, vectors, model))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0


def tiles(picture, count, columns, cell=(10, 20)):
    """The corners of each of so many pictures side by side, the colours in the middle of each."""
    found = []
    pixels = np.asarray(picture.convert("RGBA")).astype(int)
    wide, high = columns * cell[0], columns * cell[0] * HIGH / WIDE
    for number in range(count):
        left, top = number * (columns + 2) * cell[0], pixels.shape[0] - high
        points = [(top + high * y, left + wide * x) for y in (0.25, 0.75) for x in (0.25, 0.75)]
        found.append(np.array([pixels[int(y), int(x), :3] for y, x in points]).reshape(2, 2, 3))
        # and between two pictures there is nothing
        assert pixels[int(top + high / 2), int(left + wide + cell[0]) % pixels.shape[1], 3] in {
            0,
            255,
        }
    return found


def check(found, numbers, near=3):
    for each, number in zip(found, numbers, strict=True):
        assert np.abs(each - corners(number).astype(int)).max() <= near


QUERY = "xmir query --id a --top 3 --show"  # four pictures


@pytest.mark.usefixtures("index")
def test_kitty_shows_the_query_and_its_hits_over_the_table():
    terminal = fakes.run(QUERY, fakes.KITTY)
    assert terminal.code == 0
    ((picture, columns, rows),) = fakes.decode_kitty(terminal.shown)
    assert (columns, rows) == (78, 7)  # 18 columns each, 2 between, 180 x 135 pixels each
    assert picture.size == (780, 140)
    check(tiles(picture, 4, 18), [0, 0, 1, 2])
    lines = terminal.text.splitlines()
    assert lines[-9:-5] == [
        "query               1  1.0000           2  0.9950           3  0.9801",
        "ill                 ill, correct        ill, correct        well, wrong",
        "a                   a                   b                   c",
        "",
    ]
    assert [line.split() for line in lines[-5:]][2][:4] == ["1", "1.0000", "a", "ill"]


@pytest.mark.usefixtures("index")
def test_iterm2_shows_them():
    ((picture, columns, rows),) = fakes.decode_iterm2(fakes.run(QUERY, fakes.ITERM2).shown)
    assert (columns, rows, picture.size) == (78, 7, (780, 140))
    check(tiles(picture, 4, 18), [0, 0, 1, 2])


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("cell", [(10, 20), (9, 14)])
def test_sixels_show_them_at_the_size_of_the_cells(cell):
    answers = {**fakes.XTERM, "cell": b"\x1b[6;%d;%dt" % cell[::-1]}
    (picture,) = fakes.decode_sixels(fakes.run(QUERY, answers).shown)
    assert picture.width == 78 * cell[0]
    assert picture.height % cell[1] == 0
    check(tiles(picture, 4, 18, cell), [0, 0, 1, 2], near=8)


@pytest.mark.usefixtures("index")
def test_a_sixel_is_no_wider_than_its_terminal_takes():
    answers = {**fakes.XTERM, "largest": b"\x1b[?2;0;500;400S"}
    pictures = fakes.decode_sixels(fakes.run(QUERY, answers).shown)
    assert [each.width <= 500 for each in pictures] == [True, True]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("environment", "exact"),
    [({}, False), ({"COLORTERM": "truecolor"}, True), ({"TERM": "screen-256color"}, False)],
)
def test_elsewhere_half_blocks_show_them(environment, exact):
    terminal = fakes.run(QUERY, fakes.PLAIN, environment=environment)
    picture = fakes.decode_blocks(terminal.shown)
    assert picture.size == (66, 48)  # two lines of two pictures, 32 columns each
    upper, lower = picture.crop((0, 0, 66, 24)), picture.crop((0, 24, 66, 48))
    near = 1 if exact else 0  # the corners are among the 256 colours
    check([*tiles(upper, 2, 32, (1, 1)), *tiles(lower, 2, 32, (1, 1))], [0, 0, 1, 2], near)
    assert (b"38;2;" in terminal.shown) == exact
    assert (b"38;5;" in terminal.shown) != exact


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("answers", "columns"),
    [(fakes.KITTY, 40), (fakes.KITTY, 9), (fakes.PLAIN, 80), (fakes.PLAIN, 40), (fakes.PLAIN, 9)],
)
def test_no_line_is_wider_than_the_terminal(answers, columns):
    terminal = fakes.run(QUERY, answers, size=(24, columns))
    assert terminal.code == 0
    for _, wide, _ in fakes.decode_kitty(terminal.shown):
        assert wide <= columns
    assert max(map(len, terminal.text.splitlines())) <= columns


@pytest.mark.usefixtures("index")
def test_a_pipe_has_no_escape_byte():
    command = "xmir query --all --show"
    terminal = fakes.run(f"{command} | cat > out", fakes.KITTY)
    out = Path("out").read_bytes()
    assert (
        out
        == subprocess.run(
            [sys.executable, "-m", "xmir_cli", *command.split()[1:-1]],
            capture_output=True,
            check=True,
        ).stdout
    )
    assert b"\x1b" not in out
    assert b"\x1b[c" not in terminal.seen  # nobody was asked
    assert "--show: standard output is no terminal, so no pictures are shown" in terminal.text


@pytest.mark.usefixtures("index")
def test_records_go_down_a_pipe_whose_end_shows_pictures():
    terminal = fakes.run("xmir query --id a --top 2 | xmir montage -o page.png --show", fakes.KITTY)
    assert terminal.code == 0
    ((picture, columns, _),) = fakes.decode_kitty(terminal.shown)
    with Image.open("page.png") as page:
        wide, high = page.size
    assert columns == min(-(-wide // 10), 80)
    assert picture.width == columns * 10
    assert picture.height == pytest.approx(high * picture.width / wide, abs=20)


@pytest.mark.usefixtures("index")
def test_a_page_higher_than_the_terminal_comes_in_parts():
    Path("hits").write_bytes(
        subprocess.run(
            [sys.executable, "-m", "xmir_cli", "query", "--all", "--top", "2"],
            capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    terminal = fakes.run("xmir montage hits -o page.png --show", fakes.KITTY)
    parts = fakes.decode_kitty(terminal.shown)
    assert [rows for _, _, rows in parts[:-1]] == [23] * (len(parts) - 1)
    assert parts
    assert all(rows <= 23 and picture.height == 20 * rows for picture, _, rows in parts)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("answers", [fakes.KITTY, fakes.ITERM2, fakes.XTERM, fakes.PLAIN])
def test_names_and_labels_are_no_escapes(answers):
    terminal = fakes.run("xmir query --id d --top 5 --show", answers)
    assert terminal.code == 0
    assert r"e\x1b]0;x" in terminal.text.replace("\n", "") or r"…" in terminal.text
    rest = re.sub(
        rb"\x1b_G[^\x1b]*\x1b\\|\x1b\]1337;File[^\x07]*\x07|\x1bP0;1;0q[^\x1b]*\x1b\\"
        rb"|\x1b\[[\d;]*m|\x1b\[\d+[AB]|\x1b[78]|\r\x1b\[K",
        b"", terminal.shown,
    )  # fmt: skip
    assert not re.findall(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", rest)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("environment", "answers", "said"),
    [
        ({"TERM": "dumb"}, fakes.KITTY, "this terminal shows no pictures"),
        ({"NO_COLOR": "1"}, fakes.PLAIN, "as coloured text, which $NO_COLOR forbids"),
        ({"NO_COLOR": "1"}, fakes.KITTY, ""),
    ],
)
def test_what_shows_no_pictures_says_so_once_and_prints_the_table(environment, answers, said):
    terminal = fakes.run("xmir query --all --top 2 --show", answers, environment=environment)
    assert terminal.code == 0
    assert terminal.text.count(said) == 1 or not said
    assert bool(fakes.decode_kitty(terminal.shown)) == (not said)
    assert "similarity" in terminal.text
    assert b"\x1b[1m" not in terminal.shown
    assert (b"\x1b[c" in terminal.seen) == (environment.get("TERM") != "dumb")


@pytest.mark.usefixtures("index")
def test_an_image_that_is_gone_leaves_its_place_empty():
    Path("b.png").unlink()
    terminal = fakes.run(QUERY, fakes.KITTY)
    ((picture, _, _),) = fakes.decode_kitty(terminal.shown)
    pixels = np.asarray(picture)
    assert pixels[:, 400:580, 3].max() == 0
    assert pixels[:, 600:780, 3].max() == 255
    assert "no such file" in terminal.text


@pytest.mark.usefixtures("index")
def test_each_query_has_its_pictures_over_its_rows():
    terminal = fakes.run("xmir query --id a --id c --top 2 --show", fakes.KITTY)
    parts = re.sub(rb"(\x1b_G[^\x1b]*\x1b\\)+", b"<PICTURE>", terminal.shown)
    order = re.findall(rb"<PICTURE>|rank ", parts)
    assert order == [b"<PICTURE>", b"rank ", b"<PICTURE>", b"rank "]


@pytest.mark.usefixtures("index")
def test_a_window_made_smaller_meanwhile_has_smaller_pictures():
    script = "xmir query --id a --top 3 --show; stty cols 40; xmir query --id a --top 3 --show"
    widths = [wide for _, wide, _ in fakes.decode_kitty(fakes.run(script, fakes.KITTY).shown)]
    assert widths == [78, 40, 40]


@pytest.mark.usefixtures("index")
def test_json_lines_are_the_same_with_pictures():
    terminal = fakes.run("xmir query --id a --top 2 --show --format jsonl", fakes.KITTY)
    records = [line for line in terminal.text.splitlines() if line.startswith("{")]
    assert [json.loads(line)["rank"] for line in records] == [1, 2]
    assert len(fakes.decode_kitty(terminal.shown)) == 1


@pytest.mark.usefixtures("index")
def test_an_atlas_is_shown_whatever_its_file():
    terminal = fakes.run("xmir atlas e.parquet -o plane.parquet --show", fakes.KITTY)
    assert terminal.code == 0
    parts = fakes.decode_kitty(terminal.shown)
    assert {wide for _, wide, _ in parts} == {80}
    assert Path("plane.parquet").exists()
    assert "outliers" in terminal.text


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("flag", ["--id -", "--like -"])
def test_names_that_end_with_nul_bytes_arrive_under_a_terminal_too(flag):
    script = f"printf 'a\\0c\\0' | xmir query {flag} -0 --top 1 --format jsonl > out"
    assert fakes.run(script, fakes.PLAIN).code == 0
    found = [json.loads(line)["query"] for line in Path("out").read_text().splitlines()]
    names = ["a", "c"] if flag == "--id -" else ["a"]
    assert found == [str(Path(f"{name}.png").absolute()) for name in names]


def test_images_that_end_with_nul_bytes_arrive_under_a_terminal_too():
    script = "printf 'a.png\\0b.png\\0' | xmir embed - -0 --arch none -o e.parquet"
    terminal = fakes.run(script, fakes.PLAIN)
    assert "no records on standard input" not in terminal.text
    assert "none" in terminal.text  # the network is looked for once there are images


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here")
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("allowed", ["on", "off"])
def test_in_tmux_kitty_shows_what_tmux_lets_through(allowed):
    Path("conf").write_text(
        f"set -g allow-passthrough {allowed}\nset -g default-terminal tmux-256color\n"
    )
    command = f"{sys.executable} -m xmir_cli query --id a --top 3 --show; sleep 1"
    environment = {"TMUX_TMPDIR": str(Path.cwd()), "LC_ALL": "C.UTF-8"}
    asked = ["tmux", "-f", "conf", "new-session", command]
    terminal = fakes.Terminal(asked, fakes.KITTY, environment, size=(50, 80))
    assert terminal.leave() == 0
    if allowed == "off":
        assert "▀".encode() in terminal.seen
        assert b"a=T" not in terminal.seen
        return
    ((picture, columns, rows),) = fakes.decode_kitty(terminal.shown)
    assert columns == 78
    wide, high = picture.width // 78, picture.height // rows  # as tmux says
    check(tiles(picture, 4, 18, (wide, high)), [0, 0, 1, 2])
    found = re.findall(
        "((?:\U0010eeee[\u0300-\u036f]*)+)", terminal.seen.decode("utf-8", "replace")
    )
    assert max(each.count("\U0010eeee") for each in found) == 78
    assert sum(each.count("\U0010eeee") == 78 for each in found) >= rows - 1  # one comes in parts
