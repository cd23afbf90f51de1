"""What a method's file says is read from its text; a file that says it otherwise is named."""

import re
import shutil
from pathlib import Path

import pytest

import xmir_cli.saliency
from xmir_cli.errors import MethodError
from xmir_cli.saliency import catalogue, feature_methods, load_method
from xmir_cli.saliency.source import MARKS, Setting, read_entry

HEAD = '"""Novel: what it does."""\n\nclass Method:\n    """S."""\n\n'
MARK = f"expected a setting, or one of {', '.join(MARKS)} that is True"
FORM = 'expected NAME: Annotated[KIND, "help"] = default'


@pytest.fixture
def methods(tmp_path, monkeypatch):
    """A copy of the folder of methods, to which files may be added."""
    folder = tmp_path / "methods"
    shutil.copytree(xmir_cli.saliency._FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(xmir_cli.saliency, "_FOLDER", folder)
    catalogue.cache_clear()
    yield folder
    catalogue.cache_clear()


def write(folder: Path, body: str) -> Path:
    path = folder / "novel.py"
    path.write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    return path


def test_settings_and_marks_are_read_without_importing_the_file(tmp_path):
    body = """\
side: Annotated[int, "pixels"] = 24
share: Annotated[float, "of all"] = -1
way: Annotated[Literal["a", "b"], "which"] = "b"
fast: Annotated[bool, "or exact"] = False
need_gallery = True
unit = "similarity per place"
import nothing_of_that_name"""
    entry = read_entry("novel", write(tmp_path, body))
    assert entry.summary == "Novel: what it does."
    assert entry.settings == (
        Setting("side", "int", (), "pixels", 24, 6),
        Setting("share", "float", (), "of all", -1, 7),
        Setting("way", "choice", ("a", "b"), "which", "b", 8),
        Setting("fast", "bool", (), "or exact", False, 9),
    )
    assert (entry.from_features, entry.need_gallery) == (False, True)
    assert entry.unit == "similarity per place"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("window: int = 24", f"6: {FORM}, found window: int = 24"),
        ('side: Annotated[int, "pixels"]', f"6: {FORM}, found side: Annotated[int, 'pixels']"),
        ("side: Annotated[int, HELP] = 1", f"6: {FORM}, found side: Annotated[int, HELP] = 1"),
        (
            'side: Annotated[Tensor, "pixels"] = 1',
            '6: side: expected int, float, str, bool or Literal["...", ...], found Tensor',
        ),
        (
            'side: Annotated[Literal[1, 2], "pixels"] = 1',
            '6: side: expected int, float, str, bool or Literal["...", ...], found Literal[1, 2]',
        ),
        (
            'side: Annotated[int, "pixels"] = 1.5',
            "6: side: expected int, written out, found 1.5",
        ),
        (
            'side: Annotated[int, "pixels"] = True',
            "6: side: expected int, written out, found True",
        ),
        (
            'side: Annotated[int, "pixels"] = SIDE',
            "6: side: expected int, written out, found SIDE",
        ),
        (
            'way: Annotated[Literal["a", "b"], "which"] = "c"',
            "6: way: expected a or b, found 'c'",
        ),
        (
            'side: Annotated[int, "pixels"] = 1\nfrom_feature = True',
            f"7: {MARK}; found from_feature = True",
        ),
        (
            "from_features = slow()",
            f"6: {MARK}; found from_features = slow()",
        ),
        ("side: Annotated[int, 'a' = 1", "6: expected Python, found "),
        (
            '\n\nneighbors: Annotated[float, "how many"] = 1',
            "8: neighbors: expected int as in weight_transfer.py, found float",
        ),
        (
            'variant: Annotated[Literal["own", "theirs"], "whose"] = "own"',
            "6: variant: expected own|paper as in attention.py, found own|theirs",
        ),
    ],
)
def test_a_method_that_says_it_otherwise_is_one_plain_line(xmir, methods, body, found):
    name = "zzz.py" if "as in" in found else "novel.py"  # the first file that has it sets the kind
    path = write(methods, body).rename(methods / name)
    for arguments in (["saliency", "--help"], ["diff-saliency", "a.csv"]):
        result = xmir(*arguments)
        assert (result.code, result.stdout) == (1, "")
        line, hint = result.stderr.splitlines()
        assert re.sub(r"\.py, line \d+", ".py", line).startswith(
            f"xmir: error: {path}: line {found}"
        )
        assert hint == "xmir: hint: Write it as center.py in the same folder does."
    assert xmir("query", "--help").code == 0


def test_a_file_without_a_method_is_named(methods):
    path = methods / "novel.py"
    path.write_text('"""Nothing."""\n')
    with pytest.raises(MethodError) as caught:
        catalogue()
    assert str(caught.value) == f"{path}: line 1: expected a class Method, found none"


@pytest.mark.parametrize("name", catalogue())
def test_marks_are_what_the_class_has(name):
    entry, method = catalogue()[name], type(load_method(name, {}))
    assert {"from_features", "need_gallery", "exact"} <= set(MARKS)
    for mark in MARKS:
        assert vars(entry)[mark] == vars(method).get(mark, False)


def test_help_of_embed_lists_the_methods_that_work_from_features(xmir, methods):
    text = " ".join(xmir("embed", "--help").stdout.split())
    assert f"makes maps of {', '.join(feature_methods())} without the network" in text
    write(methods, "from_features = True")
    catalogue.cache_clear()
    assert set(feature_methods()) >= {"activation", "attention", "gradcam", "bilrp", "novel"}
    assert "occlusion" not in feature_methods()
