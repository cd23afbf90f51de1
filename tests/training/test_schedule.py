"""How large a run's steps are."""

import pytest

from xmir_cli.training.schedule import step_share


@pytest.mark.parametrize("done", [0.0, 0.05, 0.5, 1.0])
def test_constant_steps_are_whole(done):
    assert step_share("constant", done) == 1


@pytest.mark.parametrize(
    ("done", "share"), [(0.0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (0.4, 0.75), (1.0, 0)]
)
def test_cosine_steps_grow_in_a_line_and_fall_along_a_cosine(done, share):
    assert step_share("cosine", done) == pytest.approx(share, abs=1e-12)
