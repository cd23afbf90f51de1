"""Every metric has the same baselines: which files are one, of which settings, what is missing."""

import hashlib
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.gates.conftest import ROWS
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder, load_network, resolve_model
from xmir_cli.store.runs import Run, write_checkpoint


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_only_a_record_that_can_be_compared_is_a_baseline(row, xmir):
    each = xmir(row.command, *row.asked, "--per-query")
    Path("each.jsonl").write_text(each.stdout)
    Path("hits.txt").write_text(Path("hits.jsonl").read_text())
    schema = each.records()[0]["schema"]
    if not schema.endswith("-query/1"):
        schema += " of one query"
    written = f"{row.command}{' --summary' if row.saved else ''}"
    Path("odd.jsonl").write_text('{"schema": ["xmir"], "query": 1}\n')
    Path("bare.jsonl").write_text("{}\n")
    files = {"each.jsonl": schema, "hits.txt": "xmir.retrieval/1"}
    files |= {"odd.jsonl": "['xmir']", "bare.jsonl": "no schema"}
    if row.command == "retrieval-metric":  # which has baselines of both kinds
        written += " or retrieval-metric --per-query"
        assert xmir(row.command, *row.asked, "--baseline", "each.jsonl").code == 0
        del files["each.jsonl"]
    for file, found in files.items():
        wrong = xmir(row.command, *row.asked, "--baseline", file)
        error, hint = wrong.stderr.splitlines()[-2:]
        assert wrong.code == 5
        assert error == (
            f"xmir: error: {file}: line 1: expected a record of {written}, found {found}"
        )
        assert hint.startswith("xmir: hint: Make the baseline with")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_baseline_that_cannot_be_read_is_told_where(row, xmir):
    Path("none.jsonl").write_text("")
    record = xmir(row.command, *row.asked, *row.saved).records()[0]
    Path("odd.jsonl").write_text(json.dumps({**record, "model": 5, "model_old": 5}))
    for file, told in (
        ("none.jsonl", "no records to compare with"),
        ("odd.jsonl", "line 1: bad-record: model"),
    ):
        wrong = xmir(row.command, *row.asked, "--baseline", file)
        error = wrong.stderr.splitlines()[-1]
        assert (wrong.code, error.startswith(f"xmir: error: {file}: {told}")) == (5, True), error


MEANS, MANY = "retrieval-metric e.parquet", "compare e.parquet other.parquet --summary"
HIDE = "shortcut images/labels.csv --model m.safetensors --test object --draws 50"
PLACES = "localization-metric maps.jsonl"
NOISE = "sanity-check hits.jsonl --method activation --test noise --threshold 1 --draws 2"
OTHER = "sanity-check hits.jsonl --method occlusion --test query --threshold 1 --stride 8"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("asked", "before", "now", "told"),
    [
        (MEANS, "", "--where split=x", "where none, this run has split=x"),
        (MEANS, "--sample 4", "", "sample.queries 4, this run has none"),
        (MEANS, "--sample 4", "--sample 4 --seed 1", "sample.seed 0, this run has 1"),
        (f"{MEANS} --where split=x", "", "--gallery e.parquet", "protocol loo"),
        (
            f"{MEANS} --where split=x --protocol query-gallery",
            *("--gallery e.parquet", "", "gallery one, this run has none"),
        ),
        (f"{MEANS} --per-query", "", "--where split=x", "where none, this run has split=x"),
        (PLACES, "--masks masks", "--boxes boxes.csv", "truth masks, this run has boxes"),
        (HIDE, "--where split=x", "", "where split=x, this run has none"),
        (HIDE, "--seed 1", "", "seed 1, this run has 0"),
        (NOISE, "--seeds 0,1", "", "seeds 2, this run has 1"),
        (NOISE, "--seeds 3", "", "seed_numbers 3, this run has 0"),
        (NOISE, "--center", "", "settings center True, this run has center none"),
        (
            OTHER,
            "--window-size 8",
            "--window-size 16",
            "settings window_size 8, this run has window_size 16",
        ),
        (
            MANY,
            "--where split=x --where patient!=p9",
            "--where split=x",
            "where split=x, patient!=",
        ),
        (MANY, "", "--sample 5", "sample.queries none, this run has 5"),
        (MANY, "--sample 5", "--sample 5 --seed 1", "sample.seed 0, this run has 1"),
        ("audit e.parquet --summary", "", "--where split=x", "where none, this run has split=x"),
        ("audit e.parquet --summary", "--test leaks", "--test hubs", "tests leaks, this run"),
        ("audit e.parquet --summary", "--no-images", "", "no_images True, this run has False"),
    ],
)
def test_a_baseline_of_other_settings_is_refused(asked, before, now, told, xmir):
    Path("b.jsonl").write_text(xmir(*asked.split(), *before.split()).stdout)
    same = xmir(*asked.split(), *before.split(), "--baseline", "b.jsonl")
    assert same.code == 0, same.stderr
    other = xmir(*asked.split(), *now.split(), "--baseline", "b.jsonl")
    error, hint = other.stderr.splitlines()[-2:]
    assert other.code == 5
    assert error.startswith(f"xmir: error: b.jsonl: scored with {told}")
    assert hint.startswith("xmir: hint: Compare runs of the same ")


