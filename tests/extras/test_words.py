"""Words that ask, on a model whose answer is known: left and right, and what is bright there."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open_clip", reason="needs the extra clip")
pytest.importorskip("transformers", reason="needs the extra hf")

from tests.extras.towers import write_sides, write_transformers
from xmir_cli.retrieval import words

BRIGHT = {"left": (200, 20), "right": (20, 200), "both": (200, 200)}


@pytest.fixture
def index(xmir, tmp_path):
    """Three pictures, bright on one side or on both, under the model of known answers."""
    write_sides(tmp_path / "sides")
    for name, (left, right) in BRIGHT.items():
        pixels = np.full((32, 32), left, np.uint8)
        pixels[:, 16:] = right
        Image.fromarray(pixels).save(f"{name}.png")
    names = [f"{name}.png" for name in BRIGHT]
    assert xmir("embed", *names, "--arch", "sides", "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "i.xmir").code == 0
    return "i.xmir"


def found(result):
    return [Path(record["retrieved"]).stem for record in result.records()]


def cosine(vector, other):
    return np.dot(vector, other) / np.linalg.norm(vector) / np.linalg.norm(other)


def test_a_moved_folder_is_named_by_every_command(xmir, index):
    record = xmir("query", "left.png", "-i", index, "--top", "1").stdout
    assert record
    folder = Path(json.loads(record)["model"]["architecture"])
    folder.rename(moved := folder.with_name("moved"))
    gone = xmir("query", "left.png", "-i", index)
    assert gone.code == 6
    assert gone.stderr.endswith("Or name that: --model FOLDER.\n")
    result = xmir("query", "--text", "left", "-i", index, "--top", "1", "--model", str(moved))
    assert result.code == 0, result.stderr
    assert result.records()[0]["model"]["architecture"] == str(moved)
    flags = ("--model", str(moved))
    maps = xmir("saliency", *flags, "--method", "random", stdin=record)
    assert maps.code == 0, maps.stderr
    scored = xmir("causal-metric", *flags, stdin=maps.stdout)
    assert scored.code == 0, scored.stderr


def test_words_find_the_images_that_show_them(xmir, index):
    for word, order in (("left", ["left", "both", "right"]), ("right", ["right", "both", "left"])):
        result = xmir("query", "--text", word, "-i", index)
        assert (result.code, found(result)) == (0, order)
    first = xmir("query", "--text", "left lung", "-i", index).records()[0]
    assert first["query_text"] == "left lung"
    assert first["similarity"] == pytest.approx(cosine((1, 0), BRIGHT["left"]), abs=1e-4)
    assert len(first["text_sha256"]) == 64
    assert not first.keys() & {"query", "query_identity", "query_templates", "text_weight"}


def test_a_file_asks_with_every_line_in_order(xmir, index):
    Path("prompts.txt").write_bytes(b"\xef\xbb\xbfright\r\n\r\n  left lung \nboth\n")
    for given in (("--text-file", "prompts.txt"), ("--text-file", "-")):
        stdin = Path("prompts.txt").read_bytes() if given[1] == "-" else None
        result = xmir("query", *given, "--top", "1", "-i", index, stdin=stdin)
        assert found(result) == ["right", "left", "both"]
        texts = [record["query_text"] for record in result.records()]
        assert texts == ["right", "left lung", "both"]


def test_templates_are_averaged_at_length_one(xmir, index):
    templates = ("--template", "{} lung", "--template", "right {}")
    record = xmir("query", "--text", "left", *templates, "--top", "1", "-i", index).records()[0]
    assert Path(record["retrieved"]).stem == "both"  # (1, 0) and (0, 1)
    assert record["similarity"] == pytest.approx(1, abs=1e-4)
    assert record["query_templates"] == ["{} lung", "right {}"]


def test_a_template_is_no_format(xmir, index):
    template = "left {0.__class__} {} {}"
    record = xmir("query", "--text", "a", "--template", template, "-i", index).records()[0]
    assert record["query_templates"] == [template]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("asked", [("right.png",), ("--id", "right.png")])
def test_words_and_an_image_ask_together(weight, asked, xmir, index):
    flags = () if weight == 0.5 else ("--text-weight", weight)  # the default
    result = xmir("query", *asked, "--text", "left", *flags, "-i", index)
    image = np.array(BRIGHT["right"]) / np.linalg.norm(BRIGHT["right"])
    mixed = weight * np.array([1, 0]) + (1 - weight) * image
    for record in result.records():
        expected = cosine(mixed, BRIGHT[Path(record["retrieved"]).stem])
        assert record["similarity"] == pytest.approx(expected, abs=1e-4)
        assert (record["text_weight"], Path(record["query"]).name) == (weight, "right.png")


def test_words_are_moved_by_examples(xmir, index):
    asked = ("query", "--text", "left", "--unlike", "left.png", "--like", "right.png")
    records = xmir(*asked, "-i", index).records()
    assert [Path(record["retrieved"]).stem for record in records] == ["both"]
    assert records[0]["similarity"] == pytest.approx(cosine((1, 0), (1, 1)), abs=1e-4)
    assert records[0]["relevance"] > records[0]["similarity"]


def sides_of(record):
    """The share of a map's mass on the left half."""
    saliency = np.load(record["saliency"]).clip(min=0)
    return saliency[:, :16].sum() / saliency.sum()


