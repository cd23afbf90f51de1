"""xmir montage through the front door: frames, captions, scales and what cannot be drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.render.montage import CORRECT, QUERY, WRONG, PageLayout, draw_header, draw_row
from xmir_cli.store.hashes import sha256_file

SIDE = 100


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


def tile(name, group, number=0, hits=2, titles=("retrieved", "occlusion", "activation")):
    """A picture of the first row, [100, 100, 3]: of the query (group 0) or of a hit."""
    layout = PageLayout(SIDE, titles, hits)
    left = layout.left(group) + layout.left_of_tile(number)
    top = draw_header(layout).height + layout.left_of_tile(0)
    with Image.open(name) as page:
        return np.asarray(page).astype(int)[top:, left:][:SIDE, :SIDE]


def frame(name, group, hits=2, titles=("retrieved", "occlusion", "activation")):
    """The colour of the frame around a group of the first row."""
    layout = PageLayout(SIDE, titles, hits)
    with Image.open(name) as page:
        return page.getpixel((layout.left(group) + 1, draw_header(layout).height + 50))


def dump(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_one_query_a_row_with_the_bare_image_beside_the_methods(xmir, page):
    done = xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump(page))
    assert (done.code, done.stdout) == (0, "")
    assert "m.png: 2 queries" in done.stderr
    assert [frame("m.png", group) for group in range(3)] == [QUERY, CORRECT, WRONG]
    assert (tile("m.png", 1) == 120).all()
    assert (tile("m.png", 1, 1) != 120).any()
    with Image.open("m.png") as picture:
        assert picture.width == PageLayout(SIDE, ["", "", ""], 2).width
        assert not picture.info


def test_overlays_of_a_method_share_one_scale(xmir, page):
    """The second hit's map is twice the first's: full colour there, half here."""
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump(page)).code == 0
    first, second = (tile("m.png", hit, 1)[37, 37] for hit in (1, 2))
    plain = tile("m.png", 1, 1)[90, 90]
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


ONE = {"hits": 1, "titles": ("retrieved", "occlusion")}
TWO = {"hits": 2, "titles": ("retrieved", "occlusion")}


def strong(pixels):
    """Where a picture holds the first box's orange: left, top, right, bottom or None."""
    rows, columns = np.nonzero((pixels == (230, 159, 0)).all(axis=2))
    return (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None


def test_matches_of_the_only_hit_are_on_both_pictures(xmir, page):
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([boxed(page[0])])).code == 0
    # 40 x 30 in 100 x 100: scaled 2.5, 12 from top
    left, upper, right, _ = strong(tile("m.png", 0, **ONE))
    assert (left, upper, right) == pytest.approx((10, 22, 60), abs=3)
    # 50 x 50: scaled 2
    assert strong(tile("m.png", 1, 1, **ONE)) == pytest.approx((20, 40, 60, 80), abs=3)
    assert strong(tile("m.png", 1, 0, **ONE)) is None


def test_matches_of_several_hits_are_on_the_hits_alone(xmir, page):
    records = [boxed(page[0]), boxed(page[2])]
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump(records)).code == 0
    assert strong(tile("m.png", 0, **TWO)) is None
    assert strong(tile("m.png", 1, 1, **TWO)) is not None
    assert strong(tile("m.png", 2, 1, **TWO)) is not None


def test_region_of_a_query_is_framed(xmir, page):
    record = {**page[0], "region": [4.0, 4.0, 20.0, 16.0]}
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([record])).code == 0
    assert strong(tile("m.png", 0, **ONE)) is not None


@pytest.mark.parametrize(
    "broken", [7, [7], [{}], [{"query": [1, 2, 3, 1e99], "retrieved": [1] * 4}]]
)
def test_matches_that_are_none_make_a_bad_record(xmir, page, broken):
    record = {**page[0], "details": {"matches": broken}}
    done = xmir("montage", "-o", "m.png", stdin=dump([record, page[1]]))
    assert done.code == 3
    assert "skipped line 1: bad-record" in done.stderr


def marked(pixels):
    """The middle of the orange in a picture, or None."""
    rows, columns = np.nonzero((pixels == (230, 159, 0)).all(axis=2))
    return (columns.mean(), rows.mean()) if len(rows) else None


