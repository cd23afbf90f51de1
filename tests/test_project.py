"""What the project says of itself in one file is what the others say, and what is there."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from xmir_cli import __version__
from xmir_cli.saliency import catalogue

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GUIDE = ROOT / ".github" / "CONTRIBUTING.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", GUIDE]


def test_a_wheel_carries_every_manual_page_to_where_man_looks():
    folders = PROJECT["tool"]["setuptools"]["data-files"]
    for page in (ROOT / "man").iterdir():
        found = [to for to, (pattern,) in folders.items() if fnmatch(f"man/{page.name}", pattern)]
        assert found == [f"share/man/man{page.suffix[1:]}"]


def test_a_wheel_carries_what_the_code_reads_beside_itself():
    kept = PROJECT["tool"]["setuptools"]["package-data"]["xmir_cli"]
    code = ROOT / "xmir_cli"
    read = {path for path in code.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    read = {path for path in read if path.suffix != ".py" and path.parent.name != "manual"}
    assert read == {path for pattern in kept for path in code.glob(pattern)}


def test_the_citation_names_this_version_this_license_and_the_paper():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in text
    assert f"\nlicense: {PROJECT['project']['license']}\n" in text
    doi = PROJECT["project"]["urls"]["Paper"].removeprefix("https://doi.org/")
    assert f"\n    doi: {doi}\n" in text


def test_the_license_is_apache_2_0_of_the_xmir_authors():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0" in text
    assert "Copyright the xmir authors" in text


def test_the_changelog_knows_this_version():
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_in_the_documents_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    for link in links:
        assert link.startswith("https://") or (document.parent / link).exists(), link
    for path in re.findall(r"`((?:xmir_cli|tests|examples|man|\.ci)/[^`\s]*)`", text):
        assert (ROOT / path).exists(), path


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 220


def test_the_first_page_lists_every_saliency_method_that_is_no_control():
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| what it answers |")[2]
    listed = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    wanted = {
        entry.name for entry in catalogue().values() if not entry.summary.startswith("Control: ")
    }
    assert set(listed) == wanted


def test_nothing_else_lies_at_the_top():
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in listed.stdout.splitlines()}
    files = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"}
    folders = {"xmir_cli", "tests", "examples", "man"}
    assert {name for name in top if not name.startswith(".")} == files | folders


def test_the_workflow_runs_the_one_check():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: .ci/run\n" in text
    assert f'python-version: "{PROJECT["project"]["requires-python"].removeprefix(">=")}"' in text
