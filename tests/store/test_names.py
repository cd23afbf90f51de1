import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmir_cli.store.names import escape_name, restore_name


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a/ä b.png", "a/ä b.png"),
        ("C:\\x\\y.png", "C:\\x\\y.png"),
        ("a\udcff.png", "a\\xff.png"),
        ("a\\b\udcff", "a\\\\b\\xff"),
        ("a\\xff.png", "a\\\\xff.png"),
        ("a\\\\b", "a\\\\\\\\b"),
        ("line\nend", "line\nend"),
    ],
)
def test_only_what_is_no_utf8_or_looks_like_it_is_escaped(text: str, stored: str):
    assert escape_name(text) == stored
    assert restore_name(stored) == text


@given(st.binary() | st.text("\\xf80a\xff").map(os.fsencode))
def test_every_file_name_comes_back(name: bytes):
    stored = escape_name(os.fsdecode(name))
    assert stored.encode("utf-8", "strict") is not None
    assert os.fsencode(restore_name(stored)) == name
