"""`--center`: the similarity of what is left without the mean of the index, in both images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.gallery.engines import open_gallery
from xmir_cli.saliency import catalogue

CELLS = 64
EXACT = ("saliency", "--method", "activation,bilrp", "--center", "--no-overlay")


def draw(names):
    for seed, name in enumerate(names):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32), Image.Resampling.NEAREST).save(f"{name}.png")


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1", "--head", "6")


@pytest.fixture
def index(xmir, network):
    draw("abcdefgh")
    assert (
        xmir("embed", *(f"{name}.png" for name in "abcdef"), *network, "-o", "e.parquet").code == 0
    )
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return "e.xmir"


@pytest.fixture
def records(xmir, index):
    return xmir("query", "g.png", "--index", index, "--top", "3").records()


def jsonl(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def centered(index, query, retrieved):
    """By the definition, in float64, of vectors in `query` and the index."""
    gallery = open_gallery(index)
    (everything,) = gallery.iterate(len(gallery), [])
    rows = everything.vectors.astype(np.float64)
    mean = rows.mean(axis=0)
    (key,) = gallery.by_path([retrieved])[0]
    left = query - mean, gallery.vectors_of([key])[0].astype(np.float64) - mean
    return float(left[0] @ left[1] / np.linalg.norm(left[0]) / np.linalg.norm(left[1]))


def vector(xmir, network, image):
    from xmir_cli.store.embeddings import read_embeddings

    assert xmir("embed", image, *network, "--force", "-o", "one.parquet").code == 0
    return read_embeddings("one.parquet").vectors[0].astype(np.float64)


@pytest.mark.parametrize("on", ["retrieved", "query"])
def test_places_and_what_none_holds_sum_to_the_centred_similarity(xmir, network, records, on):
    query = vector(xmir, network, "g.png")
    result = xmir(*EXACT, "--on", on, stdin=jsonl(records))
    assert (result.code, result.stderr) == (0, "")
    found = result.records()
    assert len(found) == 6
    for record in found:
        expected = centered("e.xmir", query, record["retrieved"])
        details = record["details"]
        assert details["centered"] == pytest.approx(expected, abs=1e-5)
        places = float(np.load(record["saliency"]).astype(np.float64).mean()) * CELLS
        total = places + details["residual"] + details["mean"]
        assert total == pytest.approx(expected, abs=1e-5)
        assert abs(record["similarity"] - expected) > 0.05
        assert record["similarity_check"] == pytest.approx(record["similarity"], abs=1e-5)
        if record["method"] == "activation":
            assert details["residual"] == pytest.approx(0, abs=1e-5)


def test_files_and_settings_name_the_mean(xmir, records):
    line = jsonl(records[:1])
    (plain,) = xmir("saliency", "--method", "activation", stdin=line).records()
    (found,) = xmir("saliency", "--method", "activation", "--center", stdin=line).records()
    sha256 = found["settings"]["center"]
    assert len(sha256) == 64
    assert "center" not in plain["settings"]
    assert found["saliency"] != plain["saliency"]
    kept = json.loads(Path(found["saliency"]).with_suffix(".json").read_text())
    assert kept["made_of"]["settings"]["center"] == sha256
    again = xmir("saliency", "--method", "activation", "--center", stdin=line).records()
    assert again == [found]


def test_another_index_is_another_mean_and_said_to_be_changed(xmir, network, records):
    (found,) = xmir(
        "saliency", "--method", "activation", "--center", stdin=jsonl(records[:1])
    ).records()
    assert xmir("causal-metric", stdin=jsonl([found])).code == 0
    assert xmir("embed", "a.png", "b.png", "h.png", *network, "-o", "f.parquet").code == 0
    assert xmir("index", "f.parquet", "--force", "-o", "e.xmir").code == 0
    shutil.rmtree("saliency")
    for command in (("saliency", "--method", "activation", "--center"), ("causal-metric",)):
        if command[0] == "causal-metric":
            assert xmir("index", "e.parquet", "--force", "-o", "e.xmir").code == 0
            assert xmir(*EXACT, stdin=jsonl(records[:1])).code == 0  # the map is there again
            assert xmir("index", "f.parquet", "--force", "-o", "e.xmir").code == 0
        result = xmir(*command, stdin=jsonl([found]))
        assert (result.code, result.stdout) == (5, "")
        assert "changed: another mean of the gallery than when the record was made" in result.stderr


def test_an_index_of_another_network_is_changed_too(xmir, tiny_arch, records):
    other = ("--arch", tiny_arch, "--weights", "random:2", "--head", "6")
    assert xmir("embed", "a.png", "b.png", *other, "-o", "o.parquet").code == 0
    assert xmir("index", "o.parquet", "-o", "o.xmir").code == 0
    result = xmir(*EXACT, "--index", "o.xmir", stdin=jsonl(records[:1]))
    assert (result.code, result.stdout) == (5, "")
    assert "changed: another network made the embeddings of " in result.stderr


def test_an_index_that_keeps_no_mean_gives_the_same_maps(xmir, records):
    line = jsonl(records[:2])
    new = xmir(*EXACT, stdin=line).records()
    from xmir_cli.gallery.folder import manifest

    path = Path("e.xmir/manifest.json")
    data = json.loads(path.read_text())
    del data["mean"], data["checksum"]
    path.write_text(json.dumps({**data, "checksum": manifest._checksum(data)}))
    assert xmir(*EXACT, stdin=line).records() == new


def test_a_pair_and_a_bare_image_take_the_mean_of_the_index_that_is_named(xmir, network, index):
    pair = ("--query", "g.png", "--image", "a.png", *network)
    result = xmir(*EXACT, *pair)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        "xmir: error: --center: a pair that is named comes from no index\n"
        "xmir: hint: Name one with --index.\n"
    )
    found = xmir(*EXACT, *pair, "--index", index).records()
    expected = centered(index, vector(xmir, network, "g.png"), str(Path("a.png").absolute()))
    assert [each["details"]["centered"] for each in found] == pytest.approx(
        [expected] * 2, abs=1e-5
    )
    assert {each["index"] for each in found} == {str(Path(index).absolute())}
    assert xmir("causal-metric", stdin=jsonl(found)).code == 0
    bare = xmir(*EXACT, *network, stdin='{"path": "a.png"}\n')
    assert (bare.code, bare.stdout) == (5, "")
    assert "index: expected the path that 'xmir query' writes" in bare.stderr
    (own, _) = xmir(*EXACT, *network, "-i", index, stdin='{"path": "a.png"}\n').records()
    assert own["details"]["centered"] == pytest.approx(1, abs=1e-6)
    gone = xmir(*EXACT, *network, "-i", "gone.xmir", stdin='{"path": "a.png"}\n')
    assert (gone.code, gone.stderr.count("\n")) == (5, 1)


@pytest.mark.parametrize("method", [each.name for each in catalogue().values() if not each.exact])
def test_a_map_that_shares_nothing_out_is_refused(xmir, method):
    result = xmir("saliency", "--method", f"activation,{method}", "--center", stdin="")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == (
        f"xmir: error: --center: the map of {method} does not share out a similarity\n"
        "xmir: hint: Use --method activation or bilrp.\n"
    )


def test_contrasts_and_stored_maps_are_centred_too(xmir, network, records):
    lines = jsonl(records)
    found = xmir(*EXACT, "--contrast", "next", stdin=lines).records()
    for record in found:
        details = record["details"]
        places = float(np.load(record["saliency"]).astype(np.float64).mean()) * CELLS
        rest = details["mean"] - details["contrast_mean"]
        rest += details["residual"] - details["contrast_residual"]
        gap = details["centered"] - details["contrast_centered"]
        assert places + rest == pytest.approx(gap, abs=1e-5)
    assert (
        xmir(
            "embed", *(f"{n}.png" for n in "abcdefg"), *network, "--features", "-o", "m.parquet"
        ).code
        == 0
    )
    assert xmir("index", "m.parquet", "-o", "m.xmir").code == 0
    stored = xmir(
        *EXACT,
        stdin=jsonl(xmir("query", "g.png", "--index", "m.xmir", "--no-self", "-k", 2).records()),
    ).records()
    for record in stored:
        places = float(np.load(record["saliency"]).astype(np.float64).mean()) * CELLS
        total = places + record["details"]["residual"] + record["details"]["mean"]
        assert total == pytest.approx(record["details"]["centered"], abs=1e-5)


def test_the_score_of_a_centred_map_is_that_of_the_centred_similarity(xmir, records):
    methods = ("saliency", "--method", "activation")
    line = jsonl(records[:1])
    (plain,) = xmir(*methods, stdin=line).records()
    (found,) = xmir(*methods, "--center", stdin=line).records()
    both = xmir("causal-metric", "--control", "center", stdin=jsonl([plain, found])).records()
    assert "center" not in both[0]["causal"]
    assert both[1]["causal"]["center"] == found["settings"]["center"]
    for key in ("insertion_curve", "deletion_curve"):
        whole = both[1][key][-1 if key == "insertion_curve" else 0]
        assert whole == pytest.approx(max(found["details"]["centered"], 0), abs=1e-5)
        assert both[0][key][-1 if key == "insertion_curve" else 0] == pytest.approx(
            found["similarity"], abs=1e-5
        )
    assert both[0]["insertion_control"] != both[1]["insertion_control"]
    summary = xmir("causal-metric", "--summary", stdin=jsonl([plain, found])).records()
    assert [row["n"] for row in summary] == [1, 1]
    assert summary[1]["causal"]["center"] == found["settings"]["center"]
    result = xmir("causal-metric", "--control", "random-model", stdin=jsonl([found]))
    assert "no-control: a random network has another mean of the gallery" in result.stderr