@pytest.mark.parametrize(
    "method",
    [
        ("occlusion", "--window-size", "8", "--stride", "8"),
        ("rise", "--masks", "400", "--cells", "4"),
        ("integrated-gradients", "--path-baseline", "black"),
        ("activation",),
    ],
)
def test_the_map_of_a_word_lies_where_the_word_is(method, xmir, index):
    """And the map of another word lies elsewhere: it is the words that are explained."""
    mass = {}
    for word in ("left", "right"):
        hits = xmir("query", "--text", word, "-i", index).stdout
        line = next(each for each in hits.splitlines() if "both.png" in each.split('"index"')[0])
        result = xmir("saliency", "-", "--method", *method, stdin=line)
        (record,) = result.records()
        assert record["query_text"] == word
        assert record["explains"] == "retrieved"
        assert record["similarity_check"] == pytest.approx(record["similarity"], abs=1e-4)
        mass[word] = sides_of(record)
    assert mass["left"] > 0.9
    assert mass["right"] < 0.1


def explained(xmir, index, *query, method=("random,occlusion", "--window-size", "8")):
    hits = xmir("query", *query, "--top", "2", "-i", index).stdout
    return xmir("saliency", "-", "--method", *method, stdin=hits)


def test_maps_of_words_are_scored_and_summed_up(xmir, index):
    maps = explained(xmir, index, "--text", "left")
    asked = ("causal-metric", "-", "--curve-steps", "8", "--control", "random,random-model")
    scored = xmir(*asked, stdin=maps.stdout)
    assert scored.code == 0
    for record in scored.records():
        assert record["schema"] == "xmir.causal/1"
        assert "query_identity" not in record
        assert record["deletion_curve"][0] == pytest.approx(record["similarity"], abs=1e-4)
    texts = "".join([scored.stdout, xmir(*asked, stdin=_both(xmir, index)).stdout])
    summary = xmir("causal-metric", "-", "--summary", stdin=texts).records()
    assert {row["method"]: (row["n"], row["queries"]) for row in summary} == {
        "random": (4, 2),
        "occlusion": (4, 2),
    }
    again = xmir("causal-metric", "-", "--summary", "--curve-steps", "8", stdin=maps.stdout)
    means = [row["deletion"] for row in again.records()]
    recorded = [
        np.mean([each["deletion"] for each in scored.records() if each["method"] == name])
        for name in ("random", "occlusion")
    ]
    assert means == pytest.approx(recorded, abs=1e-6)


def _both(xmir, index):
    return explained(xmir, index, "--text", "right").stdout


def test_a_baseline_knows_words_apart(xmir, index):
    maps = explained(xmir, index, "--text", "left").stdout + _both(xmir, index)
    scored = xmir("causal-metric", "-", "--curve-steps", "8", stdin=maps).stdout
    Path("before.jsonl").write_text(scored)
    asked = ("causal-metric", "-", "--curve-steps", "8", "--baseline", "before.jsonl")
    again = xmir(*asked, "--junit", "j.xml", stdin=maps)
    assert again.code == 0
    assert "not met" not in again.stderr
    assert "left -&gt; " in Path("j.xml").read_text()
    other = explained(xmir, index, "--text", "both").stdout
    assert "has none of the records of this run" in xmir(*asked, stdin=other).stderr