@pytest.mark.usefixtures("here")
def test_a_comparison_with_another_old_model_is_no_baseline(xmir):
    hits = Path("hits.jsonl").read_text()
    weights = json.loads(hits.splitlines()[0])["model"]["weights_sha256"]
    Path("others.jsonl").write_text(hits.replace(weights, "cd" * 32))
    maps = Path("maps.jsonl").read_text()
    Path("more.jsonl").write_text(maps.replace(weights, "cd" * 32))
    for old, new in (
        ("e.parquet", "other.parquet"),
        ("hits.jsonl", "others.jsonl"),
        ("maps.jsonl", "more.jsonl"),
    ):
        before = xmir("compare", old, new, "--summary")
        Path("b.jsonl").write_text(before.stdout)
        assert xmir("compare", old, new, "--baseline", "b.jsonl").code == 0
        swapped = xmir("compare", new, old, "--baseline", "b.jsonl")
        told = f"xmir: error: b.jsonl: scored with model_old.weights_sha256 {weights}, this run has"
        assert (swapped.code, told in swapped.stderr) == (5, True), swapped.stderr


@pytest.mark.usefixtures("here")
def test_a_comparison_of_maps_that_were_scored_otherwise_is_no_baseline(xmir):
    for steps in (4, 8):
        scored = xmir("causal-metric", "maps.jsonl", "--curve-steps", steps)
        Path(f"{steps}.jsonl").write_text(scored.stdout)
    Path("b.jsonl").write_text(xmir("compare", "4.jsonl", "4.jsonl", "--summary").stdout)
    assert xmir("compare", "4.jsonl", "4.jsonl", "--baseline", "b.jsonl").code == 0
    other = xmir("compare", "8.jsonl", "8.jsonl", "--baseline", "b.jsonl")
    assert other.code == 5
    assert "b.jsonl: scored with scoring " in other.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("order", "number", "more"),
    [
        ("morf", "insertion", "better"),
        ("morf", "deletion", "worse"),
        ("lerf", "insertion", "worse"),
        ("lerf", "deletion", "better"),
        *(
            (order, f"{area}_gain.other-pair", "better")
            for order in ("morf", "lerf")
            for area in ("insertion", "deletion")
        ),
        ("morf", "insertion_control.other-pair", "neither"),
    ],
)
def test_a_comparison_of_maps_knows_which_way_is_better(order, number, more, xmir):
    """Where the least important pixels go first, a good map keeps the similarity."""
    flags = ("--curve-steps", "4", "--order", order, "--control", "other-pair")
    Path("s.jsonl").write_text(xmir("causal-metric", "maps.jsonl", *flags).stdout)
    (now,) = xmir("compare", "s.jsonl", "s.jsonl", "--summary").records()
    codes = {}
    for change in (-0.1, 0.1):  # so much more has this run than the baseline
        before = json.loads(json.dumps(now))
        measure, _, control = number.partition(".")
        place = before if not control else before[f"{measure}_difference"]
        place[control or f"{measure}_difference"] -= change
        Path("b.jsonl").write_text(json.dumps(before))
        codes[change] = xmir("compare", "s.jsonl", "s.jsonl", "--baseline", "b.jsonl").code
    failing = {"better": [-0.1], "worse": [0.1], "neither": []}[more]
    assert codes == {change: 4 if change in failing else 0 for change in codes}


