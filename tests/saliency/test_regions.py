import pytest
import torch

from xmir_cli.saliency.regions import cell_box, clip_box, point_weights, strongest_pairs

FRAME = (0.0, 0.0, 32.0, 32.0)


def test_middle_of_a_cell_is_that_cell_alone():
    weights = point_weights((11.5, 3.5), FRAME, (4, 4))  # pixel centres at 12, 4
    expected = torch.zeros(16)
    expected[1] = 1.0
    assert torch.equal(weights, expected)


def test_corner_between_four_cells_takes_a_quarter_of_each():
    weights = point_weights((7.5, 15.5), FRAME, (4, 4)).reshape(4, 4)
    expected = torch.zeros(4, 4)
    expected[1:3, 0:2] = 0.25
    assert torch.equal(weights, expected)


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 1)])
def test_weights_are_the_bilinear_upsampling_of_each_cell(grid):
    cells = torch.eye(grid[0] * grid[1]).reshape(-1, 1, *grid)
    large = torch.nn.functional.interpolate(cells, size=(32, 32), mode="bilinear")[:, 0]
    for x, y in ((0, 0), (31, 31), (13, 2), (5, 27)):
        found = point_weights((x, y), FRAME, grid)
        torch.testing.assert_close(found, large[:, y, x])


def test_weights_of_all_pixels_count_every_cell_alike():
    # so the point maps of all pixels average to the map of the whole image over n
    crop = (0.0, 0.0, 8.0, 12.0)
    total = sum(point_weights((x, y), crop, (3, 4)) for y in range(12) for x in range(8))
    torch.testing.assert_close(total / 96, torch.full((12,), 1 / 12))


def test_crop_moves_and_scales_the_point():
    moved = point_weights((100 + 2 * 9 + 0.5, 50 + 3 * 21 + 1), (100, 50, 64, 96), (4, 4))
    torch.testing.assert_close(moved, point_weights((9, 21), FRAME, (4, 4)))


@pytest.mark.parametrize("point", [(-1, 3), (3, 32), (40, 3)])
def test_pixel_that_the_network_does_not_see_has_no_weights(point):
    assert point_weights(point, FRAME, (4, 4)) is None


def test_boxes_of_the_cells_tile_the_crop():
    boxes = [cell_box(cell, (10, 20, 40, 60), (3, 4)) for cell in range(12)]
    assert boxes[0] == (10, 20, 10, 20)
    assert boxes[6] == (30, 40, 10, 20)
    assert sum(width * height for _, _, width, height in boxes) == 40 * 60


def test_pairs_come_strongest_first_and_never_touch():
    pairs = torch.zeros(16, 25)  # grids of 4 x 4 and 5 x 5
    pairs[0, 0] = 5.0
    pairs[5, 24] = 4.9  # touches cell 0 of the first grid
    pairs[15, 6] = 4.8  # touches cell 0 of the second grid
    pairs[2, 2] = 3.0
    pairs[15, 20] = 4.0
    found = strongest_pairs(pairs, ((4, 4), (5, 5)), 9)
    assert found == [(0, 0), (15, 20), (2, 2)]
    assert strongest_pairs(pairs, ((4, 4), (5, 5)), 1) == [(0, 0)]


def test_pairs_that_speak_against_the_similarity_are_never_chosen():
    assert strongest_pairs(-torch.ones(4, 4), ((2, 2), (2, 2)), 3) == []


def test_choosing_leaves_the_matrix_as_it_was():
    pairs = torch.ones(16, 16)
    strongest_pairs(pairs, ((4, 4), (4, 4)), 4)
    assert torch.equal(pairs, torch.ones(16, 16))


def test_the_part_of_a_box_beyond_the_picture_is_cut_off():
    assert clip_box((-5, 10, 20, 20), (40, 25)) == (0, 10, 15, 15)
    assert clip_box((3, 4, 5, 6), (40, 25)) == (3, 4, 5, 6)
    for beyond in ((-5, 0, 5, 5), (40, 0, 5, 5), (0, 25 - 1e-13, 9, 9)):
        assert clip_box(beyond, (40, 25)) is None
