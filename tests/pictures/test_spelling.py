import unicodedata
from pathlib import Path

import pytest

from xmir_cli.pictures.spelling import find_spelled, may_differ, spelling_hint

COMPOSED, APART = (unicodedata.normalize(form, "Pleuraerguß é.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("written", "called"),
    [
        (r"img\0.png", "img/0.png"),
        (r"img\deep\..\0.png", "img/0.png"),
        (f"img/{COMPOSED}", f"img/{APART}"),
        (f"img/{APART}", f"img/{COMPOSED}"),
        (rf"é{chr(92)}{COMPOSED}", f"{unicodedata.normalize('NFD', 'é')}/{APART}"),
        ("img/0.png ", "img/0.png"),
        ("img/\udce9.png", "img/é.png"),  # Latin-1
    ],
)
def test_a_file_is_found_under_another_spelling(tmp_path: Path, written: str, called: str):
    file = tmp_path / called
    file.parent.mkdir(parents=True)
    (tmp_path / "img/deep").mkdir(parents=True, exist_ok=True)
    file.touch()
    asked = f"{tmp_path}/{written}"
    assert may_differ(asked)
    assert find_spelled(asked) == str(file)


def test_what_is_not_there_is_not_found_and_two_alike_are_none(tmp_path: Path):
    assert find_spelled(rf"{tmp_path}/C:\data\0.png") is None
    for name in (COMPOSED, APART):
        (tmp_path / name).touch()
    assert find_spelled(f"{tmp_path}/{COMPOSED}") == f"{tmp_path}/{COMPOSED}"
    assert not may_differ("/img/0.png")


def test_a_file_that_is_not_there_is_said_with_what_may_be_meant(tmp_path: Path):
    (tmp_path / APART).touch()
    assert spelling_hint(f"{tmp_path}/{COMPOSED}") == f" (is it {tmp_path}/{APART}?)"
    assert spelling_hint("img/é.png") == " (under no Unicode form of its letters, NFC or NFD)"
    assert "a path of Windows?" in spelling_hint(r"C:\é.png")
    assert spelling_hint("img/0.png") == ""