def test_words_are_contrasted_with_the_next_image(xmir, index):
    hits = xmir("query", "--text", "left", "--top", "2", "-i", index).stdout
    asked = ("saliency", "-", "--method", "occlusion", "--window-size", "8", "--contrast", "next")
    result = xmir(*asked, stdin=hits)
    (record,) = result.records()
    assert Path(record["contrast"]).stem == "both"
    assert record["details"]["contrast_similarity"] == pytest.approx(
        cosine(BRIGHT["left"], BRIGHT["both"]), abs=1e-5
    )


def test_mixed_queries_are_explained_and_scored(xmir, index):
    maps = explained(xmir, index, "right.png", "--text", "left", "--text-weight", "0.7")
    assert maps.code == 0
    scored = xmir("causal-metric", "-", "--curve-steps", "8", stdin=maps.stdout)
    assert [record["deletion_curve"][0] for record in scored.records()] == pytest.approx(
        [record["similarity"] for record in maps.records()], abs=1e-4
    )


def test_a_montage_shows_the_words_where_the_query_would_stand(xmir, index):
    maps = explained(xmir, index, "--text", "left \x1b[31mlung\x07 " + "word " * 200)
    mixed = explained(xmir, index, "right.png", "--text", "left")
    done = xmir("montage", "-", "-o", "page.png", "--side", "160", stdin=maps.stdout + mixed.stdout)
    assert done.code == 0
    page = np.asarray(Image.open("page.png").convert("L"))
    tile = page[45:180, 20:160]  # of the first query
    assert tile.mean() > 180  # paper
    assert (tile < 100).sum() > 50  # ink


def test_hits_of_words_are_drawn_without_maps(xmir, index):
    hits = xmir("query", "--text", "left", "--text", "right", "-i", index).stdout
    done = xmir("montage", "-", "-o", "page.png", "--side", "64", stdin=hits)
    assert (done.code, "2 queries" in done.stderr) == (0, True)


def test_words_are_explained_without_what_all_images_share(xmir, index):
    hits = xmir("query", "--text", "left", "--top", "2", "-i", index).stdout
    maps = xmir("saliency", "-", "--method", "activation", "--center", stdin=hits)
    assert maps.code == 0
    mean = np.mean([np.array(each) / np.linalg.norm(each) for each in BRIGHT.values()], axis=0)
    for record in maps.records():
        image = np.array(BRIGHT[Path(record["retrieved"]).stem])
        centred = cosine(np.array([1, 0]) - mean, image / np.linalg.norm(image) - mean)
        assert record["details"]["centered"] == pytest.approx(centred, abs=1e-3)
        assert record["details"]["residual"] == pytest.approx(0, abs=1e-4)
    assert xmir("causal-metric", "-", "--curve-steps", "8", stdin=maps.stdout).code == 0


def test_every_indexed_image_may_ask_together_with_words(xmir, index):
    result = xmir("query", "--all", "--text", "left", "--text-weight", "1", "-i", index, "--top", 1)
    assert found(result) == ["left"] * 3


def test_words_ask_from_python(index):
    from xmir_cli.stories.query import Query, run

    hits = list(run(Query(texts=["right"], index=index, top=1)))
    assert [Path(hit["retrieved"]).stem for hit in hits] == ["right"]


def test_words_are_shown_escaped(xmir, index):
    text = "left \x1b[31mred\x1b[0m <b>bold</b> $(touch ran) ../../etc"
    table = xmir("query", "--text", text, "-i", index, "--format", "table").stdout
    assert "\x1b" not in table
    assert "\\x1b[31mred" in table
    assert not Path("ran").exists()
    record = xmir("query", "--text", text, "-i", index).records()[0]
    assert record["query_text"] == text


def test_text_beyond_the_context_is_said_and_recorded(xmir, index):
    result = xmir("query", "--text", "left " * 9, "--text", "right", "-i", index, "--top", "1")
    assert "its last 3 tokens are beyond what the text tower takes and were left out" in (
        result.stderr
    )
    assert [record.get("text_cut") for record in result.records()] == [3, None]


@pytest.mark.parametrize("way", ["--on query", "--on both", "--method bilrp", "--method attention"])
def test_what_words_have_not_is_refused_with_the_reason(way, xmir, index):
    hits = xmir("query", "--text", "left", "-i", index).stdout
    flags = way.split()
    method = () if "--method" in flags else ("--method", "occlusion")
    result = xmir("saliency", "-", *flags, *method, stdin=hits)
    if way == "--method attention":  # it takes the embedding alone
        assert result.code == 0
        return
    assert result.code == 2
    expected = {"--on": "words have no map", "--method": "words and concepts have none"}[flags[0]]
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_another_text_tower_than_recorded_is_refused(xmir, index):
    maps = explained(xmir, index, "--text", "left")
    hits = xmir("query", "--text", "left", "-i", index).stdout
    file = Path("sides/tokenizer.json")
    file.write_text(file.read_text().replace('"left"', '"links"'))
    for command in ("saliency", "causal-metric"):
        result = xmir(command, "-", stdin=hits if command == "saliency" else maps.stdout)
        assert result.code == 6
        assert "not the recorded text tower" in result.stderr


