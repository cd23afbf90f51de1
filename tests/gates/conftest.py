"""Images, embeddings, hits and maps, and how every command with gates is asked of them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Row:
    """How a command is asked, a number that it has, and how that becomes better."""

    command: str
    asked: tuple[str, ...]
    number: str
    better: float  # the sign: 1 where more is better
    compared: str = ""  # the number that a baseline goes by, where it is another
    saved: tuple[str, ...] = ()  # the flags with which a baseline is made
    queries: int = 6  # records that tell of one query, at least


ROWS = [
    Row("retrieval-metric", ("e.parquet",), "map", 1),
    Row("causal-metric", ("maps.jsonl", "--curve-steps", "4"), "insertion", 1),
    Row("localization-metric", ("maps.jsonl", "--masks", "masks"), "energy", 1),
    Row(
        "sanity-check",
        ("hits.jsonl", "--test", "query", "--method", "activation", "--threshold", "1"),
        *("spearman", -1),
    ),
    Row(
        "shortcut",
        ("images/labels.csv", "--model", "m.safetensors", "--test", "object", "--draws", "50"),
        *("map", -1, "effect"),
    ),
    Row(
        "compare",
        ("e.parquet", "other.parquet"),
        *("map_difference", 1),
        saved=("--summary",),
    ),
    Row(
        "audit",
        ("e.parquet", "--neighbors", "2", "--probability", "0.5"),
        *("suspect_labels", -1),
        saved=("--summary",),
    ),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_arch):
    """Images of two labels with masks, a network, embeddings of two, hits and maps."""
    from xmir_cli.main import execute
    from xmir_cli.model.choice import ModelChoice
    from xmir_cli.model.loader import load_embedder, load_network, resolve_model
    from xmir_cli.store.runs import Run, write_checkpoint

    folder = tmp_path_factory.mktemp("metrics")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows, random = ["path,label,patient,split"], np.random.default_rng(0)
    for number in range(8):
        picture = random.integers(0, 255, (32, 32), dtype=np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 8:20] = 255
        picture[8:20, 8:20] //= 2 + number % 2
        Image.fromarray(picture).save(folder / f"images/{number}.png")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]},p{number // 2},{'xy'[number > 5]}")
    boxes = [f"images/{number}.png,8,8,12,12" for number in range(8)]
    (folder / "boxes.csv").write_text("\n".join(["path,x,y,w,h", *boxes]) + "\n")
    (folder / "images/labels.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, seed in (("m", 1), ("n", 2)):
            choice = ModelChoice(architecture=tiny_arch, weights=f"random:{seed}")
            spec = load_embedder(resolve_model(choice), "cpu").spec
            write_checkpoint(
                Path(f"{name}.safetensors"), load_network(spec).state_dict(), spec, Run({})
            )
        for line in (
            "embed images/labels.csv --model m.safetensors -o e.parquet",
            "embed images/labels.csv --model n.safetensors -o other.parquet",
            "index e.parquet -o e.xmir",
        ):
            assert execute(line.split()) == 0, line
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch, xmir):
    """A copy of it, with hits and maps that name its own files."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    names = [f"images/{number}.png" for number in range(6)]
    hits = xmir("query", *names, "--top", "2", "--no-self", "-i", "e.xmir")
    labels = {name: "ab"[number % 2] for number, name in enumerate(names)}
    known = [{**each, "query_label": labels[each["query"]]} for each in hits.records()]
    Path("hits.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in known))
    maps = xmir("saliency", "hits.jsonl", "--method", "activation", "--no-overlay")
    Path("maps.jsonl").write_text(maps.stdout)
    return tmp_path / "here"
