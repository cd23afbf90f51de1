"""The man pages and the README's help are what the commands say."""

import shutil
import subprocess
from pathlib import Path

import pytest

from xmir_cli import manual

ROOT = Path(__file__).parent.parent


def test_the_committed_man_pages_are_the_generated_ones():
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "man").iterdir()}
    assert found == manual.pages(), "run: python -m xmir_cli.manual"


def test_the_readme_shows_the_generated_help():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == manual.readme(text), "run: python -m xmir_cli.manual"


def test_every_command_has_a_man_page_and_help_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in manual.COMMANDS:
        assert f"<!-- help xmir {name} -->" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_troff_reads_every_page_without_a_warning():
    for page in sorted((ROOT / "man").iterdir()):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == "", page.name
