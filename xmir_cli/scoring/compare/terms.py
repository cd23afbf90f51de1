"""What a comparison is asked for, and what comes of it; imports nothing heavy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from xmir_cli.errors import SettingError
from xmir_cli.render.junit import JunitCase
from xmir_cli.scoring.compare.rules import CUTOFFS
from xmir_cli.wire.records import Record

HITS = 3  # of each query, where nothing is said


@dataclass(frozen=True)
class ComparisonTerms:
    """What is compared, and how much of it is shown."""

    cutoffs: tuple[int, ...] | None  # the Ks in order; None for the default
    protocol: str = "loo"
    where: tuple[str, ...] = ()
    exclude_same: str | None = None
    sample: int | None = None
    worst: int = 10  # queries, or maps, that are shown
    hits: int | None = None  # of each query; None for HITS
    seed: int = 0
    gated: bool = False  # whether numbers have bounds

    def refuse_of_records(self, maps: bool) -> None:
        """Raise SettingError for what records cannot be asked; of maps there are no rankings."""
        asked = {
            "protocol": self.protocol != ComparisonTerms.protocol,
            "where": bool(self.where),
            "exclude_same": self.exclude_same is not None,
            "sample": self.sample is not None,
        }
        if name := next((name for name, value in asked.items() if value), None):
            raise SettingError(
                name,
                "records hold the answers that were given",
                "Ask for other ones with xmir query, or compare embeddings or indexes.",
            )
        for name in ("k", "hits") if maps else ():
            if (self.cutoffs if name == "k" else self.hits) is not None:
                raise SettingError(name, "maps have no ranking")

    def tell_sample(self, queries: int) -> Record | None:
        """What a record says of a sample of so many queries; None where all are asked."""
        return None if self.sample is None else {"queries": queries, "seed": self.seed}

    def cutoffs_of(self, size: int) -> tuple[int, ...]:
        """The Ks where `size` images can be found, at least one of them."""
        if self.cutoffs is None:
            return tuple(cutoff for cutoff in CUTOFFS if cutoff <= size) or CUTOFFS[:1]
        if self.cutoffs[-1] > size:
            raise SettingError("k", f"{self.cutoffs[-1]} is more than the {size} there are to find")
        return self.cutoffs


@dataclass(frozen=True)
class ComparisonResult:
    """What comes of a comparison."""

    what: str  # that is compared: queries or maps
    summaries: Sequence[Record]  # one; of maps one a method
    shown: Callable[[], Iterator[Record]]  # the worst first, under both models
    changes: Sequence[Record] = ()  # of each query, the worst first
    cases: Sequence[JunitCase] = field(default=())  # what is missing, or failed, in one of the two
    notes: Sequence[str] = ()
