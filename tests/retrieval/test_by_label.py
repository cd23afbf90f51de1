from collections import Counter
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.pictures.items import Item
from xmir_cli.retrieval.by_label import draw_by_label, images_by_label, items_by_label

SINGLE = [(f"{label}{number}", label) for label in "cab" for number in range(20)]


def names(entries, count, seed=0):
    return [entries[place][0] for place in draw_by_label(entries, count, seed)]


def test_each_label_asks_as_often_in_alphabetical_order():
    drawn = names(SINGLE, 5)
    assert [name[0] for name in drawn] == [*"aaaaabbbbbccccc"]
    assert len(set(drawn)) == 15


def test_neither_order_nor_company_changes_whose_turn_it_is():
    drawn = names(SINGLE, 5)
    generator = np.random.default_rng(0)
    for _ in range(5):
        shuffled = [SINGLE[place] for place in generator.permutation(len(SINGLE))]
        assert names(shuffled, 5) == drawn
    more = [*SINGLE, *((f"z{number}", "z") for number in range(9)), ("nobody", None), ("x", "|")]
    assert names(more, 5)[:15] == drawn
    assert names(SINGLE, 3) == [
        name for rows in (drawn[:3], drawn[5:8], drawn[10:13]) for name in rows
    ]


def test_the_seed_decides_and_every_image_can_be_drawn():
    assert names(SINGLE, 5, 1) == names(SINGLE, 5, 1) != names(SINGLE, 5, 2)
    times = Counter(name for seed in range(400) for name in names(SINGLE, 5, seed))
    assert set(times) == {name for name, _ in SINGLE}
    assert 60 < min(times.values()) <= max(times.values()) < 140  # 100 expected, sd 9


@pytest.mark.parametrize("seed", range(20))
def test_of_several_labels_each_has_its_queries_and_no_image_asks_twice(seed):
    generator = np.random.default_rng(seed)
    entries = [
        (str(row), "|".join(name for name, p in zip("abcd", (0.6, 0.3, 0.1, 0.02), strict=True)
                            if generator.random() < p))
        for row in range(150)
    ]  # fmt: skip
    sizes = Counter(name for _, text in entries for name in text.split("|") if name)
    places = draw_by_label(entries, 4, seed)
    assert len(places) == len(set(places))
    drawn = Counter(name for place in places for name in entries[place][1].split("|"))
    assert drawn.keys() == sizes.keys()
    for name, size in sizes.items():
        assert drawn[name] >= min(4, size)
    # none could be left out: each is one of the 4 that some label needs
    assert len(places) <= sum(min(4, size) for size in sizes.values())


def test_a_frequent_label_has_no_more_than_rarer_ones_bring():
    entries = [(str(row), "a|b" if row < 3 else "b") for row in range(30)]
    drawn = draw_by_label(entries, 3, 0)
    assert sorted(drawn) == [0, 1, 2]
    assert len(draw_by_label(entries, 5, 0)) == 5


def test_labels_with_too_few_images_are_said(capsys):
    draw_by_label([("1", "a"), ("2", "b"), ("3", "b")], 2, 0)
    assert "fewer than 2 images of some labels: a 1" in capsys.readouterr().err


def test_nothing_with_a_label_is_refused():
    with pytest.raises(SettingError, match="no image has a label"):
        draw_by_label([("1", None), ("2", "")], 2, 0)


def test_items_and_images_of_the_same_names_are_the_same():
    table = pa.table({"id": [name for name, _ in SINGLE], "label": [text for _, text in SINGLE]})

    def iterate(size, columns):
        assert (size > 0, columns) == (True, ["id", "label"])
        for start in (0, 40):
            chunk = table.slice(start, 40)
            yield SimpleNamespace(keys=range(start, start + len(chunk)), columns=chunk)

    gallery = SimpleNamespace(column_names=["id", "label"], iterate=iterate, name="g")
    items = [Item(name, f"/{name}", {"label": text}) for name, text in SINGLE]
    keys = items_by_label(gallery, 2, 7)
    images = images_by_label(items, 2, 7)
    assert [SINGLE[key][0] for key in keys] == [item.id for item in images]
    with pytest.raises(SettingError, match="no image of g has a label"):
        items_by_label(SimpleNamespace(column_names=["id"], name="g"), 2, 7)


def test_bytes_that_are_no_text_are_no_hindrance():
    items = [Item(f"bad\udcff{number}", "/x", {"label": "a"}) for number in range(3)]
    assert len(images_by_label(items, 2, 0)) == 2
