import numpy as np
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.retrieval.queries import Question
from xmir_cli.retrieval.refine import refine


def _asked(*vector):
    return Question("q", np.array(vector, dtype=np.float32), {})


def test_without_examples_the_query_stays_as_it_is():
    query = _asked(1, 0)
    assert refine(query, [], []) is query


def test_a_query_moves_to_the_mean_and_away_by_half():
    refined = refine(_asked(1, 0), [_asked(0, 1)], [_asked(0, 1)])
    np.testing.assert_allclose(refined.vector, [1, 0], atol=1e-7)  # (1/2, 1/2) - (0, 1) / 2
    np.testing.assert_array_equal(refined.refinement.image, [1, 0])


def test_examples_that_leave_nothing_are_refused():
    with pytest.raises(SettingError, match="cancel each other out"):
        refine(_asked(1, 0), [_asked(-1, 0)], [])
