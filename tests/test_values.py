"""From Python a description takes the values that its flags take, and refuses the others."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.main import COMMANDS
from xmir_cli.scoring.names import CONTROLS


def _describe(name):
    """The description of a command, and values for the fields that need one."""
    module = importlib.import_module(f"xmir_cli.commands.{name.replace('-', '_')}")
    described = vars(module)["".join(part.title() for part in name.split("-"))]
    parameters = inspect.signature(described).parameters.values()
    needed = {each.name for each in parameters if each.default is inspect.Parameter.empty}
    values = {name: ["a.png"] if name in {"images", "files"} else "new" for name in needed}
    values |= {"query": {"images": ["a.png"], "index": "a.xmir"}}.get(name, {})
    values |= {"describe": {"index": "a.xmir"}}.get(name, {})
    values |= {"embed": {"output": "new"}, "montage": {"output": "new.png"}}.get(name, {})
    values |= {"report": {"output": "new.html"}, "atlas": {"output": ["new.png"]}}.get(name, {})
    values |= {"localization-metric": {"masks": "mask"}}.get(name, {})
    values |= {"concept": {"positive": ["a.png"], "negative": ["b.png"]}}.get(name, {})
    if "records" in {each.name for each in parameters}:
        Path("records.jsonl").touch()
        values["records"] = "records.jsonl"
    return described, values


@pytest.fixture
def describe():
    def build(name, **values):
        described, needed = _describe(name)
        return described(**needed | values)

    return build


@pytest.mark.parametrize("name", COMMANDS)
def test_no_field_takes_a_value_of_another_kind(name):
    described, needed = _describe(name)
    described(**needed)
    for field in dataclasses.fields(described):
        with pytest.raises(SettingError, match=rf"^{field.name}: expected .*, found <object"):
            described(**needed | {field.name: object()})


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("embed", "head", 0, "expected 1 or more, found 0"),
        ("embed", "head", np.True_, "expected a whole number, found True"),
        ("embed", "architecture", "", "expected a value, found ''"),
        (
            "embed",
            "images",
            ["a.png", ""],
            "expected values that are not empty, found ['a.png', '']",
        ),
        ("index", "source", "", "expected a value, found ''"),
        ("train", "output", "-", "expected a path, not -, found '-'"),
        ("saliency", "output", "-", "expected a path, not -, found '-'"),
        ("causal-metric", "junit", "-", "expected a path, not -, found '-'"),
        ("embed", "head", True, "expected a whole number, found True"),
        ("embed", "file_format", "foo", "expected one of parquet, npy, arrow, found 'foo'"),
        ("embed", "images", None, "expected a list, found None"),
        ("embed", "mean", (0.5, 0.5, 0.5), "expected text, found (0.5, 0.5, 0.5)"),
        ("query", "top", 0, "expected 1 or more, found 0"),
        ("query", "top", 2.5, "expected a whole number, found 2.5"),
        ("query", "images", "f1.png", "expected a list, found 'f1.png'"),
        ("query", "images", [1], "expected text, found [1]"),
        ("query", "where", {"label": "a"}, "expected a list, found {'label': 'a'}"),
        ("query", "region", (1, 2, 20, 20), "expected text, found (1, 2, 20, 20)"),
        ("query", "everything", 1, "expected True or False, found 1"),
        ("saliency", "on", "foo", "expected one of retrieved, query, both, found 'foo'"),
        ("saliency", "alpha", 1.5, "expected 0 to 1, found 1.5"),
        ("saliency", "settings", ["a"], "expected a mapping, found ['a']"),
        ("saliency", "settings", {1: 2}, "expected texts as names, found {1: 2}"),
        ("train", "seed", 2**80, "expected 0 to 4294967295, found 1208925819614629174706176"),
        ("saliency", "output", 3, "expected a path, found 3"),
        ("saliency", "records", [{}] * 9, "expected text, found [{}, {}, {}, {}, {}, {}, ...]"),
        ("train", "margin", float("nan"), "expected 0 or more, found nan"),
        ("train", "margin", float("inf"), "expected a finite number, found inf"),
        ("audit", "fence", float("inf"), "expected a finite number, found inf"),
        (
            "causal-metric",
            "control",
            "foo",
            f"expected some of {', '.join(CONTROLS)}",
        ),
        ("causal-metric", "minimum", ["map=1"], "no such number"),
        ("causal-metric", "maximum", ["map=1"], "no such number"),
        ("index", "m", 513, "expected 2 to 512, found 513"),
    ],
)
def test_what_a_flag_refuses_is_refused_from_python(describe, name, field, value, message):
    with pytest.raises(SettingError) as caught:
        describe(name, **{field: value})
    assert (caught.value.name, caught.value.message) == (field, message)


@pytest.mark.parametrize(
    ("name", "field", "value", "found"),
    [
        ("embed", "images", [Path("a.png"), "b.png"], ["a.png", "b.png"]),
        ("embed", "images", ("a.png",), ["a.png"]),
        ("embed", "output", "a.parquet", Path("a.parquet")),
        ("embed", "head", np.int64(4), 4),
        ("embed", "resume", np.True_, True),
        ("embed", "weights", np.str_("imagenet"), "imagenet"),
        ("train", "margin", 1, 1.0),
        ("train", "margin", np.float32(0.5), 0.5),
        ("query", "model", "a.safetensors", Path("a.safetensors")),
        ("query", "index", Path("a.xmir"), "a.xmir"),
        ("query", "jobs", None, None),
        ("saliency", "output", "maps", Path("maps")),
        ("retrieval-metric", "source", Path("a.parquet"), "a.parquet"),
        ("info", "files", [Path("a.png")], ["a.png"]),
    ],
)
def test_paths_texts_and_numbers_become_what_the_field_holds(describe, name, field, value, found):
    kept = getattr(describe(name, **{field: value}), field)
    assert (kept, type(kept)) == (found, type(found))


def test_settings_of_a_method_become_what_would_be_typed(describe):
    given = {"window_size": np.int32(8), "abs": np.True_}
    asked = describe("saliency", method="occlusion,attention", settings=given)
    assert asked.settings == {"window_size": "8", "abs": "true"}
