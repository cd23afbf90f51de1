"""examples/environment.sh installs what is missing, and nothing that is there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "environment.sh"
BASH = shutil.which("bash")
PYTHON = f"""#!{BASH}
[ "$1 $2" = "-m pip" ] || exec {sys.executable} "$@"
printf '%s\\n' "${{@:3}}" > "$PIP_LOG"
"""


@pytest.fixture
def source(tmp_path):
    """Source the script of a project with these dependencies; what pip is asked for."""
    assert BASH
    (tmp_path / "examples").mkdir()
    shutil.copy(SCRIPT, tmp_path / "examples")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").write_text(PYTHON)
    (tmp_path / "venv" / "bin" / "python").chmod(0o755)

    def run(name: str, *dependencies: str, extras: str = "") -> list[str]:
        (tmp_path / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\ndependencies = {list(dependencies)}\n'
            '[project.optional-dependencies]\nmore = ["pytest>=1", "no-such-thing"]\n'
        )
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        subprocess.run(
            [BASH, "-euo", "pipefail", "-c", f"extras={extras}; source examples/environment.sh"],
            env={**os.environ, "XMIR_VENV": str(tmp_path / "venv"), "PIP_LOG": str(log)},
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
        return log.read_text().splitlines() if log.exists() else []

    return run


QUIET = ["install", "--quiet", "--disable-pip-version-check"]


def test_what_is_there_is_not_asked_for_wherever_it_is_from(source):
    assert source("pytest", "pytest>=1", "numpy") == []


def test_what_is_missing_or_too_old_is_asked_for_alone(source):
    found = source("pytest", "pytest>=9999", "numpy>=1", "no-such-thing>=2", "hypothesis==0.*")
    assert found == [*QUIET, "pytest>=9999", "no-such-thing>=2", "hypothesis==0.*"]


def test_an_extra_brings_its_own(source):
    assert source("pytest", "numpy", extras="[more]") == [*QUIET, "no-such-thing"]


def test_without_xmir_the_project_itself_is_installed(source, tmp_path):
    found = source("xmir-is-not-there", "numpy", extras="[more]")
    assert found == [*QUIET, "--editable", f"{tmp_path}[more]"]
