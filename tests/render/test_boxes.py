import numpy as np
from PIL import Image

from xmir_cli.render.boxes import draw_boxes

GRAY = Image.new("RGB", (300, 200), (90, 90, 90))


def changed(picture):
    return (np.asarray(picture) != 90).any(axis=2)


def test_no_boxes_leave_the_picture_as_it_is():
    assert not changed(draw_boxes(GRAY, [])).any()


def test_frame_lies_inside_its_box_and_the_source_is_untouched():
    drawn = changed(draw_boxes(GRAY, [(100, 50, 80, 60)]))
    assert not changed(GRAY).any()
    rows, columns = np.nonzero(drawn)
    assert (columns.min(), columns.max()) == (100, 179)
    assert (rows.min(), rows.max()) == (50, 109)
    assert not drawn[80:100, 140:170].any()


def test_same_number_has_the_same_colour_on_either_picture():
    boxes = [(0, 0, 90, 90), (100, 100, 90, 90)]
    first = np.asarray(draw_boxes(GRAY, boxes))
    second = np.asarray(draw_boxes(GRAY, boxes[::-1]))
    np.testing.assert_array_equal(first[89, 1:88], second[189, 101:188])
    assert (first[89, 10] != first[189, 110]).any()


def test_box_that_reaches_beyond_the_picture_is_cut():
    assert draw_boxes(GRAY, [(-20, -20, 900, 60)]).size == GRAY.size


def test_more_boxes_than_colours_and_tiny_ones_can_be_drawn():
    boxes = [(index % 7 * 40, index // 7 * 40, 3, 2) for index in range(30)]
    assert changed(draw_boxes(GRAY, boxes)).any()