def test_the_point_that_was_asked_for_is_marked_on_the_other_image(xmir, page):
    record = {**page[0], "settings": {"point": "30,10"}}
    assert xmir("montage", "-o", "a.png", "--side", SIDE, stdin=dump([record])).code == 0
    # 40 x 30 in 100 x 100: scaled 2.5, 12 or 13 from the top
    layout = {"hits": 1, "titles": ("retrieved", "occlusion for a point")}
    assert marked(tile("a.png", 0, **layout)) == pytest.approx((76, 38.5), abs=1.5)
    assert marked(tile("a.png", 1, 1, **layout)) is None
    back = {**record, "explains": "query", "roi": [0, 0, 40, 30]}
    plain = {**page[0], "settings": {"point": ""}}
    assert xmir("montage", "-o", "b.png", "--side", SIDE, stdin=dump([plain, back])).code == 0
    layout = {"hits": 1, "titles": ("retrieved", "occlusion", "occlusion for a point on the query")}
    assert marked(tile("b.png", 0, **layout)) is None
    assert marked(tile("b.png", 1, 1, **layout)) == pytest.approx((61, 21), abs=1.5)
    assert marked(tile("b.png", 1, 2, **layout)) is None
    junk = [{**page[0], "settings": {"point": value}} for value in (7, "here", ["1,2"])]
    assert xmir("montage", "-o", "c.png", "--side", SIDE, stdin=dump(junk)).code in {0, 3}


def test_a_region_a_point_and_matches_are_marked_together(xmir, page):
    """One does not hide the other, of which the legend speaks."""
    region = {"region": [2.0, 2.0, 12.0, 12.0]}
    point = {"settings": {"point": "30,20"}}
    matches = [{"query": [20, 2, 10, 8], "retrieved": [2, 20, 10, 8], "share": 0.1}]
    boxes = {"details": {"matches": matches}}
    shown = []
    for number, marks in enumerate([{}, region, point, boxes, {**region, **point, **boxes}]):
        name = f"{number}.png"
        records = dump([{**page[0], "method": "occlusion", **marks}])
        assert xmir("montage", "-o", name, "--side", SIDE, stdin=records).code == 0
        titles = ("retrieved", "occlusion for a point" if "settings" in marks else "occlusion")
        shown.append(tile(name, 0, hits=1, titles=titles))
    apart = [(each != shown[0]).any(axis=2) for each in shown[1:]]
    assert all(each.any() for each in apart)
    assert (apart[3] == (apart[0] | apart[1] | apart[2])).all()


def test_what_is_gone_changes_neither_scale_nor_legend_nor_layout(xmir, page):
    np.save("strong.npy", -9 * np.load(page[0]["saliency"]))
    gone = {**page[0], "retrieved": "gone.png", "match": None, "saliency": "strong.npy"}
    lost = {**page[0], "rank": 9, "saliency": "lost.npy"}
    assert xmir("montage", "-o", "a.png", "--side", SIDE, stdin=dump(page[:1])).code == 0
    done = xmir("montage", "-o", "b.png", "--side", SIDE, stdin=dump([gone, page[0], lost]))
    assert (done.code, "1 drawn, 2 skipped (1 missing, 1 bad-map)" in done.stderr) == (3, True)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_skipped_record_is_not_drawn(xmir, page):
    changed = [{**record, "query_identity": "0" * 64} for record in page[:4]]
    result = xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump(changed + page[4:]))
    assert (result.code, "4 drawn, 4 skipped (4 changed)" in result.stderr) == (3, True)
    assert "m.png: 1 query" in result.stderr
    Path(page[4]["saliency"]).write_bytes(b"none")
    result = xmir("montage", "-o", "n.png", "--side", SIDE, stdin=dump(page[4:]))
    assert result.code == 3
    assert len(np.unique(tile("n.png", 1, 1)[:60])) == 1  # a grey place
    assert len(np.unique(tile("n.png", 2, 1)[:60])) > 1


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
    result = xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([page[0], changed, page[2]]))
    assert (result.code, "2 drawn, 1 skipped (1 changed)" in result.stderr) == (3, True)


def test_more_queries_than_a_picture_holds_make_numbered_files(xmir, page):
    done = xmir("montage", "-o", "m.png", "--rows", 1, stdin=dump(page))
    assert (done.code, "m-001.png to m-002.png: 2 queries" in done.stderr) == (0, True)
    assert not Path("m.png").exists()
    with Image.open("m-001.png") as first, Image.open("m-002.png") as second:
        assert first.size == second.size
    Path("m-002.png").write_text("mine")
    assert xmir("montage", "-o", "m.png", "--rows", 1, stdin=dump(page)).code == 7
    assert Path("m-002.png").read_text() == "mine"
    Path("m-002.png").write_bytes(Path("q1.png").read_bytes())
    page[0]["query"] = "m-002.png"
    done = xmir("montage", "-o", "m.png", "--rows", 1, "-f", stdin=dump(page))
    assert (done.code, "--output m-002.png: is an input, too" in done.stderr) == (2, True)


