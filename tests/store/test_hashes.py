import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xmir_cli.store.hashes import safe_name, sha256_file


def test_a_file_has_the_hash_of_its_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 300_000).hexdigest()


def test_plain_names_stay():
    assert safe_name("case_017-b.png") == "case_017-b.png"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        ".hidden",
        "-rf",
        "a/b",
        "a\\b",
        "Ä",
        "\udcff",
        "a\x00b",
    ],
)
def test_dangerous_names_become_plain_ones_of_their_own(text: str):
    name = safe_name(text)
    assert name.isascii()
    assert not name.startswith((".", "-"))
    assert not set(name) & set("/\\\0\n")
    assert len(name) >= 16


def test_names_that_differ_only_in_case_or_composition_stay_apart():
    assert (
        len({safe_name(name).lower() for name in ("a", "A", "Á", "A\u0301", "á", "a ", "a_")}) == 7
    )


def test_nobody_can_choose_the_name_that_another_gets():
    assert safe_name(safe_name("a b")) != safe_name("a b")


@given(st.text())
@example("x" * 500)
def test_every_text_gives_a_short_plain_name(text: str):
    name = safe_name(text)
    assert 0 < len(name) <= 64
    assert name.isascii()
    assert "/" not in name
