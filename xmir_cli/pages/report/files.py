"""What the page of a report is made of."""

from pathlib import Path

from xmir_cli.pages.html import COMMON, PageFiles

_FOLDER = Path(__file__).parent
FILES = PageFiles(
    _FOLDER / "report.html", [_FOLDER / "report.js"], [COMMON, _FOLDER / "report.css"]
)
