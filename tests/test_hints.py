"""A mistake is told with the next step: what was probably meant, and what to do instead."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from xmir_cli.guesses import find_near
from xmir_cli.store.kinds import find_kind, kind_of
from xmir_cli.store.turns import hold

RECORD = {"schema": "xmir.retrieval/1", "query": "a.png", "retrieved": "a.png", "rank": 1}


@pytest.fixture(autouse=True)
def _files(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\nimages/a.png,x\n")
    (tmp_path / "hits.tsv").write_text("rank\tquery\tretrieved\n1\ta.png\ta.png\n")
    (tmp_path / "hits.txt").write_text("rank  similarity  id\n   1      1.0000  a.png\n")
    (tmp_path / "pretty.json").write_text(json.dumps(RECORD, indent=2))
    (tmp_path / "list.json").write_text(json.dumps([RECORD]))
    (tmp_path / "hits.jsonl").write_text(f"{json.dumps(RECORD)}\n")
    (tmp_path / "images").mkdir()
    Image.new("L", (40, 40)).save(tmp_path / "images" / "a.png")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "e.parquet")
    np.save(tmp_path / "v.npy", np.ones((1, 4), np.float32))
    save_file({"weight": torch.ones(1)}, tmp_path / "net.safetensors")
    (tmp_path / "c.xmir").mkdir()
    (tmp_path / "c.xmir" / "manifest.json").write_text("{}")


KINDS = {
    "labels.csv": "manifest", "hits.tsv": "manifest", "hits.txt": "manifest",
    "pretty.json": "json", "list.json": "list",
    "hits.jsonl": "records", "images": "folder", "images/a.png": "image", "e.parquet": "parquet",
    "v.npy": "array", "net.safetensors": "checkpoint", "c.xmir": "index", "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_what_a_file_is_shows_in_its_first_bytes(tmp_path, name, kind):
    assert find_kind(tmp_path / name) == kind


@pytest.mark.parametrize(
    "line", ["/data/x_{1}.png", "a,b.png", "path to.png", "[1].png", "label.png", "a  b.png"]
)
def test_the_path_of_an_image_is_taken_for_nothing_else(line):
    assert kind_of(line.encode()) == ""


RECORDS = [
    ("labels.csv", "a table", "Print records with --format jsonl; a table of images goes to"),
    ("hits.tsv", "a table", "Print records with --format jsonl"),
    ("pretty.json", "JSON over several lines", "One object a line: jq -c . pretty.json"),
    ("list.json", "a list in JSON", "One object a line: jq -c '.[]' list.json"),
    ("e.parquet", "a Parquet file", "Index embeddings, and ask: xmir query"),
    ("net.safetensors", "a checkpoint", "Ask an index: xmir query"),
    ("c.xmir", "an index", "Ask it: xmir query IMAGES... --index c.xmir"),
    ("images", "a folder", "Ask with its images: xmir query images --index NAME.xmir"),
    ("images/a.png", "an image", "Ask with it: xmir query images/a.png --index NAME.xmir"),
]


@pytest.mark.parametrize(
    "command",
    [["saliency"], ["causal-metric"], ["montage", "-o", "m.png"], ["report", "-o", "r.html"]],
)
@pytest.mark.parametrize(("name", "what", "step"), RECORDS)
def test_what_is_no_records_is_named_with_the_next_step(xmir, command, name, what, step):
    done = xmir(command[0], name, *command[1:])
    assert done.code == 5
    error, hint = done.stderr.splitlines()
    assert error == f"xmir: error: {name}: {what}; expected records, one JSON object a line"
    assert hint.startswith(f"xmir: hint: {step}")


def test_records_that_jq_has_spread_are_told_on_standard_input_too(xmir):
    done = xmir("saliency", stdin=json.dumps(RECORD, indent=2))
    assert "standard input: JSON over several lines" in done.stderr
    assert done.stderr.endswith("hint: One object a line: jq -c .\n")


SWAPS = [
    (["index", "c.xmir", "-o", "d.xmir"], 5, "not an embeddings file, but an index", "built from"),
    (["index", "net.safetensors", "-o", "d.xmir"], 5, "but a checkpoint", "--model net.safetens"),
    (["retrieval-metric", "labels.csv"], 5, "but a table", "xmir embed labels.csv"),
    (["retrieval-metric", "hits.jsonl"], 5, "expected embeddings", "index that they come from"),
    (["query", "--index", "e.parquet", "--all"], 5, "but a Parquet file", "xmir index "),
    (["query", "--index", "v.npy", "--all"], 5, "but a NumPy array", "--vector "),
    (["query", "--index", "hits.jsonl", "--all"], 5, "but a file of records", "come from"),
    (["query", "--index", "images", "--all"], 5, "but a folder", "Embed its images"),
    (["query", "--index", "net.safetensors", "--all"], 5, "but a checkpoint", "--model "),
    (["embed", "c.xmir", "-o", "f.parquet"], 5, "no images there", "--index c.xmir"),
    (["embed", "images", "-o", "f.parquet", "--model", "e.parquet"], 6, "Parquet", "xmir train"),
    (["embed", "images", "-o", "f.parquet", "--model", "c.xmir"], 6, "an index", "knows its own"),
    (["embed", "images", "-o", "f.parquet", "--weights", "c.xmir"], 6, "an index", "xmir train"),
    (["embed", "images", "-o", "f.parquet", "--weights", "imagnet"], 6, "no such", "imagenet?"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "error", "hint"), SWAPS)
def test_one_artefact_in_the_place_of_another_is_named(xmir, command, code, error, hint):
    done = xmir(*command)
    assert done.code == code
    lines = [line for line in done.stderr.splitlines() if not line.startswith("xmir: note: ")]
    assert len(lines) == 2
    assert error in lines[0]
    assert hint in lines[1]


MEANT = [
    (["saliency", "hits.jsonl", "--method", "grad-cam"], "Did you mean gradcam?"),
    (["saliency", "hits.jsonl", "--method", "GradCAM"], "Did you mean gradcam?"),
    (["saliency", "hits.jsonl", "--on", "retreived"], "Did you mean retrieved?"),
    (["query", "--all", "--format", "jsnol"], "Did you mean jsonl?"),
    (["saliency", "hits.jsonl", "--method", "attention", "--tuple", "par"], "Did you mean pair?"),
    (["saliency", "hits.jsonl", "--fill", "grya"], "Did you mean gray?"),
    (["causal-metric", "hits.jsonl", "--control", "rnadom"], "Did you mean random?"),
    (
        ["causal-metric", "hits.jsonl", "--min", "insertoin=1"],
        "Did you mean insertion or insertion_sd or insertion_low?",
    ),
    (
        ["causal-metric", "hits.jsonl", "--min", "nosuch=1"],
        "There are insertion, deletion, n, queries, patients.",
    ),
    (["sanity-check", "hits.jsonl", "--max", "spearmen=1"], "Did you mean spearman"),
    (["embed", "labels.csv", "--where", "labell=x", "-o", "f.parquet"], "Did you mean label?"),
    (["embed", "images", "--arch", "densenet112", "-o", "f.parquet"], "Did you mean densenet1"),
    (["embed", "images", "--arch", "vit_b_61", "-o", "f.parquet"], "Did you mean vit_b_16"),
]


@pytest.mark.parametrize(("command", "hint"), MEANT)
def test_a_name_that_is_nearly_one_is_told(xmir, command, hint):
    done = xmir(*command)
    assert done.code in {2, 6}
    assert done.stderr.splitlines()[-1].startswith(f"xmir: hint: {hint}")


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "timm:tf_eficientnet_lite0"])
def test_a_network_of_timm_is_told_with_its_source(xmir, name):
    pytest.importorskip("timm")
    done = xmir("embed", "images", "--arch", name, "--weights", "random:0", "-o", "f.parquet")
    assert done.code == 6
    assert "xmir: hint: Did you mean timm:tf_efficientnet_lite0" in done.stderr


def test_case_does_not_count_and_a_million_names_are_not_compared():
    assert find_near("PATIENT", ["path", "patient"]) == ["patient"]
    assert find_near("a1", (f"a{number}" for number in range(20_000, 50_000))) == []


@pytest.mark.parametrize(
    ("command", "output", "left"),
    [("embed", "x.parquet", "x.parquet.parts"), ("train", "r.pt", "r.pt.state.safetensors")],
)
def test_what_an_unfinished_run_is_to_make_is_told_as_that(xmir, command, output, left):
    Path(left).mkdir()
    calls, goes_on = [("info", output)], "it goes on where it ended."
    told = f"not there yet: a run of 'xmir {command}' that did not end has left {left}"
    if command == "embed":
        calls += [("index", output, "-o", "a.xmir"), ("retrieval-metric", output)]
    for call in calls:
        found = xmir(*call)
        assert found.code == 5
        assert found.stderr.splitlines() == [
            f"xmir: error: {output}: {told}",
            f"xmir: hint: Run that 'xmir {command}' again, and let it resume: {goes_on}",
        ]
    with hold(Path(output)):
        assert xmir("info", output).stderr.splitlines() == [
            f"xmir: error: {output}: not there yet: a run of 'xmir {command}' is working on it",
            "xmir: hint: Wait until it has ended.",
        ]
