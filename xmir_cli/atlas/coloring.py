"""A column as colours: a few values in colours of their own, or numbers along a scale."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Floats, Integers
from xmir_cli.store.cells import is_text
from xmir_cli.store.embedding_header import COLUMNS
from xmir_cli.store.where import read_ordered

MISSING = -1  # the code of images without a value
MOST = 8  # values with colours of their own
_NAMES = {name for name, kind in COLUMNS.items() if is_text(kind)}
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
    numbers: Floats | None = None  # [N], NaN where there is none; of dates milliseconds since 1970
    ends: tuple[float, float] = (0.0, 0.0)  # of the scale
    are_dates: bool = False

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
    def end_texts(self) -> tuple[str, str]:
        """The ends of the scale in words."""
        low, high = (_spell(end, self.are_dates) for end in self.ends)
        return low, high

    @property
    def positions(self) -> Floats:
        """Where the numbers lie on the scale [N], 0 to 1; NaN where there is none."""
        assert self.numbers is not None
        low, high = self.ends
        return np.clip((self.numbers - low) / ((high - low) or 1.0), 0, 1)


def color_by(column: str, values: pa.ChunkedArray) -> Coloring:
    """The colours of a column; its numbers or dates lie on a scale where there are many.

    Texts that are all of them numbers or dates are such, but for those that name something, as
    labels and patients.
    """
    ordered = values if column in _NAMES else read_ordered(values)
    are_dates = pa.types.is_date(ordered.type) or pa.types.is_timestamp(ordered.type)
    if are_dates or not is_text(ordered.type):
        numbers = _numbers(ordered, are_dates)
        known = numbers[np.isfinite(numbers)]
        if len(np.unique(known)) > MOST:
            low, high = (float(each) for each in np.percentile(known, _ENDS, method="nearest"))
            codes = np.where(np.isnan(numbers), MISSING, 0)
            return Coloring(column, codes, [], numbers, (low, high), are_dates)
    return _in_classes(column, [value or None for value in values.cast(pa.string()).to_pylist()])


def _numbers(column: pa.ChunkedArray | pa.Array, are_dates: bool) -> Floats:
    """The numbers of a column, NaN where there is none; infinite ones lie at an end of a scale."""
    if are_dates:
        column = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None))).cast(pa.int64())
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), float)


def _spell(number: float, is_date: bool) -> str:
    if not is_date:
        return f"{number:.6g}"
    return str(np.datetime64(int(number), "ms").astype("datetime64[D]"))


def _in_classes(column: str, texts: Sequence[str | None]) -> Coloring:
    counts = Counter(text for text in texts if text is not None)
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    own = {text: code for code, (text, _) in enumerate(ranked)}
    codes = [MISSING if text is None else own[text] for text in texts]
    return Coloring(column, np.array(codes, dtype=np.int64), ranked)
