"""Every metric is a gate in the same way: one row a command, the same flags, words, exit codes."""

import json
import shutil
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.gates.conftest import ROWS

FLAGS = ("minimum", "maximum", "baseline", "tolerance", "junit", "summary", "per_query", "force")


def value_of(record, name):
    for part in name.split("."):
        record = record[part]
    return record


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_metric_is_a_gate_like_all_others(row, here, xmir, tmp_path, monkeypatch):
    asked = (row.command, *row.asked)
    whole = xmir(*asked, "--summary")
    assert whole.code == 0, whole.stderr
    found = value_of(whole.records()[0], row.number)
    each = xmir(*asked, "--per-query")
    assert each.code == 0, each.stderr
    assert len({record["query"] for record in each.records()}) >= row.queries
    both = xmir(*asked, "--summary", "--per-query")
    assert (both.code, both.stderr.splitlines()[0]) == (
        2,
        "xmir: error: --per-query: --summary prints something else; give one of them",
    )
    met = xmir(*asked, "--min", f"{row.number}=-9", "--max", f"{row.number}=9", "--junit", "j.xml")
    assert met.code == 0, met.stderr
    for flag, bound in (("--min", 9), ("--max", -9)):
        unmet = xmir(*asked, flag, f"{row.number}={bound}")
        assert unmet.code == 4
        assert f"gate {flag} {row.number}={bound}: found {found:.6g}"[:40] in unmet.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert (suite.get("name"), suite.get("failures")) == (f"xmir {row.command}", "0")
    assert any(f"--min {row.number}=-9" in case.get("name") for case in suite)
    again = xmir(*asked, "--junit", "j.xml")
    assert (again.code, xmir(*asked, "--junit", "j.xml", "--force").code) == (7, 0)

    before = xmir(*asked, *row.saved).records()
    moved = tmp_path / "moved"
    shutil.copytree(here, moved)
    Path("same.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in before))
    name = row.compared or row.number
    for record in before:
        record[name] = record[name] + row.better
    Path("better.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in before))
    for file in ("same.jsonl", "better.jsonl"):
        shutil.copy(file, moved)
    if row.asked[0] in {"hits.jsonl", "maps.jsonl"}:  # as they are written there
        text = Path(moved, row.asked[0]).read_text().replace(f"{here}/", f"{moved}/")
        Path(moved, row.asked[0]).write_text(text)
    shutil.rmtree(here)
    monkeypatch.chdir(moved)
    same = xmir(*asked, "--baseline", "same.jsonl")
    assert same.code == 0, same.stderr
    worse = xmir(*asked, "--baseline", "better.jsonl", "--junit", "k.xml")
    assert worse.code == 4
    assert "xmir: error: worse than before: " in worse.stderr
    assert "worse than in better.jsonl by more than 0.01" in worse.stderr
    suite = ElementTree.parse("k.xml").getroot()[0]  # noqa: S314 # our own
    assert int(suite.get("failures")) >= 1
    assert xmir(*asked, "--baseline", "better.jsonl", "--tolerance", "1.1").code == 0


@pytest.mark.parametrize("command", [row.command for row in ROWS])
def test_every_metric_has_every_flag(command):
    module = import_module(f"xmir_cli.commands.{command.replace('-', '_')}")
    described = vars(module)["".join(part.title() for part in command.split("-"))]
    assert set(FLAGS) <= {field.name for field in fields(described)}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_a_gate_of_a_number_that_is_none_is_a_usage_error(row, xmir):
    for flag in ("--min", "--max"):
        unknown = xmir(row.command, *row.asked, flag, "nosuch=1", "--junit", "j.xml")
        told = unknown.stderr.splitlines()[-2:]
        assert (unknown.code, told[0]) == (2, f"xmir: error: {flag} nosuch=1: no such number")
        assert told[1].startswith("xmir: hint: There are ")
        assert row.number in told[1]
        assert not Path("j.xml").exists()
    near = xmir(row.command, *row.asked, "--min", f"{row.number}s=1")
    assert (near.code, near.stderr.splitlines()[-2:][0]) == (
        2,
        f"xmir: error: --min {row.number}s=1: no such number",
    )
    assert near.stderr.splitlines()[-1].startswith("xmir: hint: Did you mean ")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (("retrieval-metric", "e.parquet", "--sample", "6"), "macro.map_low"),
        (("causal-metric", "maps.jsonl", "--curve-steps", "4"), "insertion_low"),
        (
            ("causal-metric", "maps.jsonl", "--curve-steps", "4", "--control", "center"),
            "insertion_gain_high.center",
        ),
        (("localization-metric", "maps.jsonl", "--masks", "masks"), "energy_gain_low.chance"),
        (("localization-metric", "maps.jsonl", "--masks", "masks"), "energy_sd"),
        (("compare", "e.parquet", "other.parquet"), "map_difference_high"),
    ],
)
def test_the_ends_of_intervals_are_gates(asked, number, xmir):
    (record,) = xmir(*asked, "--summary").records()
    found = value_of(record, number)
    assert xmir(*asked, "--min", f"{number}={found}", "--max", f"{number}={found}").code == 0
    unmet = xmir(*asked, "--min", f"{number}={found + 0.01}")
    assert unmet.code == 4
    assert f"gate --min {number}={found + 0.01:g}: found {found:.6g}" in unmet.stderr


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_the_numbers_of_a_query_say_whose_it_is(row, xmir):
    each = xmir(row.command, *row.asked, "--per-query").records()
    patients = {Path(record["query"]).stem: record.get("query_patient") for record in each}
    assert patients == {number: f"p{int(number) // 2}" for number in patients}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_every_number_that_was_found_is_a_gate(row, xmir):
    made = {"neighbors", "probability", "fence_ranges", "seeds", "threshold", "draws", "seed"}
    made |= {"level", "least_effect"}
    (record,) = xmir(row.command, *row.asked, "--summary").records()
    numbers = {
        name: value
        for name, value in record.items()
        if isinstance(value, int | float) and type(value) is not bool and name not in made
    }
    gates = [part for name, value in numbers.items() for part in ("--max", f"{name}={value!r}")]
    done = xmir(row.command, *row.asked, *gates)
    assert done.code == 0, done.stderr
