import re
from xml.etree import ElementTree

import numpy as np
import pytest

from xmir_cli.render.drawing import PALETTE
from xmir_cli.render.sanity import draw_sanity

SVG = "{http://www.w3.org/2000/svg}"
BLOCKS = [f"module.encoder.layers.layer_{place}.self_attention" for place in range(50)]


def parse(drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.encode(".svg"))  # noqa: S314 # our own


def words(drawing) -> list[str]:
    return [str(each.text) for each in parse(drawing).iter(f"{SVG}text")]


def dots(drawing, number: int) -> list[float]:
    """How high the dots of a colour lie."""
    color = f"#{bytes(PALETTE[number]).hex()}"
    circles = parse(drawing).iter(f"{SVG}circle")
    return [float(str(each.get("cy"))) for each in circles if each.get("fill") == color]


def test_each_method_is_drawn_at_its_agreement():
    drawing = draw_sanity(["none", "all"], {"a": [1.0, 1.0], "b": [0.0, 0.0]}, 0.5)
    assert dots(drawing, 0) == [104, 104]
    assert dots(drawing, 1) == pytest.approx([104 + 320 / 1.25] * 2)


def test_an_undefined_agreement_leaves_a_gap():
    drawing = draw_sanity(["none", "all"], {"a": [1.0, None]}, 0.5)
    assert dots(drawing, 0) == [104]
    assert words(
        draw_sanity(["none", "all"], {"a": [None, None]}, 0.5, verdicts={"a": "undefined"})
    )


def test_a_low_agreement_is_on_the_plane_with_the_threshold_below_zero():
    drawing = draw_sanity(["none", "all"], {"a": [1.0, -0.8]}, 0.5)
    found = words(drawing)
    assert {"-1.00", "threshold 0.5", "threshold -0.5"} <= set(found)
    assert dots(drawing, 0)[1] == pytest.approx(104 + 320 * 1.8 / 2)
    assert "threshold -0.5" not in words(draw_sanity(["none", "all"], {"a": [1.0, 0.0]}, 0.5))


def test_names_verdicts_and_stages_stand_there_whole():
    methods = {f"method-of-ones-own-number-{place}": [1.0] * 50 for place in range(20)}
    found = words(
        draw_sanity(BLOCKS, methods, 0.5, "independent", dict.fromkeys(methods, "undefined"))
    )
    assert all(f"{name}: undefined" in found for name in methods)
    assert all(stage in found for stage in BLOCKS)
    assert found[-1] == "this block's weights are random"


def test_more_methods_than_colours_are_told_apart_by_dashes():
    svg = draw_sanity(["none", "all"], {str(place): [1.0, place / 9] for place in range(9)}, 0.5)
    looks = re.findall(
        r'stroke="(#\w+)" stroke-width="3"( stroke-dasharray="5 4")?', str(svg.encode(".svg"))
    )
    assert len(looks) == len(set(looks)) == 9


def test_methods_whose_lines_cover_each_other_have_one_look():
    curves = {"a": [1.0, 0.59], "b": [1.0, 0.591], "c": [1.0, 0.7], "d": [1.0, None]}
    svg = draw_sanity(["none", "all"], curves, 0.5).encode(".svg").decode()
    looks = re.findall(r'stroke="(#\w+)" stroke-width="3"', svg)
    assert looks == [f"#{bytes(PALETTE[number]).hex()}" for number in (0, 0, 1, 2)]


@pytest.mark.parametrize("count", [1, 2, 3, 12, 50])
@pytest.mark.parametrize("name", ["a", "a-method-of-ones-own-with-a-very-long-name" * 3])
def test_nothing_reaches_the_edge_however_many_stages_there_are(count, name):
    pixels = np.asarray(draw_sanity(BLOCKS[:count], {name: [1.0] * count}, 0.5).picture())
    for edge in (pixels[:8], pixels[-8:], pixels[:, :8], pixels[:, -8:]):
        assert (edge > 250).all()
