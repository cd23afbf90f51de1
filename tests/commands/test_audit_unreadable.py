"""xmir audit where images cannot be read: what may be missed is never told as nothing."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.commands.test_audit import Archive

OF_COPIES = (
    "duplicates",
    "duplicate_groups",
    "near_copies",
    "leaks",
    "label_conflicts",
    "left_out",
)


@pytest.fixture
def damaged():
    """Images of which three of 40 cannot be read."""
    archive = Archive()
    archive.write()
    for row in range(2):
        Path(f"images/{row}.png").unlink()
    Path("images/2.png").write_bytes(b"none")


@pytest.mark.usefixtures("damaged")
@pytest.mark.parametrize("name", [*OF_COPIES, "left_out"])
def test_no_copies_are_found_is_not_there_are_none(name, xmir):
    asked = ("audit", "e.parquet", "--summary", "--junit", "j.xml", "--force", "--max", f"{name}=0")
    result = xmir(*asked)
    assert result.records()[0][name] == 0
    assert result.code == 4
    told = (
        f"gate --max {name}=0: found 0, but 3 images cannot be looked at, so that there may be "
        "more; --max unreadable=3 accepts that"
    )
    assert f"xmir: error: {told}\n" in result.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert [suite.get(each) for each in ("failures", "errors", "skipped")] == ["0", "1", "3"]
    assert [Path(each.get("name")).name for each in suite if each.find("skipped") is not None] == [
        "0.png",
        "1.png",
        "2.png",
    ]
    accepted = xmir(*asked, "--max", "unreadable=3")
    assert accepted.code == 0, accepted.stderr
    fewer = xmir(*asked, "--max", "unreadable=2")
    assert (fewer.code, "gate --max unreadable=2: found 3" in fewer.stderr) == (4, True)


@pytest.mark.usefixtures("damaged")
def test_what_does_not_go_by_pixels_and_what_is_found_are_judged_as_ever(xmir):
    shutil.copy("images/3.png", "images/4.png")
    archive = Archive()
    shutil.copy("images/3.png", "images/again.png")
    archive.add("images/again.png", 3, lacks=1e-9)
    archive.write()
    Path("images/0.png").unlink()
    asked = ("audit", "e.parquet", "--max", "leaked_patients=0", "--max", "outliers=40")
    assert xmir(*asked).code == 0
    assert xmir(*asked, "--min", "duplicates=1").code == 0
    found = xmir(*asked, "--max", "duplicates=0")
    assert (found.code, "gate --max duplicates=0: found 1\n" in found.stderr) == (4, True)


def test_where_no_image_is_there_nothing_is_known_of_near_copies(xmir):
    Archive().write()
    shutil.rmtree("images")
    flags = ("--summary", "--max", "leaks=0")
    gone = xmir("audit", "e.parquet", *flags)
    (record,) = gone.records()
    assert (record["near_copies"], record["looked_at"], record["unreadable"]) == (None, 0, 40)
    assert (gone.code, "40 images cannot be looked at" in gone.stderr) == (4, True)
    assert xmir("audit", "e.parquet", *flags, "--max", "unreadable=40").code == 0
    near = xmir("audit", "e.parquet", "--max", "near_copies=0", "--max", "unreadable=40")
    assert (near.code, "near_copies is null" in near.stderr) == (4, True)
    alone = xmir("audit", "e.parquet", *flags, "--no-images")
    assert (alone.code, alone.records()[0]["unreadable"]) == (0, None)
    looked = xmir("audit", "e.parquet", "--no-images", "--max", "unreadable=0")
    assert (looked.code, "unreadable is null" in looked.stderr) == (4, True)


@pytest.mark.parametrize(
    "name", ["leaks", "duplicates", "leaked_patients", "outliers", "unreached"]
)
def test_what_was_left_out_may_be_a_fault(name, xmir):
    """A copy in the other split, whose embedding is nothing but zeros."""
    archive = Archive()
    shutil.copy("images/3.png", "images/again.png")
    archive.add("images/again.png", 3, lacks=1e-9, split="test", patient="p3")
    archive.vectors[-1] = 0 * archive.vectors[-1]
    archive.write()
    asked = ("audit", "e.parquet", "--summary", "--junit", "j.xml", "--force")
    result = xmir(*asked, "--max", f"{name}=0")
    (record,) = result.records()
    assert (result.code, record[name], record["skipped"]) == (4, 0, 1)
    told = (
        f"gate --max {name}=0: found 0, but 1 image cannot be used, so that there may be more; "
        "--max skipped=1 accepts that"
    )
    assert f"xmir: error: {told}\n" in result.stderr
    suite = ElementTree.parse("j.xml").getroot()[0]  # noqa: S314 # our own
    assert [each.get("name").rpartition("/")[2] for each in suite.iter("testcase")] == [
        "again",
        f"--max {name}=0",
    ]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "2")
    assert xmir(*asked, "--max", f"{name}=0", "--max", "skipped=1").code == 3


def test_an_archive_that_can_be_read_no_more_is_worse_than_its_baseline(xmir):
    Archive().write()
    Path("b.jsonl").write_text(xmir("audit", "e.parquet", "--summary").stdout)
    Path("images/7.png").unlink()
    worse = xmir("audit", "e.parquet", "--baseline", "b.jsonl")
    assert worse.code == 4
    assert "worse than before: unreadable 0.0000 -> 1.0000" in worse.stderr


def test_every_number_of_the_summary_is_a_gate(xmir):
    Archive().write()
    (record,) = xmir("audit", "e.parquet", "--summary", "--test", "labels,hubs,leaks").records()
    made = {"neighbors", "probability", "fence_ranges"}
    numbers = {
        name: value
        for name, value in record.items()
        if type(value) in {int, float} and name not in made
    }
    assert {"images", "patients", "left_out", "looked_at", "unreadable", "skewness"} < {*numbers}
    gates = [part for name, value in numbers.items() for part in ("--max", f"{name}={value}")]
    done = xmir("audit", "e.parquet", "--test", "labels,hubs,leaks", *gates)
    assert done.code == 0, done.stderr
    (splits,) = [xmir("audit", "e.parquet", "--max", f"{name}=1") for name in ["splits"]]
    assert (splits.code, "--max splits=1: no such number" in splits.stderr) == (2, True)