def test_pages_of_an_earlier_run_are_told_of(xmir, page):
    """Beside those that are written, for whoever takes them all takes the old ones, too."""
    for name in ("m-1.png", "m-0021.pdf", "m-mine.png", "mm-001.png"):
        Path(name).touch()
    assert xmir("montage", "-o", "m.png", "--rows", 1, stdin=dump(page)).code == 0
    done = xmir("montage", "-o", "m.png", "-f", stdin=dump(page[:4]))
    told = "warning: m-001.png to m-002.png: of an earlier run, no page of this one\n"
    assert (done.code, told in done.stderr) == (0, True)
    done = xmir("montage", "-o", "m.png", "--rows", 1, "-f", stdin=dump(page))
    assert "warning: m.png: of an earlier run, no page of this one\n" in done.stderr
    Path("m.png").unlink()
    done = xmir("montage", "-o", "m.png", "--rows", 1, "-f", stdin=dump(page))
    assert "earlier" not in done.stderr


def test_ten_queries_are_one_picture_and_eleven_are_two(xmir, page):
    def ask(count, name):
        records = [{**page[0], "query_identity": f"{number:064}"} for number in range(count)]
        for number, record in enumerate(records):
            level = Image.new("L", (20, 20), number)
            level.save(f"q{number}-{count}.png")
            record["query"] = f"q{number}-{count}.png"
            record["query_identity"] = sha256_file(Path(record["query"]))
        return xmir("montage", "-o", name, "--side", 48, stdin=dump(records)).stderr

    assert "a.png: 10 queries" in ask(10, "a.png")
    assert "b-001.png to b-002.png: 11 queries" in ask(11, "b.png")


def test_a_pdf_has_as_many_pages_as_it_takes(xmir, page):
    done = xmir("montage", "-o", "m.pdf", "--rows", 1, stdin=dump(page))
    assert (done.code, "m.pdf: 2 pages: 2 queries" in done.stderr) == (0, True)
    done = xmir("montage", "-o", "n.pdf", stdin=dump(page))
    assert "n.pdf: 1 page: 2 queries" in done.stderr


def test_a_pair_of_the_same_image_does_not_pale_the_rest(xmir, page):
    lines = page[:3:2]
    assert xmir("montage", "-o", "a.png", "--side", SIDE, stdin=dump(lines)).code == 0
    strong_map = np.zeros((32, 32), np.float32)
    strong_map[8:16, 8:16] = 90
    np.save("same.npy", strong_map)
    same = {**page[0], "saliency": "same.npy", "retrieved": "q1.png", "rank": 1, "similarity": 1.0}
    same["roi"] = [0, 0, 40, 30]
    assert xmir("montage", "-o", "b.png", "--side", SIDE, stdin=dump([*lines, same])).code == 0
    three = {"hits": 3, "titles": TWO["titles"]}
    for hit in (1, 2):
        assert (tile("a.png", hit, 1, **TWO) == tile("b.png", hit, 1, **three)).all()


def test_each_query_may_have_a_scale_of_its_own(xmir, page):
    np.save("weak.npy", np.load(page[4]["saliency"]) / 100)
    weak = {**page[4], "saliency": "weak.npy"}
    for scale, name in (("page", "a.png"), ("row", "b.png")):
        records = dump([weak, page[0], {**page[0], "rank": 5}])
        assert (
            xmir("montage", "-o", name, "--side", SIDE, "--scale", scale, stdin=records).code == 0
        )
    shown = [np.ptp(tile(name, 1, 1, **TWO)[:60]) for name in ("a.png", "b.png")]
    assert shown[0] == 0
    assert shown[1] > 40


def test_two_settings_of_a_method_stand_side_by_side(xmir, page):
    records = [{**page[0], "settings": {"fill": fill}} for fill in ("gray", "black")]
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump(records)).code == 0
    layout = {"hits": 1, "titles": ("retrieved", "occlusion, fill gray", "occlusion, fill black")}
    assert (tile("m.png", 1, 1, **layout) == tile("m.png", 1, 2, **layout)).all()
    assert np.ptp(tile("m.png", 1, 2, **layout)) > 0


