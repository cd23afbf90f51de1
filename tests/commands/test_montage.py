"""xmir montage through the front door: frames, captions, scales and what cannot be drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.console import Skips
from xmir_cli.pages.entries import read_entries
from xmir_cli.pages.page import Look, layers_of, row_of
from xmir_cli.render.montage import CORRECT, QUERY, WRONG
from xmir_cli.store.hashes import sha256_file

BORDER = 5


@pytest.fixture
def page(tmp_path):
    """Two queries with two hits each and maps of two methods, as records."""
    lines = []
    for name, size, level in (("q1", (40, 30), 60), ("q2", (30, 60), 90), ("r", (50, 50), 120)):
        Image.new("L", size, level).save(tmp_path / f"{name}.png")
    for query in ("q1", "q2"):
        for rank, match in ((1, True), (2, False)):
            for method, peak in (("occlusion", 0.5), ("activation", -2.0)):
                saliency = np.zeros((32, 32), np.float32)
                saliency[8:16, 8:16] = peak * rank
                path = tmp_path / f"{query}-{rank}-{method}.npy"
                np.save(path, saliency)
                lines.append(
                    {
                        "query": f"{query}.png",
                        "retrieved": "r.png",
                        "rank": rank,
                        "match": match,
                        "similarity": 0.9,
                        "retrieved_label": "clear",
                        "meta": {"id": "r"},
                        "method": method,
                        "explains": "retrieved",
                        "saliency": str(path),
                        "roi": [0, 0, 50, 50],
                    }
                )
    return lines


def dump(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_one_query_a_row_with_the_methods_side_by_side(xmir, page):
    done = xmir("montage", "-o", "m.png", "--side", 100, stdin=dump(page))
    assert (done.code, done.stdout) == (0, "")
    assert "m.png: 2 queries" in done.stderr
    picture = Image.open("m.png")
    cell = 100 + 2 * BORDER + 10
    assert picture.width == 10 + 5 * cell  # query, then 2 hits x 2 methods
    frames = [picture.getpixel((10 + column * cell, 80)) for column in range(5)]
    assert frames == [QUERY, CORRECT, CORRECT, WRONG, WRONG]
    assert not picture.info


def test_overlays_of_a_method_share_one_scale(xmir, page):
    """The second hit's map is twice the first's: full colour there, half here."""
    assert xmir("montage", "-o", "m.png", "--side", 100, stdin=dump(page)).code == 0
    picture = np.asarray(Image.open("m.png")).astype(int)
    cell = 100 + 2 * BORDER + 10
    top = next(y for y in range(200) if tuple(picture[y, 12]) == QUERY)
    first, second = (
        picture[top + BORDER + 37, 10 + column * cell + BORDER + 37] for column in (1, 3)
    )
    plain = np.array([120, 120, 120])
    assert np.abs(second - plain).sum() > np.abs(first - plain).sum() > 0


def test_a_pdf_and_records_without_maps(xmir, page):
    plain = [{key: record[key] for key in ("query", "retrieved", "rank")} for record in page[::2]]
    assert xmir("montage", "-o", "m.pdf", stdin=dump(plain)).code == 0
    assert Path("m.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_picture_that_is_gone_is_skipped_and_counted(xmir, page):
    page[0]["retrieved"] = "gone.png"
    done = xmir("montage", "-o", "m.png", stdin=dump(page) + "{broken\n")
    assert done.code == 3
    assert "skipped gone.png: missing" in done.stderr
    assert "skipped line 9: bad-record" in done.stderr


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_a_page_holds_neither_its_name_nor_the_time(xmir, page, kind, monkeypatch):
    assert xmir("montage", "-o", f"first.{kind}", stdin=dump(page)).code == 0
    monkeypatch.setattr("time.gmtime", lambda *_: (2001, 2, 3, 4, 5, 6, 0, 0, 0))
    assert xmir("montage", "-o", f"second.{kind}", stdin=dump(page)).code == 0
    assert Path(f"first.{kind}").read_bytes() == Path(f"second.{kind}").read_bytes()


@pytest.mark.parametrize("name", ["m.jpg", "m"])
def test_only_png_and_pdf_are_written(xmir, name):
    done = xmir("montage", "-o", name, stdin="")
    assert done.code == 2
    assert "--output: expected a file that ends in .png or .pdf" in done.stderr


def test_an_existing_page_stays_without_force(xmir, page):
    Path("m.png").write_text("mine")
    assert xmir("montage", "-o", "m.png", stdin=dump(page)).code == 7
    assert Path("m.png").read_text() == "mine"
    assert xmir("montage", "-o", "m.png", "--force", stdin=dump(page)).code == 0


def test_no_records_is_an_error(xmir):
    done = xmir("montage", "-o", "m.png", stdin="")
    assert (done.code, "no records on standard input" in done.stderr) == (5, True)


def boxed(record):
    match = {"query": [4, 4, 20, 16], "retrieved": [10, 20, 20, 20], "share": 0.1}
    return {**record, "details": {"matches": [match]}}


def strong(picture, column):
    """Where a cell of the page holds the first box's orange: left, top, right, bottom or None."""
    cell = 100 + 2 * BORDER + 10
    pixels = np.asarray(picture)[:, 10 + column * cell + BORDER :][:150, :100].astype(int)
    rows, columns = np.nonzero((pixels == (230, 159, 0)).all(axis=2))
    return (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None


def test_matches_of_the_only_hit_are_on_both_pictures(xmir, page):
    assert xmir("montage", "-o", "m.png", "--side", 100, stdin=dump([boxed(page[0])])).code == 0
    picture = Image.open("m.png")
    top = next(y for y in range(100) if picture.getpixel((12, y)) == QUERY) + BORDER
    left, upper, right, lower = strong(picture, 0)  # 40 x 30 in 100 x 100: scaled 2.5, 12 from top
    assert abs(left - 10) <= 2
    assert abs(upper - (top + 12 + 10)) <= 3
    assert abs(right - 60) <= 2
    left, upper, right, lower = strong(picture, 1)  # 50 x 50: scaled 2
    assert (abs(left - 20) <= 2, abs(right - 60) <= 2) == (True, True)
    assert (abs(upper - (top + 40)) <= 3, abs(lower - (top + 80)) <= 3) == (True, True)


def test_matches_of_several_hits_are_on_the_hits_alone(xmir, page):
    records = [boxed(page[0]), boxed(page[2])]
    assert xmir("montage", "-o", "m.png", "--side", 100, stdin=dump(records)).code == 0
    picture = Image.open("m.png")
    assert strong(picture, 0) is None
    assert strong(picture, 1) is not None
    assert strong(picture, 2) is not None


def test_region_of_a_query_is_framed(xmir, page):
    record = {**page[0], "region": [4.0, 4.0, 20.0, 16.0]}
    assert xmir("montage", "-o", "m.png", "--side", 100, stdin=dump([record])).code == 0
    assert strong(Image.open("m.png"), 0) is not None


@pytest.mark.parametrize(
    "broken", [7, [7], [{}], [{"query": [1, 2, 3, 1e99], "retrieved": [1] * 4}]]
)
def test_matches_that_are_none_make_a_bad_record(xmir, page, broken):
    record = {**page[0], "details": {"matches": broken}}
    done = xmir("montage", "-o", "m.png", stdin=dump([record, page[1]]))
    assert done.code == 3
    assert "skipped line 1: bad-record" in done.stderr


def marked(name, column):
    """The middle of the orange in a cell of the page, in its pixels, or None."""
    cell, line = 100 + 2 * BORDER + 10, np.asarray(Image.open(name)).astype(int)
    top = next(y for y in range(200) if tuple(line[y, 12]) == QUERY) + BORDER
    left = 10 + column * cell + BORDER
    rows, columns = np.nonzero((line[top:, left:][:100, :100] == (230, 159, 0)).all(axis=2))
    return (columns.mean(), rows.mean()) if len(rows) else None


def test_the_point_that_was_asked_for_is_marked_on_the_other_image(xmir, page):
    record = {**page[0], "settings": {"point": "30,10"}}
    assert xmir("montage", "-o", "a.png", "--side", 100, stdin=dump([record])).code == 0
    # 40 x 30 in 100 x 100: scaled 2.5, 12 or 13 from the top
    assert marked("a.png", 0) == (pytest.approx(76, abs=1.5), pytest.approx(38.5, abs=1.5))
    assert marked("a.png", 1) is None
    back = {**record, "explains": "query", "roi": [0, 0, 40, 30]}
    plain = {**page[0], "settings": {"point": ""}}
    assert xmir("montage", "-o", "b.png", "--side", 100, stdin=dump([plain, back])).code == 0
    assert marked("b.png", 0) is None
    assert marked("b.png", 1) == (pytest.approx(61, abs=1.5), pytest.approx(21, abs=1.5))
    assert marked("b.png", 2) is None
    junk = [{**page[0], "settings": {"point": value}} for value in (7, "here", ["1,2"])]
    assert xmir("montage", "-o", "c.png", "--side", 100, stdin=dump(junk)).code in {0, 3}


def test_the_caption_under_the_query_is_that_of_the_query(page):
    record = {**page[0], "query_label": "ill", "explains": "query"}
    own, other = ([], [])
    for each, lines in ((record, own), (page[0], other)):
        (entry,) = read_entries([(1, each)], Skips())
        look = Look(0.6, 100)
        lines += [cell.lines for cell in row_of([entry], layers_of([entry], look), look)]
    assert own == [("query", "ill", "q1.png"), ("1  0.900  correct", "ill", "q1.png for r")]
    assert other[1] == ("1  0.900  correct", "clear", "r")


def test_a_skipped_record_is_not_drawn(xmir, page):
    changed = [{**record, "query_identity": "0" * 64} for record in page[:4]]
    result = xmir("montage", "-o", "m.png", "--side", 100, stdin=dump(changed + page[4:]))
    assert (result.code, "4 drawn, 4 skipped (4 changed)" in result.stderr) == (3, True)
    assert "m.png: 1 query" in result.stderr
    Path(page[4]["saliency"]).write_bytes(b"none")
    result = xmir("montage", "-o", "n.png", "--side", 100, stdin=dump(page[4:]))
    assert result.code == 3
    picture = np.asarray(Image.open("n.png"))
    cell = 100 + 2 * BORDER + 10
    below = slice(40, 110)  # the header
    assert (picture[below, 10 + cell : 10 + 2 * cell - 10] == 255).all()


def test_rows_go_by_the_image_wherever_it_lies(xmir, page):
    Path("copy.png").write_bytes(Path("q1.png").read_bytes())
    identity = sha256_file(Path("q1.png"))
    same = [{**record, "query_identity": identity} for record in page[:2]]
    same[1]["query"] = "copy.png"
    assert "m.png: 1 query" in xmir("montage", "-o", "m.png", stdin=dump(same)).stderr
    same[1]["query"] = "gone.png"
    result = xmir("montage", "-o", "m.png", "-f", stdin=dump(same))
    assert (result.code, "1 drawn, 1 skipped (1 missing)" in result.stderr) == (3, True)


@pytest.mark.parametrize("key", ["query_identity", "retrieved_identity"])
def test_a_record_of_another_image_leaves_those_of_the_same_file_in(xmir, page, key: str):
    changed = {**page[0], key: "0" * 64}
    result = xmir("montage", "-o", "m.png", "--side", 100, stdin=dump([page[0], changed, page[2]]))
    assert (result.code, "2 drawn, 1 skipped (1 changed)" in result.stderr) == (3, True)