@pytest.mark.usefixtures("here")
def test_numbers_of_controls_have_one_form_of_name_in_both_commands(xmir):
    """`insertion_gain_low.center` of one run is `insertion_gain_difference_low.center` of two."""
    flags = ("--curve-steps", "4", "--control", "center")
    Path("s.jsonl").write_text(xmir("causal-metric", "maps.jsonl", *flags).stdout)
    (one,) = xmir("causal-metric", "s.jsonl", *flags, "--summary").records()
    (two,) = xmir("compare", "s.jsonl", "s.jsonl", "--summary").records()
    ends = {f"{measure}_gain{end}" for measure in ("insertion", "deletion") for end in ENDS}
    for name in ends:
        measure, end = name.split("_gain")
        assert two[f"{measure}_gain_difference{end}"] == {"center": 0}
        assert one[name].keys() == {"center"}
        gates = (f"{name}.center=-9", f"{measure}_gain_difference{end}.center=-9")
        assert xmir("causal-metric", "s.jsonl", *flags, "--min", gates[0]).code == 0
        assert xmir("compare", "s.jsonl", "s.jsonl", "--min", gates[1]).code == 0
    assert two["insertion_gain_old"] == pytest.approx(one["insertion_gain"])
    assert not [name for name in two if "." in name]
    rows = xmir("compare", "s.jsonl", "s.jsonl", "--summary", "--format", "tsv").stdout
    assert "\tinsertion_gain.center\t" in rows
    each = xmir("compare", "s.jsonl", "s.jsonl", "--per-query").records()
    assert {row["insertion_gain_difference"]["center"] for row in each} == {0}


ENDS = ("", "_low", "_high")


@pytest.mark.usefixtures("here")
def test_conditions_and_tests_are_the_same_in_any_order(xmir):
    asked = ("audit", "e.parquet", "--test")
    first = xmir(*asked, "hubs,leaks", "--where", "split=x", "--where", "label=a", "--summary")
    Path("b.jsonl").write_text(first.stdout)
    again = ("leaks,hubs", "--where", "label = a", "--where", "split=x", "--baseline", "b.jsonl")
    assert xmir(*asked, *again).code == 0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", [MEANS, f"{MEANS} --per-query", HIDE, MANY, "audit e.parquet"])
