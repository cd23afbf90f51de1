from dataclasses import replace

from xmir_cli.errors import ItemError
from xmir_cli.explain.comparisons import Comparisons
from xmir_cli.explain.requests import Request, group_requests
from xmir_cli.wire.model import ModelSpec

SPEC = ModelSpec("toy", "random:0")


def results(*labels, query="q.png"):
    return [
        Request("line", {"retrieved_label": label}, query, f"{index}.png", SPEC)
        for index, label in enumerate(labels)
    ]


def reasons(found):
    return [each.reason if isinstance(each, ItemError) else each for each in found]


def test_no_contrast_is_none_for_each():
    assert Comparisons().find_contrasts(results("a", "b")) == [None, None]


def test_named_image_serves_every_result():
    assert Comparisons(contrast="x.png").find_contrasts(results("a", None)) == ["x.png", "x.png"]


def test_next_is_the_result_after_it_and_the_last_has_none():
    assert reasons(Comparisons(contrast="next").find_contrasts(results("a", "a", "b"))) == [
        "1.png",
        "2.png",
        "no-contrast: no result of this query comes after it",
    ]


def test_images_compared_with_themselves_have_no_next():
    group = [Request("line", {}, name, name, SPEC) for name in ("a.png", "b.png")]
    assert all(
        isinstance(each, ItemError) for each in Comparisons(contrast="next").find_contrasts(group)
    )


def test_label_is_the_best_result_of_another_label():
    group = results("a", "a", "b", None, "c")
    assert reasons(Comparisons(contrast="label").find_contrasts(group)) == [
        "2.png",
        "2.png",
        "0.png",
        "no-contrast: retrieved_label: expected a string, found nothing",
        "0.png",
    ]


def test_label_without_another_says_so():
    assert (
        reasons(Comparisons(contrast="label").find_contrasts(results("a", "a", None)))[:2]
        == ["no-contrast: all results of this query are a"] * 2
    )


def test_another_label_is_one_that_shares_none():
    group = results("a|b", "b|c", "b", "|", "c", "d|e")
    assert reasons(Comparisons(contrast="label").find_contrasts(group)) == [
        "4.png",
        "5.png",
        "4.png",
        "no-contrast: retrieved_label: expected a string, found nothing",
        "0.png",
        "0.png",
    ]


def test_results_of_another_image_under_the_same_path_are_not_of_the_query():
    group = [
        replace(request, query_identity=identity)
        for request, identity in zip(results("a", "b", "b"), ["1", "2", "1"], strict=True)
    ]
    assert reasons(Comparisons(contrast="label").find_contrasts(group))[0] == "2.png"
    assert [len(part) for part in group_requests(group, 9)] == [1, 1, 1]


def hits(*rows):
    """Hits of the query q.png: (name, identity, label)."""
    return [
        Request(
            *("line", {"retrieved_label": label, "rank": rank}, "q.png", name),
            *(SPEC, None, "Q", identity),
        )
        for rank, (name, identity, label) in enumerate(rows, 1)
    ]


def test_a_query_that_finds_itself_is_contrasted_like_any_result():
    group = hits(("q.png", "Q", "a"), ("1.png", "1", "a"), ("2.png", "2", "b"))
    assert reasons(Comparisons(contrast="next").find_contrasts(group))[:2] == ["1.png", "2.png"]
    assert reasons(Comparisons(contrast="label").find_contrasts(group))[:2] == ["2.png", "2.png"]


def test_nothing_is_contrasted_with_the_query_itself_or_with_a_copy_of_its_own():
    group = hits(("copy.png", "Q", "a"), ("1.png", "1", "b"), ("1-copy.png", "1", "c"))
    for which in ("label", "next"):
        first, *others = reasons(Comparisons(contrast=which).find_contrasts(group))
        assert first == "1.png"
        assert all(other.startswith("no-contrast: ") for other in others)
