"""Which images may ask in place of a pair's query."""

import torch

from xmir_cli.pictures.crop import Crop
from xmir_cli.scoring.inputs import Input
from xmir_cli.scoring.sanity.other_query import find_others
from xmir_cli.scoring.sanity.pairs import Inputs, Known

SHOWN = Crop((0, 0, 8, 8), (8, 8))


def inputs_of(**about):
    """Images by name; one called `b2` has the bytes of `b`."""
    images = {name: Input(name[0], torch.zeros(3, 8, 8), SHOWN) for name in about}
    return Inputs(images, {("a", "b"): "line 1"}, about)


def test_labels_and_patients_must_be_others():
    found = find_others(
        inputs_of(
            a=Known("x", "1"),
            b=Known("x", "2"),
            c=Known("y", "3"),
            d=Known("x", "4"),
            e=Known("y", "1"),
            f=Known("y|z", None),
            g=Known("x|y", "5"),
            h=Known(None, "6"),
        ),
        ("a", "b"),
    )
    assert found == ["c", "f"]


def test_an_image_of_the_pair_does_not_ask_under_another_name():
    found = find_others(inputs_of(a=Known(), b=Known(), b2=Known(), c=Known()), ("a", "b"))
    assert found == ["c"]


def test_the_patient_of_the_retrieved_image_does_not_ask_either():
    known = {"a": Known("x", "1"), "b": Known("x", "2"), "c": Known("y", "2"), "d": Known("y")}
    assert find_others(inputs_of(**known), ("a", "b")) == ["d"]
