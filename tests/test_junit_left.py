"""The checks of an earlier run are not those of a run that failed."""

from pathlib import Path

import pytest

from xmir_cli.render.junit import JunitCase, junit

COMMANDS = {
    "audit": ["gone.parquet"],
    "retrieval-metric": ["gone.parquet"],
    "compare": ["gone.parquet", "gone2.parquet"],
    "shortcut": ["gone.csv", "--arch", "timm:resnet18"],
    "sanity-check": ["gone.jsonl"],
    "causal-metric": ["gone.jsonl"],
    "localization-metric": ["gone.jsonl", "--boxes", "boxes.csv"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_fails_leaves_no_green_file_of_another(command, xmir):
    Path("boxes.csv").write_text("path,x,y,w,h\n")
    Path("j.xml").write_text(junit(f"xmir {command}", [JunitCase("a", "b")]))
    asked = (command, *COMMANDS[command], "--junit", "j.xml")
    refused = xmir(*asked)
    assert ("j.xml: exists already" in refused.stderr, Path("j.xml").exists()) == (True, True)
    failed = xmir(*asked, "--force")
    assert failed.code in {1, 2, 5}
    assert "gone" in failed.stderr
    assert not Path("j.xml").exists()


def test_a_file_that_no_run_wrote_stays_until_it_is_replaced(xmir):
    Path("j.xml").write_text("<notes/>")
    assert xmir("audit", "gone.parquet", "--junit", "j.xml", "--force").code != 0
    assert Path("j.xml").read_text() == "<notes/>"
