import numpy as np

from xmir_cli.render.sanity import PALETTE, draw_sanity


def rows_of(picture, color):
    """Rows with pixels of the colour between the title and the labels, left of the legend."""
    pixels = np.asarray(picture, dtype=int)[40:372, 60:96]
    return np.nonzero((np.abs(pixels - color).max(axis=2) < 40).any(axis=1))[0]


def test_each_method_is_drawn_at_its_agreement():
    picture = draw_sanity(["none", "all"], {"a": [1.0, 1.0], "b": [0.0, 0.0]}, 0.5)
    first, second = rows_of(picture, PALETTE[0]), rows_of(picture, PALETTE[1])
    assert second.mean() - first.mean() == 256  # one unit of 1.25 in 320 pixels


def test_an_undefined_agreement_leaves_a_gap():
    picture = draw_sanity(["none", "all"], {"a": [1.0, None]}, 0.5)
    assert not len(rows_of(picture, PALETTE[0]))


def test_the_title_fits_however_few_stages_there_are():
    for count in (1, 2, 3, 12):
        stages = [f"features.denseblock{place}" for place in range(count)]
        pixels = np.asarray(draw_sanity(stages, {"a": [1.0] * count}, 0.5), dtype=int)
        assert (pixels[:34].min(axis=(0, 2)) < 128).any()  # the title is there
        assert (pixels[:, -8:] > 250).all()  # and nothing reaches the edge
