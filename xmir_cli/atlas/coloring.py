"""A column as colours: a few values in colours of their own, or numbers along a scale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Floats, Integers

MISSING = -1  # the code of images without a value
MOST = 8  # values with colours of their own
_ENDS = (1, 99)  # percentiles between which colours differ

# Okabe and Ito's colours, which colour-blind people tell apart, on white and on black
COLORS = {
    "light": (
        *("#0072b2", "#e69f00", "#009e73", "#cc79a7"),
        *("#d55e00", "#56b4e9", "#1b1d21", "#d6c700"),
    ),
    "dark": (
        *("#3d9bd6", "#e69f00", "#00b886", "#d98fb8"),
        *("#e5701a", "#7cc7f2", "#f2f2f2", "#f0e442"),
    ),
}
GREYS = {"light": ("#6b7280", "#c4c8ce"), "dark": ("#9aa1ab", "#4b5159")}  # of rare values, of none
SCALE = {"light": (0.0, 0.9), "dark": (0.15, 1.0)}  # what of viridis is seen on the paper


@dataclass(frozen=True, eq=False)
class Coloring:
    """What images are coloured by: either codes or numbers of each [N]."""

    column: str
    codes: Integers  # places in `values`, or MISSING; of numbers 0 or MISSING
    values: list[tuple[str, int]]  # with how many images have each, the most frequent first
    numbers: Floats | None  # [N], NaN where there is none
    ends: tuple[float, float]  # of the scale

    @property
    def colored(self) -> list[tuple[str, int]]:
        """The values with colours of their own."""
        return self.values[:MOST]

    @property
    def rare(self) -> list[tuple[str, int]]:
        """The values that share one."""
        return self.values[MOST:]

    @property
    def missing(self) -> int:
        """How many images have none."""
        return int((self.codes == MISSING).sum())

    @property
    def positions(self) -> Floats:
        """Where the numbers lie on the scale [N], 0 to 1; NaN where there is none."""
        assert self.numbers is not None
        low, high = self.ends
        return np.clip((self.numbers - low) / ((high - low) or 1.0), 0, 1)


def color_by(column: str, values: pa.ChunkedArray) -> Coloring:
    """The colours of a column; its numbers are on a scale where there are many different ones."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = np.array(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        if len(np.unique(numbers[np.isfinite(numbers)])) > MOST:
            return _on_scale(column, numbers)
    return _in_classes(column, [value or None for value in values.cast(pa.string()).to_pylist()])


def _on_scale(column: str, numbers: Floats) -> Coloring:
    known = numbers[np.isfinite(numbers)]
    low, high = (float(each) for each in np.percentile(known, _ENDS, method="nearest"))
    codes = np.where(np.isfinite(numbers), 0, MISSING)
    return Coloring(column, codes, [], numbers, (low, high))


def _in_classes(column: str, texts: Sequence[str | None]) -> Coloring:
    counts = Counter(text for text in texts if text is not None)
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    own = {text: code for code, (text, _) in enumerate(ranked)}
    codes = [MISSING if text is None else own[text] for text in texts]
    return Coloring(column, np.array(codes, dtype=np.int64), ranked, None, (0.0, 0.0))