def test_records_of_a_query_are_one_row_wherever_they_stand(xmir, page):
    mixed = page[::2] + page[1::2]
    for name, records in (("a.png", page), ("b.png", mixed)):
        assert xmir("montage", "-o", name, "--side", SIDE, stdin=dump(records)).code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_map_lies_on_grey_and_the_bare_image_keeps_its_colours(xmir, page):
    Image.new("RGB", (50, 50), (200, 60, 60)).save("skin.png")
    record = {**page[0], "retrieved": "skin.png"}
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([record])).code == 0
    assert (tile("m.png", 1, 0, **ONE) == (200, 60, 60)).all()
    red, green, blue = tile("m.png", 1, 1, **ONE)[90, 90]
    assert red == green == blue


def test_the_crop_is_framed_on_the_query_too(xmir, page):
    recipe = {
        "input_size": 10, "resize": 20, "interpolation": "bilinear", "mean": [0, 0, 0],
        "std": [1, 1, 1], "window": "auto", "jpeg": "full",
    }  # fmt: skip
    model = {"architecture": "x", "weights": "random:0", "head": None, "preprocessing": recipe}
    record = {**page[0], "model": {**model, "weights_sha256": "0" * 64}}
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([record])).code == 0
    rows, columns = np.nonzero(tile("m.png", 0, **ONE)[:, :, 0] > 120)
    # the middle 15 x 15 of 40 x 30 pixels, scaled 2.5, 12 from the top
    found = (columns.min(), rows.min(), columns.max(), rows.max())
    assert found == pytest.approx((31, 31, 69, 69), abs=3)
    assert rows.size < 600


def test_a_map_that_shows_nothing_is_said_to_be_blank(xmir, page):
    np.save("blank.npy", np.zeros((32, 32), np.float32))
    blank = {**page[2], "saliency": "blank.npy"}
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=dump([page[0], blank])).code == 0
    shown = tile("m.png", 2, 1, **TWO)
    assert (shown[-3] == 0).all()
    assert (shown[-20:] == 255).any()
    assert not (tile("m.png", 1, 1, **TWO)[-3] == 0).all()


def test_a_map_that_is_cut_off_is_said_to_be(xmir, page):
    strong = np.load(page[0]["saliency"]) * 50
    np.save("strong.npy", strong)
    others = [{**page[0], "rank": rank} for rank in (2, 3)]
    lines = dump([{**page[0], "saliency": "strong.npy"}, *others])
    assert xmir("montage", "-o", "m.png", "--side", SIDE, stdin=lines).code == 0
    notes = [tile("m.png", hit, 1, 3, TWO["titles"])[-3] for hit in (1, 2)]
    assert [(note == 0).all() for note in notes] == [True, False]


def test_masks_of_a_folder_are_outlined_on_all_pictures_of_their_image(xmir, page):
    mask = np.zeros((50, 50), np.uint8)
    mask[10:30, 20:40] = 1
    Path("masks").mkdir()
    Image.fromarray(mask).save("masks/r.png")
    done = xmir("montage", "-o", "m.png", "--side", SIDE, "--masks", "masks", stdin=dump(page[:1]))
    assert done.code == 0
    for number in range(2):
        rows, columns = np.nonzero((tile("m.png", 1, number, **ONE) == (0, 229, 255)).all(axis=2))
        found = (columns.min(), rows.min(), columns.max(), rows.max())
        assert found == pytest.approx((40, 20, 80, 60), abs=2)
        assert len(rows) < 400  # what is inside stays
    assert not (tile("m.png", 0, **ONE) == (0, 229, 255)).all(axis=2).any()
    (Path("masks") / "deep").mkdir()
    done = xmir("montage", "-o", "n.png", "--masks", "masks/deep", stdin=dump(page[:1]))
    assert "masks/deep: no mask has the name of an image of these records" in done.stderr
    done = xmir("montage", "-o", "o.png", "--masks", "none", stdin=dump(page[:1]))
    assert (done.code, "none: neither a folder nor a column of" in done.stderr) == (5, True)
    done = xmir("montage", "-o", "o.png", "--masks", "./none", stdin=dump(page[:1]))
    assert (done.code, "./none: no such folder" in done.stderr) == (5, True)
    Path("masks/r.png").write_bytes(b"broken")
    done = xmir("montage", "-o", "p.png", "--masks", "masks", stdin=dump(page[:1]))
    assert (done.code, "r.png: not-an-image: " in done.stderr) == (0, True)
    assert "(masks/r.png); not outlined" in done.stderr