def test_a_baseline_that_does_not_say_its_settings_is_to_be_made_again(asked, xmir):
    summary = ["--summary"] if asked.startswith("audit") else []
    before = xmir(*asked.split(), *summary).records()
    for record in before:
        del record["where"]
    Path("b.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in before))
    old = xmir(*asked.split(), "--baseline", "b.jsonl")
    assert old.code == 5
    assert old.stderr.splitlines()[-2:] == [
        "xmir: error: b.jsonl: does not say its where, this run has none",
        "xmir: hint: It was made by an earlier xmir, or changed since: make the baseline again.",
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", [MEANS, MANY])
def test_a_label_that_is_gone_is_missing_and_did_not_fail(asked, xmir):
    (before,) = xmir(*asked.split()).records()
    number = "map" if asked == MEANS else "map_difference"
    before["labels"]["c"] = {number: 0.5, "queries": 3}
    before["queries"] = 9
    Path("b.jsonl").write_text(json.dumps(before))
    done = xmir(*asked.split(), "--baseline", "b.jsonl", "--junit", "j.xml")
    assert done.code == 0, done.stderr
    assert "xmir: note: numbers of b.jsonl not met: labels.c\n" in done.stderr
    assert asked == MANY or "note: b.jsonl: queries 9, this run has 8\n" in done.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert [suite.get(each) for each in ("failures", "errors", "skipped")] == ["0", "0", "1"]
    assert [case.get("name") for case in suite if len(case)] == ["baseline: labels.c"]


@pytest.mark.usefixtures("here")
def test_controls_that_are_gone_are_missing_from_maps(xmir):
    asked = ("causal-metric", "maps.jsonl", "--curve-steps", "4")
    before = xmir(*asked, "--control", "center")
    Path("b.jsonl").write_text(before.stdout)
    done = xmir(*asked, "--baseline", "b.jsonl", "--junit", "j.xml")
    assert done.code == 0
    assert (
        "note: numbers of b.jsonl not met: insertion_control, insertion_gain, deletion_control, "
        "deletion_gain\n" in done.stderr
    )
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    maps = len(before.records())
    assert [suite.get(each) for each in ("tests", "skipped")] == [str(2 * maps), str(maps)]


@pytest.mark.usefixtures("here")
def test_centred_maps_are_compared_whichever_index_told_the_mean(xmir):
    """Of another network the mean is another one; whether one was taken off must be the same."""
    flags = ("--method", "activation", "--center", "--no-overlay")
    Path("c.jsonl").write_text(xmir("saliency", "hits.jsonl", *flags).stdout)
    asked = ("--curve-steps", "4")
    before = xmir("causal-metric", "c.jsonl", *asked)
    assert before.code == 0, before.stderr
    mean = before.records()[0]["causal"]["center"]
    Path("b.jsonl").write_text(before.stdout.replace(mean, "cd" * 32))
    same = xmir("causal-metric", "c.jsonl", *asked, "--baseline", "b.jsonl")
    assert same.code == 0
    assert "xmir: note: b.jsonl: another mean embedding was taken off\n" in same.stderr
    Path("now.jsonl").write_text(same.stdout)
    assert xmir("compare", "b.jsonl", "now.jsonl").code == 0
    bare = xmir("causal-metric", "maps.jsonl", *asked, "--baseline", "b.jsonl")
    assert (bare.code, "scored with center True, this run has none" in bare.stderr) == (5, True)


def _write_variants() -> None:
    """Maps of two settings, the second ones the opposite; both in two orders."""
    for window in (8, 16):
        made = []
        for each in map(json.loads, Path("maps.jsonl").read_text().splitlines()):
            file = Path(each["saliency"]).with_suffix(f".{window}.npy")
            values = np.load(each["saliency"])
            np.save(file, values if window == 8 else values.max() - values)
            settings = {"window_size": window, "stride": 4}
            made.append(json.dumps({**each, "saliency": str(file), "settings": settings}))
        Path(f"maps{window}.jsonl").write_text("\n".join([*made, ""]))
    for first, second in (("8", "16"), ("16", "8")):
        text = [Path(f"maps{each}.jsonl").read_text() for each in (first, second)]
        Path(f"maps{first}{second}.jsonl").write_text("".join(text))


SCORED = [
    ("causal-metric", "--curve-steps", "4"),
    ("localization-metric", "--masks", "masks"),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", SCORED, ids=lambda asked: asked[0])
def test_maps_of_several_settings_are_known_by_them_in_any_order(asked, xmir):
    _write_variants()
    for name in ("8", "816"):
        Path(f"b{name}.jsonl").write_text(xmir(*asked, f"maps{name}.jsonl").stdout)
    maps = len(Path("b8.jsonl").read_text().splitlines())
    assert xmir(*asked, "maps168.jsonl", "--baseline", "b816.jsonl").code == 0
    for added in ("maps816.jsonl", "maps168.jsonl"):  # the second setting is new, not worse
        done = xmir(*asked, added, "--baseline", "b8.jsonl", "--junit", "j.xml", "-f")
        assert done.code == 0, done.stderr
        suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
        assert suite.get("tests") == str(2 * maps)
    lost = xmir(*asked, "maps8.jsonl", "--baseline", "b816.jsonl")
    assert (lost.code, f"{maps} of {2 * maps} records of b816.jsonl" in lost.stderr) == (0, True)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", SCORED, ids=lambda asked: asked[0])
def test_maps_of_a_changed_setting_are_compared_and_it_is_told(asked, xmir):
    _write_variants()
    number = "insertion" if asked[0] == "causal-metric" else "energy"
    before = xmir(*asked, "maps8.jsonl").records()
    for better, code in ((-1, 0), (1, 4)):
        changed = [{**each, number: each[number] + better} for each in before]
        Path("b.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in changed))
        done = xmir(*asked, "maps16.jsonl", "--baseline", "b.jsonl", "--tolerance", "0.9")
        told = "activation was made with window_size 8, in this run with window_size 16"
        assert (done.code, f"xmir: note: b.jsonl: {told}\n" in done.stderr) == (code, True)


@pytest.mark.usefixtures("here")
def test_maps_that_were_placed_in_other_masks_are_told(xmir):
    asked = ("localization-metric", "maps.jsonl", "--masks", "masks")
    Path("b.jsonl").write_text(xmir(*asked).stdout)
    files = {each["mask_files"][0] for each in xmir(*asked).records()}
    mask = Path(min(files))
    turned = Image.open(mask).transpose(Image.Transpose.FLIP_LEFT_RIGHT)  # of the same area
    turned.save(mask)
    now = xmir(*asked, "--baseline", "b.jsonl", "--tolerance", "9")
    told = "maps were placed in other masks of the same images\n"
    assert (now.code, now.stderr) == (0, f"xmir: note: b.jsonl: {told}")
    Path("now.jsonl").write_text(now.stdout)
    changed = sum(each["mask_files"] == [str(mask)] for each in now.records())
    assert f"xmir: note: {changed} {told}" in xmir("compare", "b.jsonl", "now.jsonl").stderr
    assert "other masks" not in xmir("compare", "b.jsonl", "b.jsonl").stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", SCORED, ids=lambda asked: asked[0])
def test_a_line_that_tells_no_map_is_an_error_in_junit(asked, xmir):
    first, *others = Path("maps.jsonl").read_text().splitlines()
    Path("broken.jsonl").write_text("\n".join([first[:50], *others, ""]))
    Path("b.jsonl").write_text(xmir(*asked, "maps.jsonl").stdout)
    for flags, skipped in (((), "0"), (("--baseline", "b.jsonl"), "1")):
        done = xmir(*asked, "broken.jsonl", "--junit", "j.xml", "-f", *flags)
        assert done.code == 3, done.stderr
        suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
        assert [suite.get(each) for each in ("errors", "skipped")] == ["1", skipped]
        bad = next(case for case in suite if [part.tag for part in case] == ["error"])
        assert (bad.get("classname"), bad.get("name")) == (asked[0], "line 1")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_file_of_two_runs_is_no_baseline(row, xmir):
    found = xmir(row.command, *row.asked, *row.saved).stdout
    Path("b.jsonl").write_text(found + found)
    done = xmir(row.command, *row.asked, "--baseline", "b.jsonl")
    second = len(found.splitlines()) + 1
    map_of = f": line {second} is of the map of line 1" if row.asked[0] == "maps.jsonl" else ""
    told = f"xmir: error: b.jsonl: records of two runs{map_of}"
    hint = "xmir: hint: Name a file of one run."
    assert (done.code, done.stderr.splitlines()[-2:]) == (5, [told, hint])


@pytest.mark.usefixtures("here")
def test_queries_of_two_runs_are_no_baseline(xmir):
    """The first of the two would be the earlier run, whichever that is."""
    asked = ("retrieval-metric", "e.parquet", "--per-query")
    found = xmir(*asked).records()
    better = [{**each, "map": each["map"] + 0.5} for each in found]
    for runs in ([*found, *better], [*better, *found]):
        Path("b.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in runs))
        done = xmir(*asked, "--baseline", "b.jsonl")
        assert (done.code, done.stderr.splitlines()[-2:]) == (
            5,
            [
                "xmir: error: b.jsonl: records of two runs",
                "xmir: hint: Name a file of one run.",
            ],
        )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (("retrieval-metric", "e.parquet", "--per-query"), "queries"),
        (("causal-metric", "maps.jsonl", "--curve-steps", "4"), "maps"),
    ],
    ids=lambda each: each[0],
)
def test_what_a_baseline_has_not_is_told(asked, what, xmir):
    """It was not compared: that nothing became worse does not tell of it."""
    found = xmir(*asked).records()
    Path("b.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in found[1:]))
    done = xmir(*asked, "--baseline", "b.jsonl")
    told = f"1 of {len(found)} {what} are not in b.jsonl, and were not compared"
    assert (done.code, f"xmir: note: {told}" in done.stderr.splitlines()) == (0, True)
    Path("b.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in found))
    assert "not compared" not in xmir(*asked, "--baseline", "b.jsonl").stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_standard_input_is_no_baseline_where_it_is_read_already(row, xmir):
    asked = ("e.parquet", "-") if row.command == "compare" else ("-", *row.asked[1:])
    done = xmir(row.command, *asked, "--baseline", "-", stdin=b"{}\n")
    assert (done.code, done.stderr.splitlines()) == (
        2,
        [
            "xmir: error: --baseline: standard input is read once",
            "xmir: hint: Name its file.",
        ],
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", [("saliency",), *SCORED], ids=lambda asked: asked[0])
def test_maps_of_two_runs_in_a_file_are_not_compared(asked, xmir):
    one = Path("maps.jsonl").read_text()
    found = one if asked[0] == "saliency" else xmir(*asked, "maps.jsonl").stdout
    Path("one.jsonl").write_text(found)
    Path("two.jsonl").write_text(found + found)
    second = len(found.splitlines()) + 1
    for names in (("one", "two"), ("two", "one")):
        done = xmir("compare", *(f"{name}.jsonl" for name in names), "--summary")
        told = f"two.jsonl: records of two runs: line {second} is of the map of line 1"
        assert (done.code, f"xmir: error: {told}" in done.stderr) == (5, True)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", SCORED, ids=lambda asked: asked[0])
def test_means_over_maps_that_come_again_warn(asked, xmir):
    lines = Path("maps.jsonl").read_text().splitlines()
    Path("two.jsonl").write_text("\n".join([*lines, lines[0], ""]))
    told = f"1 of {len(lines) + 1} maps came before, and count again in means: are these records"
    for flags, warned in (((), False), (("--summary",), True), (("--min", "n=1"), True)):
        done = xmir(*asked, "two.jsonl", *flags)
        assert (done.code, f"warning: {told}" in done.stderr) == (0, warned), done.stderr
    assert told not in xmir(*asked, "maps.jsonl", "--summary").stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("asked", SCORED, ids=lambda asked: asked[0])
def test_maps_of_copies_in_other_files_are_of_one_run(asked, xmir):
    records = [json.loads(line) for line in Path("maps.jsonl").read_text().splitlines()]
    name = records[0]["retrieved"]
    shutil.copy(name, "copy.png")
    for folder in ("masks", "."):
        mask = Path(folder) / Path(name).name
        if mask.exists() and folder == "masks":
            shutil.copy(mask, Path(folder) / "copy.png")
    copied = [
        {**record, "retrieved": str(Path("copy.png").absolute())}
        for record in records
        if record["retrieved"] == name
    ]
    Path("more.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in [*records, *copied]))
    before = xmir(*asked, "more.jsonl")
    assert before.code == 0, before.stderr
    Path("b.jsonl").write_text(before.stdout)
    done = xmir(*asked, "more.jsonl", "--baseline", "b.jsonl")
    assert (done.code, "not met" in done.stderr) == (0, False), done.stderr
    compared = xmir("compare", "b.jsonl", "b.jsonl", "--summary")
    assert compared.code == 0, compared.stderr


@pytest.mark.usefixtures("here")
def test_a_number_that_the_baseline_could_not_have_is_told(xmir):
    (before,) = xmir(*MEANS.split()).records()
    Path("b.jsonl").write_text(json.dumps({**before, "map": None}))
    done = xmir(*MEANS.split(), "--baseline", "b.jsonl")
    assert (done.code, done.stderr.splitlines()) == (
        0,
        ["xmir: note: b.jsonl: map is null there, and was not compared"],
    )


@pytest.mark.usefixtures("here")
def test_copies_of_a_query_are_known_by_their_ids_in_any_order(xmir):
    table = pq.read_table("e.parquet")
    sha256 = table["sha256"].to_pylist()
    sha256[1] = sha256[0]  # of two labels, so that their numbers differ
    place = table.column_names.index("sha256")
    table = table.set_column(place, table.schema.field("sha256"), pa.array(sha256))
    pq.write_table(table, "copies.parquet")
    pq.write_table(table.take(list(range(len(table)))[::-1]), "turned.parquet")
    before = xmir("retrieval-metric", "copies.parquet", "--per-query")
    Path("b.jsonl").write_text(before.stdout)
    first, second = before.records()[:2]
    assert first["query_identity"] == second["query_identity"]
    assert first["map"] != second["map"]
    asked = ("retrieval-metric", "turned.parquet", "--per-query", "--baseline", "b.jsonl")
    assert xmir(*asked).code == 0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("compared", [False, True], ids=["one", "two"])
def test_means_of_other_images_are_told(compared, xmir):
    table = pq.read_table("e.parquet")
    for name, rows in {"turned": range(7, -1, -1), "a": range(4), "b": range(4, 8)}.items():
        pq.write_table(table.take(list(rows)), f"{name}.parquet")

    def ask(name, *flags):
        if compared:
            return xmir("compare", f"{name}.parquet", "other.parquet", "--summary", *flags)
        return xmir("retrieval-metric", f"{name}.parquet", *flags)

    found = {name: ask(name) for name in ("e", "a", "turned")}
    hashes = {name: each.records()[0]["images_sha256"] for name, each in found.items()}
    assert hashes["e"] == hashes["turned"] != hashes["a"]
    lines = "".join(f"{each}\n" for each in [*sorted(table["sha256"].to_pylist()), ""])
    assert hashes["e"] == hashlib.sha256(2 * lines.encode()).hexdigest()
    Path("a.jsonl").write_text(found["a"].stdout)
    for name, told in (("a", False), ("b", True)):
        done = ask(name, "--baseline", "a.jsonl", "--tolerance", "9")
        assert (done.code, "xmir: note: a.jsonl: other images\n" in done.stderr) == (0, told)


@pytest.mark.usefixtures("here")
def test_a_sanity_check_of_other_pairs_is_told(xmir):
    pairs = Path("hits.jsonl").read_text().splitlines()
    halves = {"a": pairs[:6], "turned": pairs[5::-1], "b": pairs[6:]}
    asked = ("--method", "activation", "--test", "noise", "--draws", "1")
    for name, told in {"a": False, "turned": False, "b": True}.items():
        Path(f"{name}.txt").write_text("\n".join([*halves[name], ""]))
        now = xmir("sanity-check", f"{name}.txt", *asked)
        if name == "a":
            Path("b.jsonl").write_text(now.stdout)
        flags = ("--baseline", "b.jsonl", "--tolerance", "9")
        done = xmir("sanity-check", f"{name}.txt", *asked, *flags)
        assert (done.code, "xmir: note: b.jsonl: other images\n" in done.stderr) == (0, told)


def hash_of(lines):
    """SHA-256 over sorted lines and an empty one, as records tell which images they are of."""
    return hashlib.sha256(
        "".join(f"{each}\n" for each in [*sorted(lines), ""]).encode()
    ).hexdigest()


def halve(name):
    """The first and the second half of a file's lines, and the first one backwards."""
    lines = Path(name).read_text().splitlines(keepends=True)
    half = len(lines) // 2
    return {"a": lines[:half], "turned": lines[half - 1 :: -1], "b": lines[half:]}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("compare {0} {0} --summary", "hits.jsonl"),
        ("compare {0} {0} --summary", "maps.jsonl"),
        ("audit {0} --summary --no-images", "e.parquet"),
        (f"{HIDE} --where {{0}}", "images/labels.csv"),
    ],
    ids=["hits", "maps", "audit", "shortcut"],
)
def test_numbers_of_other_images_are_told_by_every_command(asked, file, xmir):
    suffix = file.rpartition(".")[2]
    if suffix == "jsonl":
        names = {name: f"{name}.jsonl" for name in ("a", "turned", "b")}
        for name, lines in halve(file).items():
            Path(names[name]).write_text("".join(lines))
    elif suffix == "parquet":
        names = {name: f"{name}.parquet" for name in ("a", "turned", "b")}
        table = pq.read_table(file)
        for name, rows in {"a": range(4), "turned": range(3, -1, -1), "b": range(4, 8)}.items():
            pq.write_table(table.take(list(rows)), names[name])
    else:
        names = {name: f"images/{name}.csv" for name in ("a", "turned", "b")}
        head, *rows = Path(file).read_text().splitlines()
        for name, kept in {"a": rows[:6], "turned": rows[5::-1], "b": rows[2:]}.items():
            Path(names[name]).write_text("\n".join([head, *kept, ""]))
        asked = asked.replace(file, "{0}").replace(" --where {0}", "")
    made = xmir(*asked.format(names["a"]).split())
    Path("before.jsonl").write_text(made.stdout)
    for name, told in (("a", False), ("turned", False), ("b", True)):
        flags = ("--baseline", "before.jsonl", "--tolerance", "99")
        done = xmir(*asked.format(names[name]).split(), *flags)
        assert done.code == 0, done.stderr
        assert ("xmir: note: before.jsonl: other images\n" in done.stderr) == told


@pytest.mark.usefixtures("here")
def test_which_images_numbers_are_of_is_a_hash_of_their_names(xmir):
    hits, maps = (
        [json.loads(line) for line in Path(name).read_text().splitlines()]
        for name in ("hits.jsonl", "maps.jsonl")
    )
    images = pq.read_table("e.parquet")["sha256"].to_pylist()
    queries = {each["query_identity"] for each in hits}
    pairs = {f"{each['query_identity']} {each['retrieved_identity']}" for each in maps}
    for asked, lines in (
        ("audit e.parquet --summary", images),
        (HIDE, images),
        ("compare hits.jsonl hits.jsonl --summary", queries),
        ("compare maps.jsonl maps.jsonl --summary", pairs),
        ("causal-metric maps.jsonl --curve-steps 4 --summary", pairs),
        (f"{PLACES} --masks masks --summary", pairs),
    ):
        (record,) = xmir(*asked.split()).records()
        assert record["images_sha256"] == hash_of(lines), asked


@pytest.mark.usefixtures("here")
def test_maps_of_another_network_to_repeat_are_no_baseline(tiny_arch, xmir):
    """Its weights tell it, wherever they lie."""
    choice = ModelChoice(architecture=tiny_arch, weights="random:3")
    spec = load_embedder(resolve_model(choice), "cpu").spec
    write_checkpoint(Path("third.safetensors"), load_network(spec).state_dict(), spec, Run({}))
    Path("moved").mkdir()
    shutil.copy("n.safetensors", "moved/again.safetensors")
    asked = ("sanity-check", "hits.jsonl", "--test", "repeat", "--method", "activation")
    before = xmir(*asked, "--against", "n.safetensors")
    Path("b.jsonl").write_text(before.stdout)
    asked = (*asked, "--baseline", "b.jsonl", "--against")
    assert xmir(*asked, "moved/again.safetensors").code == 0
    other = xmir(*asked, "third.safetensors")
    error, hint = other.stderr.splitlines()[-2:]
    hashes = [
        before.records()[0]["against"]["weights_sha256"],
        *(each["against"]["weights_sha256"] for each in other.records()[:1]),
    ]
    assert (other.code, error) == (
        5,
        "xmir: error: b.jsonl: scored with against.weights_sha256 {}, this run has {}".format(
            *hashes
        ),
    )
    assert hint == (
        "xmir: hint: Compare runs of the same --mode, --noise, --draws, --seeds, --center, "
        "--against."
    )
