"""xmir report through the front door: what stands in the file, and what cannot be written."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import ModelSpec, Preprocessing
from xmir_cli.wire.schema import (
    NUMBER,
    NUMBERS,
    PATH,
    SETTINGS,
    TEXT,
    WHOLE,
    Plot,
    Shows,
    key,
)
from xmir_cli.wire.schemas import all_schemas
from xmir_cli.wire.schemas.retrieval import RetrievalRecord


@pytest.fixture
def pairs(tmp_path):
    """Two queries with two hits each and maps of two methods, as scored records."""
    for number, (name, size) in enumerate([("q1", (40, 30)), ("q2", (30, 60)), ("r", (50, 50))]):
        Image.new("L", size, 60 + 30 * number).save(tmp_path / f"{name}.png")
    lines = []
    for query in ("q1", "q2"):
        for rank, match in ((1, True), (2, False)):
            for method, peak in (("occlusion", 0.5), ("activation", -2.0)):
                path = tmp_path / f"{query}-{rank}-{method}.npy"
                saliency = np.zeros((32, 32), np.float32)
                saliency[8:16, 8:16] = peak * rank
                np.save(path, saliency)
                lines.append(scored(query, rank, match, method, str(path)))
    return lines


def scored(query, rank, match, method, path):
    return {
        "schema": "xmir.causal/1",
        "query": f"{query}.png",
        "retrieved": "r.png",
        "rank": rank,
        "match": match,
        "similarity": 0.9 / rank,
        "retrieved_label": "clear",
        "meta": {"id": "r", "patient": "JOHN-DOE", "modality": "CR"},
        "query_patient": "JANE-DOE",
        "method": method,
        "settings": {"window_size": 8},
        "explains": "retrieved",
        "saliency": path,
        "roi": [0, 0, 50, 50],
        "insertion": 0.5,
        "deletion": 0.25,
        "insertion_curve": [0.0, 0.5, 1.0],
        "insertion_control_curve": {"center": [0.0, 0.0, 1.0]},
        "insertion_gain": {"center": 0.25},
        "deletion_curve": [1.0, 0.0, 0.0],
    }


def dump(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_hits_of_two_models_are_no_share_of_either(xmir, pairs):
    """Each has a place and a similarity of its own, told beside its own record alone."""
    both = [
        {**each, "schema": "xmir.compare/1", "side": side, "rank": rank, "similarity": similar}
        for each in pairs[:1]
        for side, rank, similar in (("old", 1, 0.75), ("new", 9, 0.25))
    ]
    assert xmir("report", "-o", "p.html", stdin=dump(both)).code == 0
    (query,) = data_of("p.html")["queries"]
    assert [(hit["rank"], hit["similarity"]) for hit in query["hits"]] == [(None, None)]
    text = Path("p.html").read_text(encoding="utf-8")
    assert "Same label" not in text
    assert all(f"{similar:.4f}" in text for similar in (0.75, 0.25))
    assert xmir("report", "-o", "q.html", stdin=dump(pairs)).code == 0
    assert "Same label" in Path("q.html").read_text(encoding="utf-8")


def data_of(page):
    text = Path(page).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_holds_queries_hits_methods_and_each_picture_once(xmir, pairs):
    done = xmir("report", "-o", "p.html", stdin=dump(pairs))
    assert (done.code, done.stdout) == (0, "")
    assert "p.html: 8 records" in done.stderr
    data = data_of("p.html")
    assert [query["name"] for query in data["queries"]] == ["q1.png", "q2.png"]
    hits = data["queries"][1]["hits"]
    assert [(hit["rank"], hit["verdict"]) for hit in hits] == [
        (1, "same label"),
        (2, "another label"),
    ]
    assert [method["name"] for method in hits[0]["methods"]] == ["occlusion", "activation"]
    assert [method["records"] for method in hits[1]["methods"]] == [[7], [8]]
    assert hits[0]["picture"] == hits[1]["picture"]
    assert len(data["pictures"]) == len(set(data["pictures"])) == 3 + 4
    text = Path("p.html").read_text()
    assert all(text.count(picture) == 1 for picture in data["pictures"])


def test_a_map_is_a_transparent_picture_in_the_colours_of_pages(xmir, pairs):
    assert xmir("report", "-o", "p.html", stdin=dump(pairs[:1])).code == 0
    data = data_of("p.html")
    layer = data["queries"][0]["hits"][0]["methods"][0]["retrieved"]
    assert layer["roi"] == [0, 0, 50, 50]
    kind, _, coded = data["pictures"][layer["map"]].partition(",")
    assert kind == "data:image/png;base64"
    Path("m.png").write_bytes(base64.b64decode(coded))
    drawn = np.asarray(Image.open("m.png").convert("RGBA"))
    assert tuple(drawn[0, 0])[3] == 0
    assert tuple(drawn[10, 10]) == (0xFB, 0xE3, 0x5A, 255)


def test_masks_are_outlined_between_their_pixels(xmir, pairs):
    mask = np.zeros((50, 50), np.uint8)
    mask[10:30, 20:40] = 255
    mask[15:20, 25:30] = 0
    Path("masks").mkdir()
    Image.fromarray(mask).save("masks/r.png")
    Path("b.csv").write_text("path,x,y,w,h\nr.png,20,10,20,20\n")
    hole = "M25 15h5M25 20h5"
    for options, expected in (
        (("--masks", "masks"), f"M20 10h20{hole}M20 30h20M20 10v20M25 15v5M30 15v5M40 10v20"),
        (("--boxes", "b.csv"), "M20 10h20M20 30h20M20 10v20M40 10v20"),
    ):
        done = xmir("report", "-o", "p.html", "--force", *options, stdin=dump(pairs))
        assert done.code == 0
        (query, _) = data_of("p.html")["queries"]
        assert "outline" not in query
        assert query["hits"][0]["outline"] == {"path": expected, "size": [50, 50]}
        assert "what experts marked</p>" in Path("p.html").read_text()
    assert xmir("report", "-o", "q.html", stdin=dump(pairs)).code == 0
    assert "what experts marked</p>" not in Path("q.html").read_text()
    assert "outline" not in data_of("q.html")["queries"][0]["hits"][0]
    done = xmir("report", "-o", "q.html", "--masks", "mask", "--force", stdin=dump(pairs))
    assert (done.code, "neither a folder nor a column" in done.stderr) == (5, True)


def test_a_large_mask_is_outlined_on_a_smaller_plane(xmir, pairs):
    Image.new("L", (900, 600), 90).save("r.png")
    np.save("r.npy", np.pad(np.ones((300, 450), bool), ((150, 150), (225, 225))))
    records = [{**each, "roi": [0, 0, 600, 600]} for each in pairs]
    done = xmir("report", "-o", "p.html", "--masks", ".", "--side", 90, stdin=dump(records))
    assert done.code == 0, done.stderr
    hit = data_of("p.html")["queries"][0]["hits"][0]
    assert hit["size"] == [900, 600]
    assert hit["outline"]["size"] == [90, 60]
    starts = {place.split("h")[0] for place in hit["outline"]["path"].split("M") if "h" in place}
    assert {"22 15", "22 45"} <= starts | {"23 15", "23 45"}


def test_a_map_that_was_scored_twice_is_one_map(xmir, pairs):
    twice = [{**pairs[0], "mask_name": name} for name in ("a", "b")]
    assert xmir("report", "-o", "p.html", stdin=dump(twice)).code == 0
    (hit,) = data_of("p.html")["queries"][0]["hits"]
    assert [(each["name"], each["records"]) for each in hit["methods"]] == [("occlusion", [1, 2])]


def test_a_likeness_to_itself_does_not_pale_the_other_maps(xmir, pairs, tmp_path):
    np.save(tmp_path / "self.npy", np.full((32, 32), 100, np.float32))
    itself = {**pairs[0], "retrieved": "q1.png", "similarity": 1.0, "saliency": "self.npy"}
    assert xmir("report", "-o", "p.html", stdin=dump([itself, *pairs])).code == 0
    layer = data_of("p.html")["queries"][0]["hits"][1]["methods"][0]["retrieved"]
    assert (layer["full"], layer["largest"]) == (1.0, 0.5)


@pytest.mark.parametrize("name", all_schemas())
def test_a_record_of_every_schema_has_its_table(xmir, pairs, name):
    record = {**pairs[0], "schema": name} if "causal/" in name else {"schema": name}
    if {"query", "retrieved"} <= all_schemas()[name].__dataclass_fields__.keys():
        record = {**pairs[0], "cluster": 1, "exemplar": True, "schema": name}
    assert xmir("report", "-o", "p.html", stdin=dump([record])).code == 0
    page = Path("p.html").read_text()
    assert f"Records <code>{name}</code>" in page
    assert "`" not in page.partition("Records <code>")[2].partition("<script")[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class LaterRecord(RetrievalRecord):
    """A record that nobody has heard of yet."""

    NAME: ClassVar = "xmir.later/1"
    WRITTEN_BY: ClassVar = "later"
    PLOTS: ClassVar = (
        Plot("step", ("score",)),
        Plot("step", ("high", "low", "none")),
        Plot("step", ("none",)),
    )

    step: int | None = key(WHOLE, "the step")
    score: float | None = key(NUMBER, "how good it is")
    high: float | None = key(NUMBER, "how good at most")
    low: float | None = key(NUMBER, "how good at least")
    none: float | None = key(NUMBER, "nothing")
    secret: str | None = key(TEXT, "for nobody", shows=Shows.NOTHING)
    how: dict | None = key(SETTINGS, "how it was made")
    course: list[float] | None = key(NUMBERS, "the course of it", chart="course")
    drawing: str | None = key(PATH, "it drawn", shows=Shows.PICTURE)


def test_a_schema_that_is_added_comes_in_by_itself(xmir, pairs, monkeypatch):
    monkeypatch.setitem(all_schemas(), LaterRecord.NAME, LaterRecord)
    later = {
        **{each: pairs[0][each] for each in ("query", "retrieved", "rank")},
        "schema": LaterRecord.NAME,
        "secret": "SECRET",
        "unknown": "UNKNOWN",
        "how": {"depth": 3},
        "course": [0.0, 1.0],
        "drawing": "q2.png",
    }
    numbers = [{"step": step, "score": 0.5 * step, "high": 1, "low": 0} for step in (0, 1)]
    steps = [{**later, **each, "none": None} for each in numbers]
    assert xmir("report", "-o", "p.html", stdin=dump(steps)).code == 0
    text = Path("p.html").read_text()
    assert "Records <code>xmir.later/1</code>" in text
    assert "A record that nobody has heard of yet." in text
    assert 'title="how good it is">score</button>' in text
    assert 'aria-label="course: map, area 0.500"' in text
    assert 'aria-label="score: score"' in text
    assert 'aria-label="high, low: high; low"' in text
    assert 'aria-label="none' not in text
    assert 'data-alt="q2.png: it drawn"' in text
    assert '<td class="long">depth=3</td>' in text
    assert "SECRET" not in text
    assert "UNKNOWN" not in text


def test_no_patient_and_no_tag_is_told(xmir, pairs):
    assert xmir("report", "-o", "p.html", stdin=dump(pairs)).code == 0
    text = Path("p.html").read_text()
    assert "DOE" not in text
    assert "modality" not in text


def test_curves_stand_beside_those_of_controls(xmir, pairs):
    assert xmir("report", "-o", "p.html", stdin=dump(pairs[:1])).code == 0
    text = Path("p.html").read_text()
    assert 'aria-label="insertion: map, area 0.500; center, area 0.250"' in text
    assert 'points="0.0,160.0 120.0,80.0 240.0,0.0"' in text


def test_numbers_of_an_evaluation_are_rows_by_label(xmir):
    record = {
        "schema": "xmir.retrieval-metric/1",
        "map": 0.5,
        "p_at_1": 0.75,
        "labels": {"clear": {"map": 0.25, "queries": 3}},
        "excluding_same_patient": {"map": 0.4, "labels": {"clear": {"map": 0.2}}},
    }
    assert xmir("report", "-o", "p.html", stdin=dump([record])).code == 0
    text = Path("p.html").read_text()
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    ]
    assert rows[1][0] == "all"
    assert [row[0] for row in rows[2:5]] == [
        "labels: clear",
        "excluding_same_patient",
        "excluding_same_patient: labels: clear",
    ]


def table_of(page, schema):
    """The names of the columns of a schema's table, and its rows."""
    text = Path(page).read_text().partition(f"Records <code>{schema}</code>")[2]
    head, body = re.findall(r"<t(?:head|body)>(.*?)</t(?:head|body)>", text, re.DOTALL)[:2]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    names = re.findall(r"<button[^>]*>(.*?)</button>", head)
    return names, [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def test_what_rows_of_parts_have_stands_before_the_settings_of_the_whole(xmir):
    record = {
        "schema": "xmir.retrieval-metric/1",
        "embeddings": "e.parquet",
        "protocol": "loo",
        "map": 0.5,
        "p_at_1": 0.75,
        "macro": {"map": 0.25, "p_at_1": 0.5},
    }
    assert xmir("report", "-o", "p.html", stdin=dump([record])).code == 0
    names, rows = table_of("p.html", "xmir.retrieval-metric/1")
    assert names == ["part", "map", "p_at_1", "embeddings", "protocol"]
    assert rows == [
        ["all", "0.5000", "0.7500", "e.parquet", "loo"],
        ["macro", "0.2500", "0.5000", "", ""],
    ]


@pytest.mark.parametrize(
    ("schema", "number"),
    [("xmir.causal-summary/1", "insertion"), ("xmir.localization-summary/1", "energy")],
)
def test_a_summary_is_one_row_a_method_with_its_intervals(xmir, schema, number):
    record = {
        "schema": schema,
        "method": "activation",
        number: 0.5,
        f"{number}_sd": 0.25,
        f"{number}_low": 0.0,
        f"{number}_high": 1.0,
        f"{number}_gain": {"center": 0.125},
        f"{number}_gain_sd": {"center": 0.25},
        f"{number}_gain_low": {"center": -0.5},
        f"{number}_gain_high": {"center": None},
    }
    assert xmir("report", "-o", "p.html", stdin=dump([record])).code == 0
    names, rows = table_of("p.html", schema)
    told = dict(zip(names, rows[0], strict=True))
    assert len(rows) == 1
    assert told == {
        "method": "activation",
        number: "0.5000 (0.0000 to 1.0000)",
        f"{number}_gain.center": "0.1250",
        f"{number}_sd": "0.2500",
    }


def test_a_copy_of_another_label_is_a_query_of_its_own(xmir, pairs):
    identity = {"query_identity": sha256_file(Path("q1.png"))}
    Path("copy.png").write_bytes(Path("q1.png").read_bytes())
    Path("far").mkdir()
    Path("far/q1.png").write_bytes(Path("q1.png").read_bytes())
    first = {**pairs[0], **identity, "query_label": "clear"}
    moved = {**pairs[1], **identity, "query_label": "clear", "query": "far/q1.png"}
    copied = {**first, "query": "copy.png", "query_label": "ill", "match": False}
    records = dump([first, moved, copied])
    assert xmir("report", "-o", "p.html", stdin=records).code == 0
    queries = data_of("p.html")["queries"]
    assert [(each["name"], each["label"]) for each in queries] == [
        ("q1.png", "clear"), ("copy.png", "ill"),
    ]  # fmt: skip
    assert len(queries[0]["hits"][0]["methods"]) == 2
    assert xmir("montage", "-o", "m.png", stdin=records).stderr.endswith("m.png: 2 queries\n")


def test_hits_stand_in_the_order_of_their_ranks(xmir, pairs):
    records = [{**pairs[0], "rank": rank} for rank in (3, None, 1, 2)]
    assert xmir("report", "-o", "p.html", stdin=dump(records)).code == 0
    (query,) = data_of("p.html")["queries"]
    assert [hit["rank"] for hit in query["hits"]] == [1, 2, 3, None]


def test_the_stages_of_a_sanity_check_are_named(xmir):
    stages = ["none", "head", "all"]
    records = [
        {
            "schema": "xmir.sanity/1",
            "method": "activation",
            "stage": stage,
            "position": place,
            "spearman": 1 - place / 2,
        }
        for place, stage in enumerate(stages)
    ]
    assert xmir("report", "-o", "p.html", stdin=dump(records)).code == 0
    text = Path("p.html").read_text()
    assert re.findall(r"<li><b>(\d)</b> (\w+)</li>", text) == [*zip("012", stages, strict=True)]
    assert re.findall(r'text-anchor="middle">(\d)</text>', text) == ["0", "1", "2"]


def test_the_frame_of_what_the_network_saw_is_on_query_and_answer(xmir, pairs):
    recipe = ModelSpec("x", "random:0", preprocessing=Preprocessing(32, 40)).to_json()
    model = {**recipe, "weights_sha256": "0" * 64}
    assert xmir("report", "-o", "p.html", stdin=dump([{**pairs[0], "model": model}])).code == 0
    (query,) = data_of("p.html")["queries"]
    assert query["crop"] == pytest.approx([8, 3, 24, 24], abs=0.6)  # of 40 x 30
    assert query["hits"][0]["crop"] == pytest.approx([5, 5, 40, 40], abs=0.6)
    assert "what the network saw, where it is not all</p>" in Path("p.html").read_text()
    assert xmir("report", "-o", "p.html", "-f", stdin=dump(pairs[:1])).code == 0
    assert "what the network saw" not in Path("p.html").read_text()


def test_only_the_pages_own_script_and_style_may_run(xmir, pairs):
    assert xmir("report", "-o", "p.html", stdin=dump(pairs)).code == 0
    text = Path("p.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    for kind, inner in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "img-src data:;" in policy
    assert "unsafe" not in policy
    assert not re.search(r' (style|on\w+)="', text)


def test_a_page_that_becomes_too_large_says_what_to_do(xmir, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "q.png")
    record = {"query": "q.png", "retrieved": "q.png"}
    done = xmir("report", "-o", "p.html", "--limit", 1, "--side", 2000, stdin=dump([record]))
    assert done.code == 2
    assert done.stderr.splitlines() == [
        "xmir: error: --limit: the page would hold more than 1 MB",
        (
            "xmir: hint: Make the pictures smaller with --side (now 2000), take fewer records, "
            "such as the first hits by head, or raise --limit."
        ),
    ]
    assert not Path("p.html").exists()


def test_without_jinja_one_line_says_how_to_get_it(xmir, pairs, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = xmir("report", "-o", "p.html", stdin=dump(pairs))
    assert done.code == 5
    assert done.stderr.splitlines() == [
        "xmir: error: a page needs the package Jinja2",
        "xmir: hint: pip install 'xmir[report]'",
    ]


def test_what_cannot_be_read_is_skipped_and_counted(xmir, pairs):
    pairs[0]["retrieved"] = "gone.png"
    other = {"schema": "xmir.unheard-of/1"}
    changed = {**pairs[1], "retrieved_identity": "0" * 64}
    done = xmir("report", "-o", "p.html", stdin=dump([*pairs, other, changed]) + "{broken\n")
    assert done.code == 3
    assert "skipped gone.png: missing" in done.stderr
    assert "skipped line 9: bad-record: schema: expected one of xmir's" in done.stderr
    assert "skipped r.png: changed" in done.stderr
    assert "skipped line 11: bad-record" in done.stderr


def test_a_page_of_which_no_picture_can_be_read_is_none(xmir, pairs):
    gone = [{**pairs[0], "query": "a.png", "retrieved": "b.png", "saliency": "c.npy"}]
    done = xmir("report", "-o", "p.html", stdin=dump(gone))
    assert (done.code, "nothing was written" in done.stderr) == (5, True)
    assert not Path("p.html").exists()


def test_no_records_is_an_error(xmir):
    done = xmir("report", "-o", "p.html", stdin="")
    assert (done.code, "no records on standard input" in done.stderr) == (5, True)


@pytest.mark.parametrize("name", ["p.pdf", "p"])
def test_only_html_is_written(xmir, name):
    done = xmir("report", "-o", name, stdin="")
    assert done.code == 2
    assert "--output: expected a file that ends in .html" in done.stderr


def test_an_existing_page_stays_without_force(xmir, pairs):
    Path("p.html").write_text("mine")
    assert xmir("report", "-o", "p.html", stdin=dump(pairs)).code == 7
    assert Path("p.html").read_text() == "mine"
    assert xmir("report", "-o", "p.html", "--force", stdin=dump(pairs)).code == 0


def test_the_same_records_give_the_same_bytes(xmir, pairs):
    for name in ("a.html", "b.html"):
        assert xmir("report", "-o", name, stdin=dump(pairs)).code == 0
    assert sha256_file(Path("a.html")) == sha256_file(Path("b.html"))


def test_characters_that_would_not_be_seen_are_written_as_codes(xmir, pairs):
    odd = "\x1b\u202e"
    scored = {**pairs[0], "insertion_gain": {odd: 1}, "method": odd, "query_label": odd}
    scored |= {"settings": {odd: odd}, "insertion_control_curve": {odd: [0.0, 1.0]}}
    found = {"schema": "xmir.retrieval-metric/1", "labels": {odd: {odd: 0.5}}, "map": 1}
    assert xmir("report", "-o", "p.html", stdin=dump([scored, found])).code == 0
    text = Path("p.html").read_text(encoding="utf-8")
    assert r"insertion_gain.\x1b\u202e" in text
    assert r"labels: \x1b\u202e" in text
    assert not set("\x1b\u202e") & set(text)


def test_two_images_of_one_name_are_told_apart_by_their_folders(xmir, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (20, 20), ord(folder)).save(tmp_path / folder / "x.png")
    record = {"query": str(tmp_path / "a/x.png"), "retrieved": str(tmp_path / "b/x.png")}
    assert xmir("report", "-o", "p.html", stdin=dump([record])).code == 0
    (query,) = data_of("p.html")["queries"]
    assert (query["name"], query["hits"][0]["name"]) == ("a/x.png", "b/x.png")
    assert str(tmp_path) not in Path("p.html").read_text()


def test_the_bar_says_what_the_signs_of_a_map_mean(xmir, pairs):
    contrasted = {**pairs[2], "contrast": "q2.png", "query": "q2.png", "rank": 5}
    assert xmir("report", "-o", "p.html", stdin=dump([*pairs[:2], contrasted])).code == 0
    first, second = data_of("p.html")["queries"]
    _, activation = first["hits"][0]["methods"]
    layer = activation["retrieved"]
    assert layer["ends"] == ["lowers the similarity", "raises the similarity"]
    assert (layer["low"], layer["full"]) == (-2.0, 2.0)
    layer = second["hits"][0]["methods"][0]["retrieved"]
    assert layer["ends"] == ["like the other image", "like the query"]
    assert layer["against"] == "q2.png"
