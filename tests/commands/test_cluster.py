"""xmir cluster through the front door; the kinds of reasons are planted."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from tests.test_phantoms import SCRIPT
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

SIDE = 32
MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


@pytest.fixture
def load_phantoms(monkeypatch):
    """The script that draws phantoms, as a module."""

    def load():
        spec = importlib.util.spec_from_file_location("phantoms", SCRIPT)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "phantoms", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


def peak(row, column, generator, width=3.0):
    """A map that has one peak there, give or take a pixel or two, and noise of both signs."""
    row, column = np.array([row, column]) + generator.normal(size=2)
    y, x = np.mgrid[:SIDE, :SIDE]
    hill = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return hill + 0.02 * generator.normal(size=(SIDE, SIDE))


def record(number, saliency, label="a", **changes):
    """A record as 'xmir saliency' writes it, around a map of our own; images are not needed."""
    Path("m").mkdir(exist_ok=True)
    path = f"m/{len(list(Path('m').iterdir()))}.npy"
    np.save(path, np.asarray(saliency, np.float32))
    made = {
        "schema": "xmir.saliency/1",
        "query": "q.png",
        "retrieved": f"{number}.png",
        "query_identity": "f" * 64,
        "retrieved_identity": f"{number:064x}",
        "rank": 1,
        "query_label": "a",
        "retrieved_label": label,
        "meta": {"id": f"r{number}", "patient": f"p{number // 2}"},
        "method": "hand",
        "settings": {"width": 3},
        "explains": "retrieved",
        "saliency": path,
        "roi": [0.0, 0.0, 64.0, 64.0],
        "image_size": [64, 64],
        "note": "kept",
    }
    return {**made, **changes}


def dump(records):
    return "".join(json.dumps(each) + "\n" for each in records)


def two_kinds(marker=12, opacity=20, seed=0):
    """Maps on a marker in the corner, of the label b, among maps on the opacity, of a."""
    generator = np.random.default_rng(seed)
    made = [record(each, peak(18, 12, generator)) for each in range(opacity)]
    made += [record(20 + each, peak(3, 28, generator), "b") for each in range(marker)]
    return [made[each] for each in generator.permutation(len(made))]


@pytest.mark.parametrize("seed", range(3))
def test_two_planted_kinds_come_apart(xmir, seed):
    made = two_kinds(seed=seed)
    done = xmir("cluster", stdin=dump(made))
    assert (done.code, done.stderr) == (0, "")
    found = done.records()
    assert [each["cluster"] for each in found] == [1] * 20 + [2] * 12
    assert {each["retrieved_label"] for each in found[:20]} == {"a"}
    assert {each["retrieved_label"] for each in found[20:]} == {"b"}
    assert [each["exemplar"] for each in found] == [
        *([True] * 6 + [False] * 14),
        *([True] * 6 + [False] * 6),
    ]
    for group in (found[:20], found[20:]):
        distances = [each["middle_distance"] for each in group]
        assert distances == sorted(distances)
    ours = ("cluster", "exemplar", "middle_distance", "clustering", "schema")
    by_id = {each["meta"]["id"]: each for each in made}
    for each in found:
        assert each["schema"] == "xmir.cluster/1"
        kept = {key: value for key, value in each.items() if key not in ours}
        own = by_id[each["meta"]["id"]]
        assert kept == {key: own[key] for key in own if key != "schema"}
    assert found[0]["clustering"] == {
        "clusters": "eigengap",
        "found": 2,
        "neighbors": 7,
        "seed": 0,
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [3, 12, 40])
def test_one_planted_kind_is_one_group(xmir, seed, count):
    made = two_kinds(0, count, seed) if count <= 20 else two_kinds(0, 20, seed)
    (told,) = xmir("cluster", "--summary", stdin=dump(made)).records()
    assert (told["clusters"], told["n"], told["share"]) == (1, len(made), 1.0)
    assert told["labels"]["a"]["p"] is None


def test_fewer_neighbours_find_a_smaller_group(xmir):
    made = dump(two_kinds(marker=5, opacity=20))
    assert len(xmir("cluster", "--summary", stdin=made).records()) == 1  # of 6 neighbours
    told = xmir("cluster", "--summary", "--neighbors", "4", stdin=made).records()
    assert [each["n"] for each in told] == [20, 5]
    assert told[0]["clustering"]["neighbors"] == 4


def test_opacities_of_phantoms_come_apart_from_a_marker(xmir, load_phantoms):
    """Maps that are the opacities in both lungs, and maps on a marker in the corner."""
    load_phantoms().write(Path("data"), 40, SIDE, 0, ("lobar", "ground-glass"))
    generator = np.random.default_rng(0)
    masks = [np.asarray(Image.open(path)) / 255.0 for path in sorted(Path("data/masks").iterdir())]
    lungs = [record(each, mask, "a") for each, mask in enumerate(masks)]
    marker = [record(40 + each, peak(3, 28, generator), "b") for each in range(20)]
    told = xmir("cluster", "--summary", stdin=dump([*lungs[:25], *marker])).records()
    assert [(each["n"], each["labels"]["a"]["n"]) for each in told] == [(25, 25), (20, 0)]
    (one,) = xmir("cluster", "--summary", stdin=dump(lungs)).records()
    assert one["n"] == 40


def test_a_summary_tells_size_labels_and_exemplars(xmir):
    made = two_kinds()
    first, second = xmir("cluster", "--summary", "--exemplars", "3", stdin=dump(made)).records()
    assert first["schema"] == "xmir.cluster-summary/1"
    told = [
        (each["cluster"], each["n"], each["images"], each["patients"]) for each in (first, second)
    ]
    assert told == [(1, 20, 20, 10), (2, 12, 12, 6)]
    assert (first["clusters"], first["of"], first["share"]) == (2, 32, 0.625)
    assert "variant" not in first
    assert (first["method"], first["explains"]) == ("hand", "retrieved")
    assert first["settings"] == {"width": 3}
    labels = second["labels"]
    assert list(labels) == ["a", "b"] or list(labels) == ["b", "a"]
    assert (labels["b"]["n"], labels["b"]["share"], labels["b"]["rest_share"]) == (12, 1.0, 0.0)
    assert labels["b"]["p"] == pytest.approx(1 / 225792840)  # 32 over 12
    assert labels["b"]["p_holm"] == pytest.approx(4 / 225792840)
    members = xmir("cluster", stdin=dump(made)).records()
    assert second["exemplars"] == [each["meta"]["id"] for each in members[20:23]]
    assert first["eigenvalues"][:2] == pytest.approx([0, 0], abs=1e-9)
    assert first["eigenvalues"][2] > 0.05


def test_the_same_maps_give_the_same_groups_in_whatever_order(xmir):
    made = two_kinds()
    once = xmir("cluster", stdin=dump(made))
    assert once.stdout == xmir("cluster", stdin=dump(made)).stdout
    turned = xmir("cluster", "--seed", "7", stdin=dump(made[::-1])).records()
    groups = {each["saliency"]: each["cluster"] for each in turned}
    assert groups == {each["saliency"]: each["cluster"] for each in once.records()}


def test_grouped_records_are_grouped_anew(xmir):
    grouped = xmir("cluster", "--clusters", "1", stdin=dump(two_kinds())).records()
    again = xmir("cluster", stdin=dump(grouped)).records()
    assert [each["cluster"] for each in again] == [1] * 20 + [2] * 12


def test_each_method_and_setting_is_grouped_for_itself(xmir):
    made = two_kinds()
    other = [{**each, "settings": {"width": 5}} for each in made[:9]]
    query = [{**each, "explains": "query"} for each in made[:3]]
    told = xmir("cluster", "--summary", stdin=dump([*made, *other, *query])).records()
    assert [(each["of"], each["explains"]) for each in told][:2] == [(32, "retrieved")] * 2
    assert {each["of"] for each in told} == {32, 9, 3}
    assert list(told[-1]["labels"]) == ["a"]  # the query's
    assert list(dict.fromkeys(each["variant"] for each in told)) == [
        "width 3, explains retrieved",
        "width 5, explains retrieved",
        "width 3, explains query",
    ]
    tsv = xmir("cluster", "--summary", "--format", "tsv", stdin=dump([*made, *other])).stdout
    assert tsv.splitlines()[1].startswith("hand, width 3\t1\t20\t")
    assert told[-1]["exemplars"] == ["q.png"]


def test_the_maps_of_two_networks_are_grouped_apart(xmir):
    made = two_kinds()[:9]
    own = [{**each, "model": MODEL.to_json()} for each in made]
    other = [{**each, "model": {**MODEL.to_json(), "weights_sha256": "cd" * 32}} for each in made]
    told = xmir("cluster", "--clusters", "1", "--summary", stdin=dump([*own, *other])).records()
    assert [(each["of"], each["variant"]) for each in told] == [
        (9, "network abababab"),
        (9, "network cdcdcdcd"),
    ]


def test_a_difference_of_classes_is_no_map_to_group(xmir):
    one = {**record(0, np.ones((SIDE, SIDE))), "schema": "xmir.difference/1"}
    done = xmir("cluster", stdin=dump([one]))
    assert "no-map: a difference of classes is a map of no image" in done.stderr


def test_what_has_no_map_is_skipped_by_name(xmir):
    blank = record(90, -np.ones((SIDE, SIDE)))
    made = [*two_kinds(), blank, {**blank, "saliency": None}, {**blank, "saliency": "gone.npy"}]
    done = xmir("cluster", stdin=dump(made) + "{\n")
    assert done.code == 3
    assert len(done.records()) == 32
    assert f"skipped line 33: blank-map: no value above 0 ({blank['saliency']})" in done.stderr
    for code in ("no-map", "bad-input", "bad-record"):
        assert f"1 {code}" in done.stderr
    done = xmir("cluster", stdin=dump([blank]))
    assert done.stderr.endswith("xmir: error: no usable record\n")
    assert xmir("cluster", stdin="").stderr == "xmir: error: no records on standard input\n"


def test_as_many_groups_as_are_asked_for(xmir):
    made = two_kinds()
    told = xmir("cluster", "--clusters", "4", "--summary", stdin=dump(made)).records()
    assert len(told) == 4
    assert told[0]["clustering"]["clusters"] == 4
    done = xmir("cluster", "--clusters", "4", stdin=dump(made[:3]))
    assert (done.code, done.stdout) == (2, "")
    assert "--clusters 4: there are 3 to group" in done.stderr


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_too_few_maps_are_one_group_and_that_is_said(xmir, count):
    made = dump(two_kinds(0, count))
    done = xmir("cluster", stdin=made)
    assert (done.code, {each["cluster"] for each in done.records()}) == (0, {1})
    told = f"hand: {count} of 8 that it takes to tell groups apart: one group"
    assert done.stderr == f"xmir: note: {told}\n"
    asked = xmir("cluster", "--clusters", count, stdin=made)
    assert (asked.code, asked.stderr) == (0, "")
    assert {each["cluster"] for each in asked.records()} == set(range(1, count + 1))


def test_maps_that_are_the_same_are_one_group_and_not_split(xmir):
    same = peak(3, 3, np.random.default_rng(0))
    made = dump([record(each, same) for each in range(12)])
    done = xmir("cluster", "--summary", stdin=made)
    assert (done.code, done.records()[0]["n"]) == (0, 12)
    assert done.stderr == "xmir: note: hand: all 12 are the same: one group\n"
    split = xmir("cluster", "--clusters", "3", stdin=made)
    assert (split.code, split.stdout) == (2, "")
    assert "--clusters 3: there are 12 to group, and 1 different among them" in split.stderr


@pytest.mark.parametrize(
    ("label", "told"), [("a", "all have one label, a"), (None, "no label is known")]
)
def test_labels_that_tell_nothing_are_named(xmir, label, told):
    made = dump([{**each, "retrieved_label": label} for each in two_kinds()])
    assert xmir("cluster", stdin=made).stderr == ""  # no label is compared
    done = xmir("cluster", "--summary", stdin=made)
    assert done.stderr == f"xmir: note: hand: {told}: none tells a group from the rest\n"


def test_a_sample_is_drawn_of_maps(xmir):
    told = xmir("cluster", "--sample", "10", stdin=dump(two_kinds())).records()
    assert len(told) == 10


def write(name="e.parquet"):
    """Embeddings of two kinds of images."""
    generator = np.random.default_rng(0)
    kinds = np.repeat([0, 1], [15, 10])
    vectors = 5 * np.eye(8)[kinds] + generator.normal(size=(25, 8))
    table = {
        "id": [f"i/{row}" for row in range(25)],
        "path": [f"{row}.png" for row in range(25)],
        "sha256": [f"{row:064x}" for row in range(25)],
        "width": pa.array([30] * 25, pa.int32()),
        "height": pa.array([20] * 25, pa.int32()),
        "label": pa.array([("a", "b", None)[row % 3] for row in range(25)], pa.string()),
        "patient": pa.array([f"p{row // 2}" for row in range(25)], pa.string()),
        "split": pa.array([None] * 25, pa.string()),
    }
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    write_embeddings(Path(name), Embeddings(pa.table(table), vectors, MODEL))
    return kinds


def test_rows_of_embeddings_are_grouped_too(xmir):
    kinds = write()
    found = xmir("cluster", "e.parquet").records()
    assert len(found) == 25
    groups = [
        each["cluster"] for each in sorted(found, key=lambda each: int(each["meta"]["id"][2:]))
    ]
    assert adjusted_rand_score(kinds, groups) == 1
    one = next(each for each in found if each["meta"]["id"] == "i/3")
    assert (one["query"], one["retrieved"], one["retrieved_label"]) == ("3.png", "3.png", "a")
    assert one["query_identity"] == one["retrieved_identity"] == f"{3:064x}"
    assert one["meta"] == {"id": "i/3", "patient": "p1"}
    told = xmir("cluster", "e.parquet", "--summary").records()
    assert [(each["n"], each["of"]) for each in told] == [(15, 25), (10, 25)]
    assert "method" not in told[0]
    assert set(told[0]["exemplars"]) <= {f"i/{row}" for row in range(15)}
    xmir("index", "e.parquet", "-o", "e.xmir")
    of_index = xmir("cluster", "e.xmir").records()
    assert [each["meta"]["id"] for each in of_index] == [each["meta"]["id"] for each in found]


def test_tables_for_eyes(xmir):
    lines = xmir("cluster", "--summary", "--format", "tsv", stdin=dump(two_kinds())).stdout
    head, first, *_ = lines.splitlines()
    assert head.split("\t") == [
        *("method", "cluster", "n", "images", "label", "share", "rest_share", "p_holm")
    ]
    assert first.split("\t")[:5] == ["hand", "1", "20", "20", "a"]
    rows = xmir("cluster", "--format", "tsv", stdin=dump(two_kinds())).stdout.splitlines()
    assert rows[1].split("\t")[:3] == ["hand", "1", "yes"]
    paths = xmir("cluster", "--format", "paths", stdin=dump(two_kinds())).stdout.splitlines()
    assert len(paths) == 32


def test_the_extra_is_asked_for_in_one_line(xmir, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("xmir_cli.stories.cluster.find_spec", lambda _: None)
    done = xmir("cluster", stdin=dump(two_kinds()))
    assert done.code == 5
    assert (
        done.stderr
        == "xmir: error: grouping needs scikit-learn\nxmir: hint: pip install 'xmir[cluster]'\n"
    )


def test_montage_draws_what_comes_out(xmir):
    made = two_kinds()
    for each in made:
        Image.new("L", (64, 64), 90).save(each["retrieved"])
        each |= {"retrieved_identity": None, "query_identity": None}
    Image.new("L", (64, 64), 60).save("q.png")
    grouped = xmir("cluster", stdin=dump(made)).stdout
    done = xmir("montage", "-o", "kinds.png", stdin=grouped)
    assert (done.code, done.stderr) == (0, "xmir: note: kinds.png: 2 clusters\n")
