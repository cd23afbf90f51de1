"""The pictures of the README are what xmir draws today; examples/pictures/make.sh makes them."""

import hashlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PICTURES = EXAMPLES / "pictures"
STALE = "is stale: run examples/pictures/make.sh"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reduced(path: Path) -> np.ndarray:
    """A quarter of the size, in which it does not matter how a letter is smoothed."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").reduce(4), float)


def assert_same(drawn: Path, kept: Path) -> None:
    """The same picture, but for what another Pillow rounds otherwise."""
    new, old = reduced(drawn), reduced(kept)
    assert new.shape == old.shape, f"{kept.name} {STALE}"
    apart = np.abs(new - old).max(axis=2) > 20
    assert apart.mean() < 0.003, f"{kept.name} {STALE}"


def test_the_pages_look_as_they_did_when_the_pictures_were_made(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    load(PICTURES / "probe.py").draw(tmp_path / "page.png", tmp_path)
    assert_same(tmp_path / "page.png", PICTURES / "probe.png")


def test_a_changed_look_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("xmir_cli.pages.rows.START", 0.4)
    load(PICTURES / "probe.py").draw(tmp_path / "page.png", tmp_path)
    with pytest.raises(AssertionError, match="stale"):
        assert_same(tmp_path / "page.png", PICTURES / "probe.png")


def test_the_pictures_are_made_from_the_examples_as_they_are():
    made = [line.split() for line in (PICTURES / "made.txt").read_text().splitlines()]
    assert len(made) == 5
    for sha256, name in made:
        found = hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest()
        assert found == sha256, f"overlays.png {STALE}, for {name} has changed"


def test_the_trust_picture_is_drawn_from_the_committed_table(tmp_path):
    trust, drawn = EXAMPLES / "trust", tmp_path / "trust.png"
    script = [sys.executable, trust / "figure.py", trust / "table.md", drawn]
    subprocess.run(script, check=True)
    assert_same(drawn, PICTURES / "trust.png")


def test_every_picture_is_shown_and_every_shown_one_is_there():
    shown = {
        (page.parent / name).resolve()
        for page in (ROOT / "README.md", *EXAMPLES.rglob("README.md"))
        for name in re.findall(r"!\[[^]]*\]\(([^)]+\.png)\)", page.read_text(encoding="utf-8"))
    }
    kept = {path for path in PICTURES.glob("*.png") if path.name != "probe.png"}
    assert shown == kept
