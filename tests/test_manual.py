"""The manual pages are what the commands say, and troff reads them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from xmir_cli import manual
from xmir_cli.flags import spell_flag
from xmir_cli.manual.markup import text_page
from xmir_cli.saliency import catalogue

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


def test_the_page_of_methods_holds_every_method_with_its_formula_its_source_and_its_settings():
    text = section(ROOT / "man" / "xmir-methods.7", "METHODS")
    for entry in catalogue().values():
        part = text.partition(f".SS {entry.name}\n")[2].partition("\n.SS ")[0]
        assert entry.summary in part
        assert ".nf\n" in part
        assert "Source: " in part or entry.summary.startswith("Control: ")
        for setting in entry.settings:
            assert f"\\fB{spell_flag(setting.name)}" in part


def test_every_text_beside_the_package_is_a_page():
    texts = {path.stem for path in (ROOT / "xmir_cli" / "manual").glob("*.md")} - {"examples"}
    assert texts == {page.partition(".")[0].removeprefix("xmir-") for page in manual.TEXT_PAGES}


def test_the_markup_of_texts():
    text = """# xmir-toy: what it is

## Some words

A `--flag` in a line
that goes on.

- plain
- `one`, `two`: Both
  of them.

```sh
xmir -x  'y'
.z
```

<!-- here -->
"""
    page = text_page("xmir-toy.7", text, {"here": [".PP", "made"]}, ["xmir.1", "xmir-toy.7"])
    assert page.splitlines()[1:] == [
        ".SH NAME", "xmir-toy \\- what it is",
        ".SH SOME WORDS", ".PP", "A \\fB\\-\\-flag\\fR in a line that goes on.",
        ".IP \\(bu 2", "plain", ".TP", "\\fBone, two\\fR", "Both of them.",
        ".PP", ".RS 4", ".nf", "xmir \\-x  'y'", "\\&.z", ".fi", ".RE",
        ".PP", "made", ".SH SEE ALSO", "\\fBxmir\\fR(1)",
    ]  # fmt: skip


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
