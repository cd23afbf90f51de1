"""The manual pages are what the commands say, and troff reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from xmir_cli import manual

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "man").iterdir())


def test_the_committed_pages_are_the_generated_ones():
    found = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
    assert found == manual.pages(), "run: python -m xmir_cli.manual"


def section(page: Path, title: str) -> str:
    """The text of a section, as a reader sees it but for its fonts."""
    text = page.read_text(encoding="utf-8").replace("\\-", "-")
    return text.partition(f".SH {title}\n")[2].partition("\n.SH ")[0]


def test_every_command_has_a_page_with_examples():
    for name in manual.COMMANDS:
        assert f"xmir {name} " in section(ROOT / "man" / f"xmir-{name}.1", "EXAMPLES")


def test_pages_refer_to_all_the_others():
    for page in PAGES:
        named = re.findall(r"\\fB([a-z-]+)\\fR\((\d)\)", section(page, "SEE ALSO"))
        assert {f"{name}.{part}" for name, part in named} == {
            other.name for other in PAGES if other != page
        }


def test_pages_are_ascii_which_every_reader_of_manuals_shows():
    for page in PAGES:
        assert page.read_bytes().isascii(), page.name


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_troff_reads_every_page_without_a_warning():
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *PAGES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_writing_the_manual_removes_pages_that_are_gone(tmp_path):
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "xmir-gone.1").write_text("")
    manual.write(tmp_path)
    assert {page.name for page in (tmp_path / "man").iterdir()} == {page.name for page in PAGES}
