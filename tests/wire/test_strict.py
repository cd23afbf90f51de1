import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmir_cli.wire.strict import AmbiguousError, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.integers(-(2**63) + 1, 2**63 - 1),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text takes a second
@given(VALUES)
def test_what_json_writes_is_read(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[-Infinity]", "1e999", "[" * 100_000, "1" * 5000, b"\xff", b"\xff\xfe1\x00"],
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError) as error:  # noqa: PT011 # of Python's own words
        parse_json(text)
    assert not isinstance(error.value, AmbiguousError)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (str(10**400), "a whole number beyond 64 bits"),
        (str(-(2**63)), "a whole number beyond 64 bits"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' is there twice"),
        ('[{"x": {"a": 1, "\\u0061": 1}}]', "the key 'a' is there twice"),
        ('"\\ud800"', "half of a character"),
        ('{"\\uDC00": 1}', "half of a character"),
        ('"\\udcff\\ud800"', "half of a character"),
    ],
)
def test_what_readers_take_differently_is_told(text, why):
    with pytest.raises(AmbiguousError, match=why):
        parse_json(text)


def test_bytes_of_names_and_whole_characters_are_kept():
    assert parse_json('"\\udcff \\ud83d\\ude00 \\\\ud800"') == "\udcff \U0001f600 \\ud800"


def test_a_mark_at_the_start_of_bytes_is_passed_over():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
