"""How large the steps of a run are, as it goes on."""

import math
from typing import Literal

Schedule = Literal["constant", "cosine"]
_WARM = 0.1  # the share of a run in which the steps grow


def step_share(schedule: Schedule, done: float) -> float:
    """The share of the learning rate that a step takes, from 0 to 1.

    `constant`: 1. `cosine`: it grows from 0 in a line over the first tenth of the run, then falls
    to 0 along half a cosine, without restarts (Loshchilov and Hutter, ICLR 2017, equation 5).

    Args:
        schedule: Which one.
        done: The share of the run that lies before the middle of the step, from 0 to 1.
    """
    if schedule == "constant":
        return 1.0
    if done < _WARM:
        return done / _WARM
    return (1 + math.cos(math.pi * (done - _WARM) / (1 - _WARM))) / 2
