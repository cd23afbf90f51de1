"""What describe refuses before anything is loaded; the rest is in tests/extras."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ([], "which index? no *.xmir is here"),
        (["--arch", "f", "--index", "i"], "--index: --arch names the model already"),
        (["--arch", "f", "--template", "x"], "--template: expected {} where the text goes"),
        (["--arch", "f", "--maps", "nonsense"], "--maps: nonsense: no such saliency method"),
        (["--arch", "f", "--window-size", "8"], "settings of a method without --maps"),
        (["--arch", "f", "--maps", "rise", "--window-size", "8"], "not a setting of rise"),
    ],
)
def test_what_cannot_be_is_refused_at_once(flags, reason, xmir):
    result = xmir("describe", "a.png", "--terms", "t.txt", *flags)
    assert (result.code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_terms_and_images_do_not_share_standard_input(xmir):
    result = xmir("describe", "-", "--terms", "-")
    assert (result.code, result.stdout) == (2, "")
    assert "standard input names the images already" in result.stderr


def test_a_model_without_a_text_tower_has_no_terms(xmir, tiny_arch):
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("a.png")
    Path("t.txt").write_text("left\n")
    xmir("embed", "a.png", "--arch", tiny_arch, "--weights", "random:0", "-o", "t.parquet")
    xmir("index", "t.parquet", "-o", "t.xmir")
    result = xmir("describe", "a.png", "--terms", "t.txt")
    assert result.code == 6
    error, hint = result.stderr.splitlines()
    assert "this model has no text tower" in error
    assert "open_clip" in hint


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_terms_is_one_line(content, xmir, tiny_arch):
    Path("t.txt").write_text(content)
    result = xmir("describe", "a.png", "--terms", "t.txt", "--arch", tiny_arch)
    assert result.code == 5
    assert "no texts in it, one a line" in result.stderr
