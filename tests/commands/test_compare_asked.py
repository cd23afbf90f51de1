"""By what queries were asked: what records tell of it, and what `compare` makes of it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from xmir_cli.scoring.compare.ways import Ways, compare_ways, merge_ways
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
PLAIN = "--all --top 3"


@pytest.fixture
def index(xmir):
    """Eight images on a quarter of a circle, two a patient, of two labels."""
    angles = np.linspace(0, 1.5, 8)
    items = pa.table(
        {
            "id": [f"i{number}" for number in range(8)],
            "path": [f"/i/{number}.png" for number in range(8)],
            "sha256": [f"{number:064x}" for number in range(8)],
            "width": pa.array([64] * 8, pa.int32()),
            "height": pa.array([48] * 8, pa.int32()),
            "label": ["ab"[number // 4] for number in range(8)],
            "patient": [f"p{number // 2}" for number in range(8)],
            "split": ["train", "test"] * 4,
        }
    )
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    write_embeddings(Path("e.parquet"), Embeddings(items, vectors, MODEL))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0


@pytest.fixture
def ask(index, xmir):  # noqa: ARG001
    """Writes the records of a query with these flags, and gives their file."""

    def asked(name, flags):
        found = xmir("query", "-i", "e.xmir", *flags.split())
        assert found.code == 0, found.stderr
        Path(name).write_text(found.stdout)
        return name

    return asked


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", {"top": 5}),
        ("--top 2", {"top": 2}),
        ("--no-self", {"top": 5, "no_self": True}),
        ("--exclude-same patient", {"top": 5, "exclude_same": "patient"}),
        ("--exclude-same patient --no-self", {"top": 5, "exclude_same": "patient"}),
        (
            "--where split=test --where label!=b --where split=test",
            {"top": 5, "where": ["label!=b", "split=test"]},
        ),
        ("--per patient=01", {"top": 5, "per": "patient=1"}),
        ("--min-similarity 0.5", {"top": 5, "min_similarity": 0.5}),
        ("--rerank 6", {"top": 5, "rerank": 6}),
        ("--id i1 --seed 3 --format jsonl", {"top": 5}),
    ],
)
def test_records_tell_what_was_set(flags, told, xmir):
    records = xmir("query", "-i", "e.xmir", "--id", "i0", *flags.split()).records()
    assert records
    assert [each["asked"] for each in records] == [told] * len(records)


@pytest.mark.usefixtures("index")
def test_a_record_that_nothing_is_near_tells_by_what_was_asked(xmir):
    flags = ("--like", "i5", "--no-self", "--min-similarity", "0.9999999")
    (record,) = xmir("query", "-i", "e.xmir", "--id", "i0", *flags).records()
    assert record["answer"] == "none"
    assert record["asked"] == {"top": 5, "no_self": True, "min_similarity": 0.9999999}
    assert (record["like"], record["unlike"]) == (["/i/5.png"], [])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("--no-self", "--exclude-same patient", "OLD with `no_self`, NEW with `exclude_same` pati"),
        ("", "--where split=test", "OLD without, NEW with `where` split=test"),
        ("--per patient=1", "--per patient=2", "OLD with `per` patient=1, NEW with `per` patient="),
        ("--top 4", "", "OLD with `top` 4, NEW with `top` 3"),
        ("--rerank 6", "", "OLD with `rerank` 6, NEW without"),
        ("--rerank 6", "--rerank 7", "OLD with `rerank` 6, NEW with `rerank` 7"),
        ("", "--min-similarity 0.5", "OLD without, NEW with `min_similarity` 0.5"),
        ("", "--like i7", "OLD without, NEW with `like`, `unlike`"),
    ],
)
def test_compare_tells_what_differs(old, new, told, ask, xmir):
    one = ask("old.jsonl", f"{PLAIN} {old}")
    other = ask("new.jsonl", f"{PLAIN} {new}")
    done = xmir("compare", one, other, "--summary", "--k", "1")
    assert done.code == 0
    assert f"note: asked in two ways: {told.replace(', `unlike`', '')}" in done.stderr
    for each in (one, other):
        assert "two ways" not in xmir("compare", each, each, "--summary", "--k", "1").stderr


def test_the_summary_tells_by_what_both_sides_were_asked(ask, xmir):
    old = ask("old.jsonl", f"{PLAIN} --where split=test --no-self")
    new = ask("new.jsonl", f"{PLAIN} --like i7 --exclude-same patient")
    (record,) = xmir("compare", old, new, "--summary").records()
    assert record["asked_old"] == {"top": 3, "where": ["split=test"], "no_self": True}
    assert record["asked_new"] == {"top": 3, "exclude_same": "patient", "like": True}


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ("--where split=test", 5),
        ("--exclude-same patient", 5),
        ("--no-self", 5),
        ("--per patient=1", 5),
        ("--rerank 6", 0),
        ("--min-similarity 0.5", 0),
        ("--like i7", 0),
        ("--top 4", 0),
    ],
)
def test_gates_are_refused_where_other_images_could_be_found(flags, code, ask, xmir):
    old, new = ask("old.jsonl", PLAIN), ask("new.jsonl", f"{PLAIN} {flags}")
    done = xmir("compare", old, new, "--k", "1", "--min", "p_at_1_difference=-1")
    assert (done.code, "asked in two ways: OLD" in done.stderr) == (code, True)
    if code:
        error, hint = done.stderr.splitlines()[-2:]
        assert error.startswith("xmir: error: asked in two ways: OLD without, NEW with ")
        assert error.endswith("; gates would tell of these, not of the models")
        name = flags.split()[0].removeprefix("--").replace("-", "_")
        assert error.split("NEW with ")[1].startswith(name)
        assert hint == f"xmir: hint: Ask both with the same {name}, or compare without gates."
    assert xmir("compare", old, new, "--k", "1").code == 0
    assert xmir("compare", old, old, "--k", "1", "--min", "p_at_1_difference=0").code == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--exclude-same patient", "exclude_same none, this run has exclude_same patient"),
        ("--where split=test", "where none, this run has where split=test"),
        ("--top 4", "top 3, this run has top 4"),
        ("--like i7", "like none, this run has like True"),
    ],
)
def test_a_baseline_whose_sides_were_asked_otherwise_is_refused(flags, told, ask, xmir):
    plain, other = ask("plain.jsonl", PLAIN), ask("other.jsonl", f"{PLAIN} {flags}")
    asked = ("--summary", "--k", "1")
    Path("b.jsonl").write_text(xmir("compare", plain, plain, *asked).stdout)
    same = xmir("compare", plain, plain, *asked, "--baseline", "b.jsonl")
    assert (same.code, same.stderr.count("worse")) == (0, 0)
    for sides, name in (((other, plain), "old"), ((plain, other), "new")):
        done = xmir("compare", *sides, *asked, "--baseline", "b.jsonl")
        assert done.code == 5
        assert f"error: b.jsonl: scored with asked_{name} {told}" in done.stderr
        assert "hint: Make the records of both runs in the same way.\n" in done.stderr


def older(name, source):
    """The same records as an earlier xmir wrote them."""
    lines = [json.loads(line) for line in Path(source).read_text().splitlines()]
    kept = [{key: value for key, value in each.items() if key != "asked"} for each in lines]
    Path(name).write_text("".join(f"{json.dumps(each)}\n" for each in kept))
    return name


def test_records_that_do_not_tell_are_not_known_rather_than_asked_by_nothing(ask, xmir):
    new = ask("new.jsonl", f"{PLAIN} --no-self")
    old, flags = older("old.jsonl", new), ("--summary", "--k", "1")
    gate = ("--min", "overlap_at_1=1")
    done = xmir("compare", old, new, *flags, *gate)
    (record,) = done.records()
    assert (done.code, "asked_old" in record) == (0, False)
    assert record["asked_new"] == {"top": 3, "no_self": True}
    assert (
        "note: asked in two ways: OLD with settings that its records do not tell, "
        "NEW with `no_self`, `top` 3" in done.stderr
    )
    Path("b.jsonl").write_text(done.stdout)
    assert xmir("compare", old, new, *flags, "--baseline", "b.jsonl").code == 0
    done = xmir("compare", new, new, *flags, "--baseline", "b.jsonl")
    assert done.code == 5
    assert "b.jsonl: does not say its asked_old, this run has top 3, no_self True" in done.stderr
    assert xmir("compare", old, old, *flags, *gate).code == 0


def test_ways_are_those_of_each_query_not_of_a_whole_file(ask, xmir):
    """Both files have queries of both ways, but not the same ones."""
    one = Path(ask("one", "--id i0 --top 2 --exclude-same patient")).read_text()
    other = Path(ask("other", "--id i6 --top 2")).read_text()
    both = Path("old.jsonl")
    both.write_text(one + other)
    swapped = Path(ask("a", "--id i0 --top 2")).read_text()
    swapped += Path(ask("b", "--id i6 --top 2 --exclude-same patient")).read_text()
    Path("new.jsonl").write_text(swapped + Path(ask("c", "--id i1 --top 2")).read_text())
    both.write_text(both.read_text() + Path("c").read_text())
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", "1")
    assert (
        "note: 2 of 3 queries were asked in two ways: OLD with `exclude_same` patient, "
        "NEW with `exclude_same` patient" in done.stderr
    )
    (record,) = done.records()
    assert record["asked_old"] == {"top": 2, "exclude_same": ["patient", None]}
    assert "two ways" not in xmir("compare", "old.jsonl", "old.jsonl", "--summary").stderr


def test_the_worst_queries_can_be_shown(xmir, tiny_arch):
    """Their records, which tell it of each side, go on to maps and pages."""
    Path("images").mkdir()
    for number in range(5):
        grey = np.random.default_rng(number).integers(0, 255, (40, 48), dtype=np.uint8)
        Image.fromarray(grey).save(f"images/{number}.png")
    for side, flags in (("old", ()), ("new", ("--no-self", "--min-similarity", "-1"))):
        weights = ("--arch", tiny_arch, "--weights", f"random:{len(flags)}")
        xmir("embed", "images", *weights, "-o", f"{side}.parquet")
        xmir("index", f"{side}.parquet", "-o", f"{side}.xmir")
        found = xmir("query", "--all", "--top", "2", "-i", f"{side}.xmir", *flags)
        Path(f"{side}.jsonl").write_text(found.stdout)
    worst = xmir("compare", "old.jsonl", "new.jsonl", "--worst", "2", "--k", "2")
    plain, others = {"top": 2}, {"top": 2, "no_self": True, "min_similarity": -1.0}
    told = [(each["side"], each["asked"]) for each in worst.records() if "asked" in each]
    assert {side for side, _ in told} == {"old", "new"}
    assert all(asked == (plain if side == "old" else others) for side, asked in told)
    assert len(told) < len(worst.records())  # what only the other found
    maps = xmir("saliency", "-", "--method", "activation", stdin=worst.stdout)
    assert (maps.code, len(maps.records())) == (0, len(worst.records()))
    assert xmir("montage", "-", "-o", "side.png", stdin=maps.stdout).code == 0
    assert xmir("report", "-o", "page.html", stdin=maps.stdout).code == 0
    assert "no_self" in Path("page.html").read_text()


def test_pairs_of_ways_beside_a_loop():
    plain, top, far = Ways({"top": 3}), Ways({"top": 4}), Ways({"top": 3, "where": ["a=b"]})
    unknown = Ways({}, known=False)
    found = compare_ways([(plain, plain), (plain, top), (far, plain), (unknown, far)])
    assert (found.queries, sorted(found.found)) == (3, ["where"])
    assert merge_ways([plain, far, plain]) == {"top": 3, "where": [["a=b"], None]}
    assert merge_ways([plain, unknown]) is None
    assert compare_ways([(unknown, Ways({}, known=False))]).note(1) == []