def test_words_do_not_ask_a_folder_of_another_model(xmir, index):
    from safetensors.torch import load_file, save_file

    file = Path("sides/open_clip_model.safetensors")
    tensors = load_file(file)
    save_file({**tensors, "visual.proj": tensors["visual.proj"] * 2}, file)
    result = xmir("query", "--text", "left", "-i", index)
    assert result.code == 6
    assert "not the recorded weights" in result.stderr


@pytest.mark.parametrize("what", ["text.text_projection", "tokenizer.json", "heads"])
def test_words_do_not_ask_another_text_tower_than_was_indexed(what, xmir, index):
    from safetensors.torch import load_file, save_file

    assert xmir("query", "--text", "left", "-i", index).code == 0
    if what.startswith("text."):
        file = Path("sides/open_clip_model.safetensors")
        tensors = load_file(file)
        save_file({**tensors, what: tensors[what] * 2}, file)
    else:
        file = Path("sides", what if "json" in what else "open_clip_config.json")
        changed = ('"left"', '"lift"') if "json" in what else ('"heads": 2', '"heads": 1')
        before = file.read_text()
        file.write_text(before.replace(*changed))
        assert file.read_text() != before
    result = xmir("query", "--text", "left", "-i", index)
    assert result.code == 6
    assert "not the recorded text tower" in result.stderr
    assert xmir("query", "left.png", "-i", index).code == 0  # images need none


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_text_tower_is_hashed_as_it_lies(family, tmp_path):
    from xmir_cli.model.text_sources import hash_words
    from xmir_cli.wire.model import ModelSpec

    write_transformers(family, folder := tmp_path / "m")
    spec = ModelSpec(str(folder), "folder")
    before = hash_words(spec)
    assert len(before) == 64
    assert ModelSpec.from_json(replace(spec, words_sha256=before).to_json(), "here") == replace(
        spec, words_sha256=before
    )
    assert "words_sha256" not in spec.to_json()
    assert hash_words(replace(spec, pool="mean")) == ""
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_act"] = "relu"
    (folder / "config.json").write_text(json.dumps(config))
    assert hash_words(spec) not in {"", before}
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert hash_words(spec) == ""  # nothing holds what may still be put there


def test_images_ask_without_the_text_tower(xmir, index, monkeypatch):
    def refuse(*_):
        raise AssertionError("the text tower was loaded")

    monkeypatch.setattr(words, "load_text_tower", refuse)
    hits = xmir("query", "left.png", "-i", index)
    assert hits.code == 0
    assert xmir("saliency", "-", "--method", "random", stdin=hits.stdout).code == 0


def test_index_without_a_text_tower_says_which_models_have_one(xmir, tiny_arch):
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("a.png")
    xmir("embed", "a.png", "--arch", tiny_arch, "--weights", "random:0", "-o", "t.parquet")
    xmir("index", "t.parquet", "-o", "t.xmir")
    result = xmir("query", "--text", "left", "-i", "t.xmir")
    assert result.code == 6
    error, hint = result.stderr.splitlines()
    assert "this model has no text tower" in error
    assert "open_clip" in hint


def test_records_of_words_that_are_none_are_left_out(xmir, index):
    good = xmir("query", "--text", "left", "--top", "1", "-i", index).records()[0]
    bad = [
        {"query_text": " "},
        {"query_text": "x" * 10_001},
        {"query_templates": ["no place"]},
        {"text_weight": 0.5},
        {"query_text": None},
        {"query_text": 5},
    ]
    lines = "\n".join(json.dumps({**good, **change}) for change in bad)
    result = xmir("saliency", "-", "--method", "random", stdin=f"{lines}\n{json.dumps(good)}")
    assert result.code == 3
    assert len(result.records()) == 1
    assert "6 bad-record" in result.stderr
    page = xmir("montage", "-", "-o", "p.png", stdin=f"{lines}\n{json.dumps(good)}")
    assert "6 bad-record" in page.stderr
