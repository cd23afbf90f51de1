"""What is shown of records, in which order, beside what."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.screen import fakes
from xmir_cli.pages import viewing
from xmir_cli.pages.viewing import Viewer
from xmir_cli.pictures.files import open_image
from xmir_cli.render.overlay import Display, overlay

COLORS = {"q": (200, 0, 0), "a": (0, 200, 0), "b": (0, 0, 200), "o": (9, 99, 199)}


@pytest.fixture(autouse=True)
def images():
    for name, color in COLORS.items():
        Image.new("RGB", (40, 30), color).save(f"{name}.png")
    np.save("m.npy", np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))


class FakeScreen:
    refusal = ""

    def __init__(self):
        self.strips = []

    def print_lines(self, lines):
        self.strips[-1].append(list(lines))


@pytest.fixture
def shown(monkeypatch):
    """The strips that records give: of each picture its text, then the lines below."""

    def show(*records):
        screen, pictures = FakeScreen(), []

        def keep(_, thumbnails):
            screen.strips.append([list(each.lines) for each in thumbnails])
            pictures.extend(each.picture for each in thumbnails)

        monkeypatch.setattr(viewing, "print_strip", keep)
        monkeypatch.setattr(viewing, "pixels_of", lambda *_: 40)
        viewer = Viewer(screen, lambda: screen.strips.append("table"))
        for record in records:
            viewer.take(record)
        viewer.show()
        return screen.strips, pictures

    return show


def hit(query, retrieved, rank=1, **more):
    return {
        "schema": "xmir.retrieval/1",
        "query": f"{query}.png",
        "retrieved": f"{retrieved}.png",
        "rank": rank,
        "similarity": 0.5,
        **more,
    }


def mapped(query, retrieved, method, **more):
    found = {"schema": "xmir.saliency/1", "method": method, "explains": "retrieved"}
    found |= {"saliency": "m.npy", "overlay": "o.png", "roi": [0, 0, 40, 30]}
    return {**hit(query, retrieved), **found, **more}


def middle(picture):
    return picture.getpixel((picture.width // 2, picture.height // 2))


def test_the_hits_of_a_query_stand_together_and_their_rows_below(shown):
    asked = {"query_label": "x"}
    first = [hit("q", "a", 1, **asked, retrieved_label="y", match=False), hit("q", "b", 2, **asked)]
    strips, pictures = shown(*first, hit("a", "b"))
    assert strips == [
        [["query", "x", "q.png"], ["1  0.5000", "y, wrong", "a.png"], ["2  0.5000", "b.png"], [""]],
        "table",
        [["query", "a.png"], ["1  0.5000", "b.png"], [""]],
    ]
    assert list(map(middle, pictures)) == [COLORS[name] for name in "qabab"]


def test_the_maps_of_a_pair_stand_beside_it(shown):
    given = [mapped("q", name, method) for name in "ab" for method in ("x", "y")]
    strips, pictures = shown(*given)
    assert strips == [
        [["query", "q.png"], ["1  0.5000", f"{name}.png"], ["x"], ["y"], [""]] for name in "ab"
    ]
    assert list(map(middle, pictures)) == [COLORS[name] for name in "qaooqboo"]


def test_a_map_without_an_overlay_is_drawn(shown):
    _, (_, bare, drawn) = shown(mapped("q", "a", "x", overlay=None))
    wanted = overlay(bare, np.load("m.npy"), [0, 0, 40, 30], Display())
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(wanted))


def test_a_map_of_the_query_says_so(shown):
    (strip,), _ = shown(mapped("q", "a", "x", explains="query"))
    assert strip[2] == ["x", "on the query"]


def test_an_image_that_explains_itself_stands_once(shown):
    record = {**mapped("a", "a", "x"), "path": "a.png"}
    del record["rank"], record["similarity"]
    (strip,), pictures = shown(record)
    assert strip == [["a.png"], ["x"], [""]]
    assert list(map(middle, pictures)) == [COLORS["a"], COLORS["o"]]


def test_a_region_is_framed_on_the_query(shown):
    _, (query, _) = shown(hit("q", "a", region=[10, 5, 20, 15], relevance=0.1))
    assert middle(query) == COLORS["q"]
    assert query.getpixel((10, 10)) != COLORS["q"]


def test_words_stand_where_the_query_would(shown):
    record = hit("q", "a", query_text="a \x1b[2Jshadow")
    del record["query"]
    (strip,), (query, _) = shown(record)
    assert strip[0][0] == "query"
    assert query.size == (40, 40)


def test_what_cannot_be_read_is_an_empty_place_with_a_reason(shown):
    changed = hit("vectors", "a", 2, retrieved_identity="0" * 64)
    (strip,), pictures = shown(hit("vectors", "gone"), changed, hit("vectors", "b", 3))
    assert [each is None for each in pictures] == [True, True, True, False]
    assert [lines[-1][:20] for lines in strip[:3]] == [
        "no such file",
        "no such file",
        "another image than w",
    ]


def test_records_without_a_pair_show_nothing(shown):
    assert shown({"schema": "xmir.artifact/1", "path": "a.png"}) == ([], [])


def test_sixteen_bits_and_dicom_go_through_the_one_door(shown):
    Image.fromarray(np.full((30, 40), 60_000, np.uint16)).save("deep.png")
    _, (_, deep) = shown(hit("q", "deep"))
    wanted = open_image("deep.png").decode("auto").pixels
    assert middle(deep) == (round(wanted.getpixel((20, 15))),) * 3


def test_saliency_shows_its_overlays_as_they_come(tiny_arch):
    args = ["--arch", tiny_arch, "--weights", "random:0", "--device", "cpu"]
    ramp = np.add.outer(np.arange(40), 3 * np.arange(40)).astype(np.uint8)
    for name in "ab":
        Image.fromarray(ramp if name == "a" else 255 - ramp).save(f"{name}.png")
    asked = ["saliency", "--query", "a.png", "--image", "b.png", *args, "--method", "activation"]
    terminal = fakes.run(f"xmir {' '.join(asked)} --show", fakes.KITTY)
    assert terminal.code == 0
    ((picture, columns, _),) = fakes.decode_kitty(terminal.shown)
    assert columns == 3 * 25 + 4
    drawn = np.asarray(picture.crop((540, picture.height - 250, 790, picture.height)))
    (path,) = Path("saliency").glob("*.png")
    with Image.open(path) as file:
        wanted = np.asarray(file.convert("RGB").resize((250, 250), Image.Resampling.LANCZOS))
    assert np.abs(drawn[:, :, :3].astype(int) - wanted).mean() < 3
