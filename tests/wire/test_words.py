"""Words of records and flags: data of bounded length, never a format and never a path."""

import pytest

from xmir_cli.errors import ItemError, SettingError
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas import path_keys
from xmir_cli.wire.schemas.retrieval import RetrievalRecord
from xmir_cli.wire.words import LARGEST_TEXT, Words, check_templates, check_text, put_into


def test_a_text_stands_in_the_places_of_its_templates_as_it_is():
    words = Words("{0} %s", ("a {} b", "{} {}", "{{}}"))
    assert words.prompts == ["a {0} %s b", "{0} %s {0} %s", "{{0} %s}"]
    assert Words("left").prompts == ["left"]


def test_digest_knows_all_of_it_and_said_all_but_the_tower():
    words = Words("a", ("{}",), 0.5, "ab")
    others = [Words("b", ("{}",), 0.5, "ab"), Words("a", (), 0.5, "ab"), Words("a", ("{}",), 1.0)]
    assert all(words.digest != each.digest for each in others)
    assert all(words.said != each.said for each in others)
    tower = Words("a", ("{}",), 0.5, "cd")
    assert (words.said, words.digest != tower.digest) == (tower.said, True)


@pytest.mark.parametrize("text", ["", "  \n", "x" * (LARGEST_TEXT + 1), "\udcff"])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        check_text(text)


def test_templates_multiply_a_text_within_bounds():
    text, template = "x" * LARGEST_TEXT, "{}" * 4990
    record = {"query_text": text, "query_templates": [template + str(i) for i in range(60)]}
    with pytest.raises(ItemError, match="expected at most 1000000 characters with the text"):
        _ = read_view(RetrievalRecord, {**record, "retrieved": "r.png"}).words
    with pytest.raises(SettingError, match="expected at most 1000000 characters"):
        put_into([template], ["left", text])
    (words,) = put_into(["a {} b", "{}"] * 20, ["left"])
    assert len(words.prompts) == 2
    longest = Words(text, tuple(f"{{}} {i:04}" for i in range(99)))
    assert sum(map(len, longest.prompts)) == 99 * (LARGEST_TEXT + 5)


@pytest.mark.parametrize("templates", [["no place"], [""], ["{}"] * 1001])
def test_what_is_no_template_is_refused(templates):
    with pytest.raises(ValueError, match="expected"):
        check_templates(templates)


def test_a_record_of_words_alone_needs_no_query():
    view = read_view(RetrievalRecord, {"query_text": "left", "retrieved": "r.png"})
    assert (view.query, view.words) == ("", Words("left"))
    with pytest.raises(ItemError, match="query: expected a string, found nothing"):
        read_view(RetrievalRecord, {"retrieved": "r.png"})
    assert read_view(RetrievalRecord, {"query": "q.png", "retrieved": "r.png"}).words is None


@pytest.mark.parametrize(
    "change",
    [{"text_weight": 2}, {"text_weight": 0.5, "query": None}, {"query_templates": ["a"]}],
)
def test_words_that_cannot_be_are_a_bad_record(change):
    record = {"query": "q.png", "query_text": "left", "retrieved": "r.png", **change}
    with pytest.raises(ItemError, match=r"bad-record: (query_text|text_weight): "):
        _ = read_view(RetrievalRecord, record).words


def test_words_are_no_path():
    assert "query_text" not in path_keys()
