"""Maps of 4 x 4 cells, the base's being 0 to 15; a batch of two differs in the middle."""

import pytest
import torch

from xmir_cli.program.patches import Changed, Same, Whole

BASE = torch.arange(16.0).view(1, 1, 4, 4)
BOX = (1, 1, 3, 3)
CELLS = torch.tensor([[[[50.0, 60], [90, 100]]], [[[-5.0, -6], [-9, -10]]]])
EXPECTED = BASE.repeat(2, 1, 1, 1)
EXPECTED[:, :, 1:3, 1:3] = CELLS
BOXES = [(0, 0, 4, 4), BOX, (1, 1, 2, 2), (0, 0, 1, 1), (2, 2, 4, 4), (0, 3, 4, 4)]


def changed(is_difference):
    cells = CELLS - BASE[:, :, 1:3, 1:3] if is_difference else CELLS.clone()
    return Changed(BOX, BASE.clone(), cells, is_difference)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("is_difference", [False, True])
def test_changed_maps_are_the_base_but_for_their_box(box, is_difference):
    top, left, bottom, right = box
    expected = EXPECTED[:, :, top:bottom, left:right]
    patch = changed(is_difference)
    assert torch.equal(patch.materialize(box), expected)
    assert torch.equal(patch.materialize(box), expected)  # the base is added once
    assert torch.equal(patch.materialize_whole(), EXPECTED)
    assert torch.equal(patch.base, BASE)
    assert (patch.size, patch.channels, patch.count) == ((4, 4), 1, 2)


@pytest.mark.parametrize("is_difference", [False, True])
def test_difference_to_the_base_is_the_same_however_it_is_held(is_difference):
    patch = changed(is_difference)
    assert patch.subtract_base()[0].tolist() == [[[45, 54], [81, 90]]]
    patch.materialize(BOX)
    assert patch.subtract_base()[1].tolist() == [[[-10, -12], [-18, -20]]]


@pytest.mark.parametrize("box", BOXES)
def test_every_patch_completes_a_target_that_holds_the_base(box):
    top, left, bottom, right = box
    expected = EXPECTED[:, :, top:bottom, left:right]
    for patch in (Whole(EXPECTED), changed(False), changed(True)):
        target = BASE.repeat(2, 1, 1, 1)[:, :, top:bottom, left:right]
        patch.write_into(target, box)
        assert torch.equal(target, expected)


def test_what_is_the_same_reads_as_the_base_and_gives_a_copy_of_it():
    patch = Same(BASE)
    assert torch.equal(patch.materialize((2, 0, 4, 1)), torch.tensor([[[[8.0], [12.0]]]]))
    assert (patch.size, patch.channels, patch.count) == ((4, 4), 1, 1)
    patch.materialize_whole().zero_()
    assert BASE.max() == 15


def test_whole_maps_are_read_without_a_copy():
    patch = Whole(EXPECTED)
    assert patch.materialize_whole() is EXPECTED
    assert patch.materialize((1, 1, 3, 3)).data_ptr() == EXPECTED[:, :, 1:, 1:].data_ptr()
    assert (patch.size, patch.channels, patch.count) == ((4, 4), 1, 2)
