"""What a shell completes, asked as a shell asks: in a fresh process, by typer's protocol."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.completion import complete_architectures, complete_method, complete_methods
from xmir_cli.model import sources
from xmir_cli.model.architectures import build_architecture
from xmir_cli.model.names import TORCHVISION_FAMILIES, torchvision_names
from xmir_cli.model.sources import Source, known_names
from xmir_cli.saliency import method_names

XMIR = [sys.executable, "-m", "xmir_cli"]


def test_a_list_that_is_wrong_already_completes_to_nothing():
    assert complete_methods("occ,") == []
    assert "occlusion,rise" in complete_methods("occlusion,ri")
    assert complete_method("occ") == ["occlusion"]
    assert complete_method("occlusion,") == []


def complete(*words: str, joint: str = "\n") -> list[str]:
    """The candidates of bash for the last word."""
    asked = {
        "_XMIR_COMPLETE": "complete_bash",
        "COMP_WORDS": joint.join(["xmir", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        XMIR, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def items():
    """An index as far as completion looks, and a manifest."""
    Path("cxr.xmir").mkdir()
    Path("cxr.xmir/manifest.json").touch()
    table = {
        "id": ["a1", "a2", "b"],
        "label": ["covid-19", "normal", None],
        "laterality": ["L", "L", "R"],
        "width": [1, 2, 3],
        "embedding": [[1.0], [0.0], [1.0]],
        "age": [60, 9, None],
    }
    pq.write_table(pa.table(table), "cxr.xmir/items.parquet")
    Path("labels.csv").write_text("path,label,site\n0.png,ill,A\n1.png,well,B\n2.png,ill,\n")


def test_methods_complete_the_last_of_a_list():
    assert complete("saliency", "--method", "a") == ["activation", "attention"]
    assert complete("saliency", "--method", "occlusion,a") == [
        "occlusion,activation",
        "occlusion,attention",
    ]
    assert complete("sanity-check", "--method", "activation,a") == ["activation,attention"]
    assert complete("diff-saliency", "x.csv", "--method", "") == method_names()


def test_architectures_are_torchvisions_and_the_way_to_timms():
    assert complete("embed", "--arch", "densenet1") == [
        *("densenet121", "densenet161", "densenet169"),
    ]
    assert complete("train", "--arch", "t") == ["timm:"]


def test_a_source_of_networks_is_one_row(monkeypatch):
    built = SimpleNamespace(pools=True)
    hub = SimpleNamespace(build=lambda name, _: built if name == "hub:x" else None)
    row = Source(
        "hub:NAME", lambda name: name.startswith("hub:"), lambda: ["hub:"], list, lambda: hub
    )
    monkeypatch.setattr(sources, "SOURCES", (row, *sources.SOURCES))
    assert complete_architectures("hu") == ["hub:"]
    assert known_names().startswith("hub:NAME; torchvision's densenet*")
    assert build_architecture("hub:x") is built


def test_the_names_are_those_that_torchvision_has_and_xmir_splits():
    from torchvision import models

    from xmir_cli.model.torchvision_networks import FAMILIES

    assert tuple(FAMILIES) == TORCHVISION_FAMILIES
    known = models.list_models(module=models)
    assert torchvision_names() == [name for name in known if name.startswith(TORCHVISION_FAMILIES)]


@pytest.mark.usefixtures("items")
def test_ids_are_those_of_the_index_that_is_meant():
    assert complete("query", "--id", "a") == ["a1", "a2"]
    assert complete("query", "--index", "cxr.xmir", "--id", "") == ["a1", "a2", "b"]
    assert complete("query", "--index", "gone.xmir", "--id", "") == []
    Path("other.xmir").mkdir()
    assert complete("query", "--id", "a") == []  # which of the two?


@pytest.mark.usefixtures("items")
def test_where_is_a_column_and_then_one_of_its_values():
    assert complete("query", "--where", "la") == ["label=", "laterality="]
    assert complete("query", "--where", "") == ["id=", "label=", "laterality=", "age="]
    assert complete("query", "--where", "age") == ["age=60", "age=9"]
    assert complete("query", "--where", "lab") == ["label=covid-19", "label=normal"]
    assert complete("query", "--where", "label=no", joint=" ") == ["label=normal"]
    assert complete("embed", "labels.csv", "--where", "") == ["path=", "label=", "site="]
    assert complete("embed", "labels.csv", "--where", "si") == ["site=A", "site=B"]
    assert complete("retrieval-metric", "cxr.xmir", "--where", "later") == [
        "laterality=L",
        "laterality=R",
    ]
    assert complete("embed", "gone.csv", "--where", "") == []
    assert complete("embed", "0.png", "--where", "") == []


@pytest.mark.usefixtures("items")
def test_colours_are_columns():
    assert complete("atlas", "cxr.xmir", "--color", "la") == ["label", "laterality"]
    assert complete("atlas", "gone.xmir", "--color", "") == []


@pytest.mark.usefixtures("items")
def test_bash_that_splits_words_gets_the_part_that_it_replaces():
    assert complete("query", "--where", "label", "=") == ["covid-19", "normal"]
    assert complete("query", "--where", "label", "=", "no") == ["normal"]
    assert complete("query", "--where", "=", "label", "=", "no") == ["normal"]
    assert complete("query", "--where", "label", "=", "normal", "--id", "b") == ["b"]
    assert complete("embed", "--arch", "=", "densenet12") == ["densenet121"]


@pytest.mark.usefixtures("items")
def test_a_damaged_table_completes_to_nothing():
    Path("cxr.xmir/items.parquet").write_bytes(b"PAR1")
    assert complete("query", "--id", "") == complete("query", "--where", "") == []
    Path("labels.csv").write_bytes(b"path,label\n\xff\n")
    assert complete("embed", "labels.csv", "--where", "label=") == []


@pytest.mark.usefixtures("items")
def test_forms_and_commands_complete_as_ever():
    assert complete("query", "--format", "") == ["table", "jsonl", "tsv", "csv", "paths"]
    assert complete("embed", "--file-format", "p") == ["parquet"]
    assert complete("sal") == ["saliency"]
    assert complete("clu") == ["cluster"]
    assert complete("cluster", "--format", "t") == ["table", "tsv"]
    assert complete("shortcut", "labels.csv", "--where", "si") == ["site=A", "site=B"]


@pytest.mark.usefixtures("items")
def test_bash_itself():
    """typer's own script for bash, with the words as bash gives them."""
    script = subprocess.run(
        [*XMIR, "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    Path("xmir").write_text(f'#!/bin/sh\nexec {sys.executable} -m xmir_cli "$@"\n')
    Path("xmir").chmod(0o755)
    asked = (
        f"{script}\nCOMP_WORDS=(xmir query --where label = co) COMP_CWORD=5\n"
        '_xmir_completion ./xmir; printf "%s" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("covid-19", "")


def test_completion_imports_neither_torch_nor_torchvision():
    script = (
        "import sys\nfrom xmir_cli.model.sources import offered_names\noffered_names()\n"
        "print([name for name in sys.modules if name.startswith('torch')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n"