def test_masks_of_a_column_and_boxes_are_outlined_too(xmir, page):
    mask = np.zeros((50, 50), np.uint8)
    mask[10:30, 20:40] = 1
    Path("masks").mkdir()
    Image.fromarray(mask).save("masks/m.png")
    Path("b.csv").write_text("path,x,y,w,h\nq.png,20,10,20,20\nr.png,20,10,10,20\nr,30,10,10,20\n")
    Image.new("L", (50, 50), 90).save("q.png")
    row = {"mask": "masks/m.png"}
    record = {**page[0], "query": "q.png", "meta": {"id": "r", **row}, "query_meta": row}
    for options in (("--masks", "mask"), ("--boxes", "b.csv")):
        asked = ("-o", "m.png", "--side", SIDE, "--force", *options)
        assert xmir("montage", *asked, stdin=dump([record])).code == 0
        for tiles in ((0,), (1, 0), (1, 1)):
            cyan = (tile("m.png", *tiles, **ONE) == (0, 229, 255)).all(axis=2)
            rows, columns = np.nonzero(cyan)
            found = (columns.min(), rows.min(), columns.max(), rows.max())
            assert found == pytest.approx((40, 20, 80, 60), abs=2)
    done = xmir("montage", "-o", "n.png", "--masks", "a", "--boxes", "b.csv", stdin=dump([record]))
    assert (done.code, "--boxes: --masks name the truth already" in done.stderr) == (2, True)
    done = xmir("montage", "-o", "n.png", "--masks", "maskk", stdin=dump([record]))
    assert (done.code, "did you mean mask?" in done.stderr) == (5, True)


def test_a_mask_is_that_of_the_image_with_most_of_its_folders(xmir, page):
    for folder, level in (("masks", 1), ("masks/b", 255)):
        Path(folder).mkdir()
        mask = np.zeros((50, 50), np.uint8)
        mask[10:30, 5:15] = level
        Image.fromarray(mask if folder == "masks" else mask[:, ::-1]).save(f"{folder}/r.png")
    records = []
    for rank, folder in ((1, "a"), (2, "b")):
        Path(folder).mkdir()
        Path(folder, "r.jpg").write_bytes(Path("r.png").read_bytes())
        records.append({**page[0], "retrieved": f"{folder}/r.jpg", "rank": rank})
    options = ("--side", SIDE, "--masks", "masks")
    assert xmir("montage", "-o", "m.png", *options, stdin=dump(records)).code == 0
    for hit, side in ((1, "left"), (2, "right")):
        columns = np.nonzero((tile("m.png", hit, 0, **TWO) == (0, 229, 255)).all(axis=2))[1]
        assert (columns.mean() < 50) == (side == "left")


def in_cluster(record, cluster, exemplar=True):
    return {**record, "schema": "xmir.cluster/1", "cluster": cluster, "exemplar": exemplar}


def test_a_cluster_is_a_row_of_its_exemplars(xmir, page, monkeypatch):
    own = [record for record in page if record["method"] == "occlusion"]
    lines = [in_cluster(own[0], 1), in_cluster(own[3], 1), in_cluster(own[1], 2)]
    lines.append(in_cluster(own[2], 1, exemplar=False))
    told = {}
    monkeypatch.setattr(
        "xmir_cli.stories.montage.draw_row",
        lambda query, hits, layout: (
            told.setdefault(tuple(query.lines), [each.lines for each in hits]),
            draw_row(query, hits, layout),
        )[1],
    )
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    result = xmir("montage", "-o", "m.png", "--side", SIDE, stdin=stdin)
    assert (result.code, result.stderr) == (0, "xmir: note: m.png: 2 clusters\n")
    assert told == {
        ("occlusion", "3 of 4", "clear 3"): [
            ["correct", "clear", "r", "with q1.png"],
            ["wrong", "clear", "r", "with q2.png"],
        ],
        ("occlusion", "1 of 4", "clear 1"): [["wrong", "clear", "r", "with q1.png"]],
    }
    titles = ("exemplar",)
    assert frame("m.png", 0, 2, titles) == QUERY
    assert [frame("m.png", group, 2, titles) for group in (1, 2)] == [CORRECT, WRONG]


def test_clusters_of_several_methods_have_one_column(xmir, page):
    lines = [in_cluster(record, 1) for record in page]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    result = xmir("montage", "-o", "m.png", "--side", SIDE, stdin=stdin)
    assert (result.code, result.stderr) == (0, "xmir: note: m.png: 2 clusters\n")
    with Image.open("m.png") as picture:
        assert picture.width == PageLayout(SIDE, ["exemplar"], 4).width


def test_a_record_of_a_cluster_tells_which(xmir, page):
    lines = [{**in_cluster(page[0], 1), "exemplar": "yes"}, in_cluster(page[1], 1)]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    result = xmir("montage", "-o", "m.png", stdin=stdin)
    assert result.code == 3
    assert "exemplar: expected true or false, found 'yes'" in result.stderr
