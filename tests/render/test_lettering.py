"""Long names never leave their place, and names of any script are told apart."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

from xmir_cli.render.faces import EXTENDED, find_fonts
from xmir_cli.render.lettering import Font, drawable, font, shorten
from xmir_cli.render.spelling import _spell, spell


def test_a_name_that_fits_stays_as_it_is():
    assert shorten("chest.png", font(12), 200) == "chest.png"


def test_a_long_name_keeps_its_ends_and_fits():
    face = font(12)
    short = shorten("a-very-long-name-of-a-picture-0001.png", face, 100)
    assert face.getlength(short) <= 100
    assert short[0] == "a"
    assert short.endswith("png")
    assert "…" in short


def test_no_room_at_all_leaves_the_dots():
    assert shorten("abcdef", font(12), 1) == "…"


def shorten_step_by_step(text: str, face: Font, width: float) -> str:
    for kept in range(len(text) - 1, 1, -1):
        head = (kept + 1) // 2
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if face.getlength(short) <= width:
            return short
    return "…"


def test_a_shortened_text_is_the_longest_that_fits_and_soon_found(monkeypatch):
    face, measured, measure = font(12), [], Font.getlength
    text = "Lungenentzündung beidseits, patient-0001/" * 3
    wanted = [shorten_step_by_step(text, face, width) for width in range(8, 300, 7)]

    def count(self: Font, text: str) -> float:
        measured.append(text)
        return measure(self, text)

    monkeypatch.setattr(Font, "getlength", count)
    assert [shorten(text, face, width) for width in range(8, 300, 7)] == wanted
    assert len(measured) < 10 * len(wanted)


@pytest.fixture
def machine(monkeypatch):
    """A machine that has these fonts alone."""

    def has(*fonts: Path) -> None:
        monkeypatch.setattr("xmir_cli.render.spelling.find_fonts", lambda: fonts)

    _spell.cache_clear()
    has()
    yield has
    _spell.cache_clear()


@pytest.mark.parametrize(
    "name", ["Müller.png", "Łódź", "ñandú", "straße Ő", "Ελένη", "Пациент", "Nguyễn Văn"]
)
@pytest.mark.usefixtures("machine")
def test_latin_greek_and_cyrillic_are_drawn_as_they_are_on_every_machine(name):
    assert spell(name) == [(EXTENDED, name)]
    drawn = [np.asarray(written(each)) for each in (name, unicodedata.normalize("NFD", name))]
    assert (drawn[0] == drawn[1]).all()  # as macOS spells names
    plain = "".join(each for each in unicodedata.normalize("NFD", name) if each.isascii())
    assert plain == name or (drawn[0] != np.asarray(written(plain))).any()


@pytest.mark.usefixtures("machine")
def test_what_no_font_has_is_told_as_its_code_point():
    assert drawable("漢.png") == "\\u6f22.png"
    assert drawable("é漢") == "é\\u6f22"
    assert drawable("\U0001fac1") == "\\U0001fac1"
    assert drawable("\udce9") == "\\udce9"


@pytest.mark.usefixtures("machine")
def test_a_letter_and_its_marks_are_never_torn_apart():
    assert drawable("\u0939\u093f e\u0301") == "\\u0939\\u093f é"


def test_the_machines_fonts_draw_other_scripts(machine):
    sans = next((each for each in find_fonts() if each.name == "DejaVuSans.ttf"), None)
    if sans is None:
        pytest.skip("no DejaVu Sans on this machine")
    machine(sans)
    assert spell("صورة 1.png") == [(sans, "صورة 1.png")]  # whole, so that its words are in order
    assert drawable("漢.png") == "\\u6f22.png"


def test_a_damaged_font_is_no_fault(machine, tmp_path: Path):
    broken = tmp_path / "DejaVuSans.ttf"
    broken.write_bytes(b"no font")
    machine(broken)
    assert drawable("漢é") == "\\u6f22é"


def test_fonts_are_found_in_the_order_of_their_use(monkeypatch, tmp_path: Path):
    names = ["b/NotoSansThai-Regular.ttf", "b/NotoSans-Regular.ttf", "a/DejaVuSans.ttf"]
    for name in [*names, "a/NotoSans-Regular.txt", "a/NotoColorEmoji.ttf"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr("xmir_cli.render.faces._FOLDERS", (str(tmp_path), str(tmp_path)))
    assert find_fonts.__wrapped__() == [tmp_path / name for name in reversed(names)]


@pytest.mark.usefixtures("machine")
def test_a_text_of_several_fonts_is_as_wide_as_it_is_told():
    text, face = "é\u6f22 end", font(20)
    assert len(spell(text)) > 1
    box = ImageChops.invert(written(text)).getbbox()
    assert box is not None
    assert abs(box[2] - face.getlength(text)) < 3
    right = Image.new("L", (300, 40), 255)
    face.write(ImageDraw.Draw(right), (290, 5), text, "black", "ra")
    end = ImageChops.invert(right).getbbox()
    assert end is not None
    assert abs(end[2] - 290) < 3


@pytest.mark.usefixtures("machine")
def test_lines_of_one_size_have_one_base_line():
    """The foot of the same letter, in whatever font the line is."""
    feet = [ImageChops.invert(written(text)).getbbox() for text in ("nnn", "nnné")]
    assert feet[0] is not None
    assert feet[1] is not None
    assert abs(feet[0][3] - feet[1][3]) <= 1


def written(text: str) -> Image.Image:
    page = Image.new("L", (300, 40), 255)
    font(20).write(ImageDraw.Draw(page), (0, 5), text, "black")
    return page
