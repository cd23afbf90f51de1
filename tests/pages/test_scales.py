"""What full colour stands for, and what is said of maps that show little."""

import json

import pytest

from xmir_cli.console import Skips
from xmir_cli.pages.columns import columns_of, name_columns, rows_of
from xmir_cli.pages.entries import read_entries
from xmir_cli.pages.rows import _note
from xmir_cli.pages.scales import Measure, bars_of, full_color
from xmir_cli.render.montage import ColorBar


@pytest.mark.parametrize(
    ("maps", "full"),
    [
        ([], 1),
        ([(0, False)], 1),
        ([(0.2, True)], 0.2),
        ([(0.2, False), (9, True)], 0.2),
        ([(0.2, False), (0, False)], 0.2),
        ([(0.1, False), (0.2, False), (0.3, False)], 0.3),
        ([(0.1, False), (0.1, False), (9, False)], pytest.approx(0.3)),
        ([(0.1, False), (9, False)], pytest.approx(0.3)),
    ],
)
def test_a_duplicate_a_blank_map_and_one_far_above_the_rest_do_not_count(maps, full):
    assert full_color(maps) == full


def entries(*changes):
    base = {"query": "q.png", "retrieved": "r.png", "rank": 1, "saliency": "m.npy"}
    lines = [
        (number, json.loads(json.dumps(base | change))) for number, change in enumerate(changes)
    ]
    return list(read_entries(lines, Skips()))


def bar(measured, **change):
    rows = rows_of(entries(change))
    names = name_columns(columns_of(rows))
    (found,) = bars_of(rows, names, {"m.npy": measured}).values()
    return found


def test_a_bar_names_the_method_its_unit_and_what_the_ends_say():
    found = bar(Measure(0, 0.5), method="occlusion")
    assert found == ColorBar("occlusion: distance moved when hidden", "embers", 0.5)
    found = bar(Measure(-1, 0.5), method="activation", settings={"center": "0" * 64})
    assert found.name == "activation: centred similarity per place"
    assert found.ends == ("lowers the similarity", "raises the similarity")
    found = bar(Measure(0, 0.5), method="activation", contrast="o.png")
    assert found.name == "activation, contrast: difference of similarity per place"
    assert found.colormap == "cold-warm"
    assert found.ends == ("like the other image", "like the query")
    on_query = {"explains": "query", "contrast": "o.png"}
    found = bar(Measure(0, 0.5), method="activation", **on_query)
    assert found.ends == ("like the other image", "like this image")  # as its caption says
    assert bar(Measure(0, 1), method="center").name == "center: no unit"
    assert bar(Measure(0, 1), method="of another version").name.endswith(": no unit")


def test_a_bar_says_that_more_is_drawn_as_full_colour():
    rows = rows_of(entries(*({"rank": n, "saliency": f"{n}.npy"} for n in range(3))))
    measures = {f"{n}.npy": Measure(0, top) for n, top in enumerate((1, 1, 7))}
    (found,) = bars_of(rows, name_columns(columns_of(rows)), measures).values()
    assert (found.largest, found.beyond, found.name.endswith(", up to 7")) == (3, 7, True)


def test_columns_are_named_by_what_tells_them_apart():
    rows = rows_of(
        entries(
            {"method": "rise", "settings": {"masks": 10, "seed": 0}},
            {"method": "rise", "settings": {"masks": 99, "seed": 0}},
            {"method": "rise", "settings": {"masks": 99, "seed": 0}},
            {"method": "bilrp", "settings": {"gamma": 1, "point": "1,2"}},
            {"method": "bilrp", "settings": {"gamma": 1, "point": ""}, "explains": "query"},
            {"method": "activation", "settings": {"contrast": "a" * 64}, "contrast": "o.png"},
        )
    )
    assert list(name_columns(columns_of(rows)).values()) == [
        "rise, masks 10", "rise, masks 99", "rise, masks 99 (2)", "bilrp for a point",
        "bilrp on the query", "activation, contrast",
    ]  # fmt: skip


def test_maps_contrasted_with_different_images_are_one_column():
    changes = [
        {"rank": rank, "contrast": "o.png", "settings": {"contrast": f"{rank:064}"}}
        for rank in range(3)
    ]
    columns = columns_of(rows_of(entries({}, *changes)))
    assert list(name_columns(columns).values()) == ["map", "map, contrast"]


def test_what_is_hardly_seen_is_said():
    full = ColorBar("m", "embers", 1.0)
    assert _note(Measure(0, 0), full) == "blank map: 0 everywhere"
    assert _note(Measure(1, 1), full) == "1 everywhere"
    assert _note(Measure(0, 0.1), full) == "faint: 0.1 at most"
    assert _note(Measure(-0.5, 0.1), full) == ""
