import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from xmir_cli.render.drawing import PALETTE
from xmir_cli.render.history import draw_history

SVG = "{http://www.w3.org/2000/svg}"


def epochs(count: int, validated: bool = True) -> list[dict[str, object]]:
    return [
        {
            "epoch": place,
            "loss": 0.2 - 0.1 * place / count,
            "violating_fraction": math.exp(-place),
            "map": 0.5 + 0.3 * place / count if validated else None,
            "p_at_1": 0.9 - 0.01 * abs(place - 2) if validated else None,
            "p_at_5": 0.7 if validated else None,
        }
        for place in range(1, count + 1)
    ]


def words(drawing) -> list[str]:
    root = ElementTree.fromstring(drawing.encode(".svg"))  # noqa: S314 # our own
    return [str(each.text) for each in root.iter(f"{SVG}text")]


def test_each_kind_of_number_has_a_plane_with_a_title_and_its_last_value():
    found = words(draw_history("run", "so", epochs(4), 4))
    assert found[:2] == ["run", "so"]
    assert [text for text in found if ": " in text] == [
        "Loss: mean over the batches of an epoch",
        "Triplets that violate the margin: share of all",
        "Validation: each image asks among all others, 1 is perfect",
    ]
    assert "loss 0.100" in found
    assert "P@1 0.880 (best 0.900, epoch 2)" in found
    assert found[-1] == "epoch"


def test_a_dashed_line_in_each_plane_marks_the_epoch_that_is_kept():
    plain, marked = (draw_history("run", "", epochs(4), 4, kept) for kept in (None, 2))
    dashes = [each.encode(".svg").count(b"stroke-dasharray") for each in (plain, marked)]
    assert dashes == [0, 3]


def test_without_validation_there_is_no_plane_for_it():
    with_it, without = (draw_history("run", "", epochs(4, each), 4) for each in (True, False))
    assert without.height < with_it.height
    assert not any("mAP" in text for text in words(without))


def test_the_axis_has_all_epochs_that_are_wanted():
    drawing = draw_history("run", "", epochs(5), 20)
    assert words(drawing).count("20") == 3
    svg = drawing.encode(".svg").decode()
    right = max(float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg))
    assert right == pytest.approx(64 + 672 * 4 / 19, abs=0.1)


@pytest.mark.parametrize(("count", "wanted"), [(0, 20), (1, 1), (1, 2), (3, 1000), (1000, 1000)])
def test_any_number_of_epochs_is_drawn(count, wanted):
    drawing = draw_history("run", "", epochs(count), wanted)
    assert drawing.picture()
    across = [text for text in words(drawing) if text.isdecimal()]
    assert len(across) <= 3 * 13
    assert str(wanted) in across


@pytest.mark.parametrize("validated", [True, False])
def test_nothing_reaches_the_edge_of_the_paper(validated):
    long = "of a very long name " * 12
    pixels = np.asarray(draw_history(long, long, epochs(1000, validated), 1000).picture())
    for edge in (pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]):
        assert (edge > 250).all()


def test_a_loss_of_its_own_has_its_own_colour():
    found = [{**epoch, "attention_loss": 0.3} for epoch in epochs(3)]
    drawing = draw_history("run", "", found, 3)
    assert "attention loss 0.300" in words(drawing)
    svg = drawing.encode(".svg").decode()
    assert svg.count(f'stroke="#{bytes(PALETTE[1]).hex()}"') == 2  # there, and P@1


def test_a_learning_rate_that_changes_is_drawn_in_powers_of_ten():
    found = [{**epoch, "learning_rate": 1e-4 / place} for place, epoch in enumerate(epochs(3), 1)]
    text = words(draw_history("run", "", found, 3))
    assert "learning rate 3.33e-05" in text
    assert {"0", "2e-05", "0.0001"} <= set(text)
    assert not any("learning rate" in each for each in words(draw_history("", "", epochs(3), 3)))
