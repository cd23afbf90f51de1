"""What stands under the pictures: names that tell apart, the other image, what colours mean."""

from xmir_cli.console import Skips
from xmir_cli.pages.captions import hit_lines, query_lines, short_names
from xmir_cli.pages.columns import rows_of
from xmir_cli.pages.entries import read_entries
from xmir_cli.pages.legend import legend_of
from xmir_cli.render.montage import CORRECT, QUERY


def entries(*records):
    return list(read_entries(list(enumerate(records)), Skips()))


PAIR = {
    "query": "in/q.png", "retrieved": "/far/images/a/1.png", "rank": 1, "similarity": 0.9,
    "match": True, "retrieved_label": "clear", "query_label": "ill",
    "meta": {"id": "images/a/1.png"}, "method": "activation", "saliency": "m.npy",
}  # fmt: skip


def test_images_are_called_by_the_end_that_tells_them_apart():
    other = {
        **PAIR,
        "retrieved": "/far/images/b/1.png",
        "meta": {"id": "images/b/1.png"},
        "rank": 2,
    }
    assert short_names(entries(PAIR)) == {"in/q.png": "q.png", "/far/images/a/1.png": "1.png"}
    names = short_names(entries(PAIR, other))
    assert names["/far/images/a/1.png"] == "a/1.png"
    assert names["/far/images/b/1.png"] == "b/1.png"
    same = {**PAIR, "query": "/far/images/a/1.png"}
    assert short_names(entries({**same, "query_identity": "0", "retrieved_identity": "0"})) == {
        "/far/images/a/1.png": "1.png"
    }
    moved = {**PAIR, "query": "x/1.png", "query_identity": "0" * 64, "retrieved_identity": "0" * 64}
    assert short_names(entries(moved))["x/1.png"] == "1.png"


def test_captions_are_said_once_and_belong_to_their_image():
    two = entries(PAIR, {**PAIR, "method": "bilrp"}, {**PAIR, "explains": "query"})
    (row,) = rows_of(two)
    (hit,) = row.hits
    names = short_names(two)
    assert hit_lines(hit, names) == ["1  ·  0.900  ·  correct", "clear", "1.png"]
    assert query_lines(two[0], 224, names) == ["ill", "q.png"]


def test_the_other_image_of_a_contrast_is_named_with_what_red_and_blue_mean():
    both = entries(
        {**PAIR, "contrast": "/far/o.png"}, {**PAIR, "contrast": "/far/o.png", "explains": "query"}
    )
    (row,) = rows_of(both)
    assert hit_lines(row.hits[0], short_names(both))[3:] == [
        "red: like the query, blue: like o.png",
        "on the query, red: like this image, blue: like o.png",
    ]
    told = entries({**PAIR, "negatives": ["n/1.png", "n/2.png"]})
    assert hit_lines(rows_of(told)[0].hits[0], short_names(told))[3:] == [
        "told apart from n/1.png",
        "told apart from 2.png",
    ]


def test_words_that_do_not_fit_their_place_stand_below_it():
    words = {key: value for key, value in PAIR.items() if key != "query"}
    few, many = entries({**words, "query_text": "left"}, {**words, "query_text": "word " * 300})
    assert query_lines(few, 100, {}) == []
    (line,) = query_lines(many, 100, {})
    assert line.endswith("… and 500 characters more")
    (mixed,) = entries({**PAIR, "query_text": "left", "text_weight": 0.5})
    assert query_lines(mixed, 100, {"in/q.png": "q.png"})[2] == "and the words: left"


def test_the_legend_tells_what_is_on_the_page_and_nothing_else():
    plain = {key: value for key, value in PAIR.items() if key not in {"method", "saliency"}}
    assert legend_of(entries(plain)) == [
        ("query", QUERY, "square"), ("correct: shares a label with the query", CORRECT, "square"),
    ]  # fmt: skip
    whole = {**PAIR, "roi": [0, 0, 9, 9], "image_size": [9, 9]}
    assert legend_of(entries(whole)) == legend_of(entries(plain))
    match = {"query": [1, 1, 2, 2], "retrieved": [1, 1, 2, 2]}
    more = entries(
        {**PAIR, "details": {"matches": [match]}, "settings": {"point": "1,2"}},
        {**PAIR, "match": None, "region": [1, 1, 2, 2], "roi": [2, 2, 5, 5], "image_size": [9, 9]},
    )
    assert all(item.color is not None for item in legend_of(more))
    words = [item.words for item in legend_of(more)]
    for part in ("no label", "numbered boxes", "ring", "region that asked", "what the network saw"):
        assert sum(part in each for each in words) == 1
