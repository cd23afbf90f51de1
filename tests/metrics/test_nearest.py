import numpy as np

from xmir_cli.metrics.nearest import Places, nearest
from xmir_cli.metrics.relevance import LabelledVectors


def labelled(vectors, groups=None):
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(vectors)
    return LabelledVectors(vectors.astype(np.float32), [""] * count, groups or [None] * count)


def test_the_first_places_are_those_of_a_full_sort():
    random = np.random.default_rng(0)
    groups = [str(number) for number in random.integers(0, 6, size=40)]
    images = labelled(random.normal(size=(40, 5)), groups)
    wide = images.vectors.astype(np.float64)
    for exclude in (False, True):
        found = nearest(images, images, np.arange(40), Places(7, exclude))
        for row, places in enumerate(found):
            order = [int(place) for place in np.argsort(-(wide @ wide[row]), kind="stable")]
            kept = [
                place
                for place in order
                if place != row and not (exclude and groups[place] == groups[row])
            ]
            assert places.tolist() == kept[:7]


def test_equal_images_stand_in_their_order_also_where_the_list_ends():
    images = labelled(np.array([[1.0, 0], [0, 1], [1, 1], [1, 1], [1, 1], [0, 1]]))
    found = nearest(images, images, np.arange(6), Places(2))
    assert [places.tolist() for places in found] == [[2, 3], [5, 2], [3, 4], [2, 4], [2, 3], [1, 2]]


def test_there_are_no_more_places_than_images_that_count():
    images = labelled(np.eye(3), ["a", "a", "b"])
    found = nearest(images, images, np.arange(3), Places(5, exclude=True))
    assert [places.tolist() for places in found] == [[2], [2], [0, 1]]
    assert nearest(images, images, np.array([-1, -1, -1]), Places(1))[0].tolist() == [0]
