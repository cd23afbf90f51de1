"""What the commands that score maps have in common: numbers, controls, gates; nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from xmir_cli.gates import Gate, parse_gates, refuse_unknown
from xmir_cli.scoring.baseline import number
from xmir_cli.scoring.names import parse_listed
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema
from xmir_cli.wire.schemas.saliency import SaliencyRecord

CHANCE = "chance"
_CHANCE = f"_{CHANCE}"


@dataclass(frozen=True)
class MapEvaluation:
    """The numbers of one such command, and what they are called in its records.

    A record may have the same of each control, as NUMBER_control, what a map has that knows
    nothing, as NUMBER_chance, and how much better than each of these the map is, as NUMBER_gain.
    """

    command: str
    schema: type[SaliencyRecord]
    summary: type[Schema]
    key: str  # under which a record says how it was scored
    measures: tuple[str, ...]
    lower: frozenset[str]  # those of which less is better
    controls: tuple[str, ...]  # that can be asked for
    settings: tuple[str, ...]  # that two runs share whose numbers are compared
    unit: str  # what a summary counts: queries or images
    unit_of: Callable[[Record], tuple[str, str | None]]  # which that is, and whose if it is known
    free: frozenset[str] = frozenset()  # ways of scoring that a baseline may have had otherwise
    of_one: frozenset[str] = frozenset()  # ways of scoring that belong to one record
    renew: Callable[[Mapping[str, object]], dict[str, object]] = field(default=dict)
    by_chance: frozenset[str] = frozenset()  # the numbers whose chance level is known
    ties: str = ""  # the key of how far another order of equal pixels could move a number
    part: str = ""  # the key that tells several records of one map apart

    def parse_controls(self, names: str) -> tuple[str, ...]:
        """The controls of a list such as `random,center`; raises SettingError for others."""
        return parse_listed("control", names, self.controls)

    def names(self, controls: Sequence[str]) -> list[str]:
        """Every number of a record, those of controls as `insertion_gain.random`."""
        parts = [f"{part}.{control}" for control in controls for part in ("_control", "_gain")]
        chance = [_CHANCE, f"_gain.{CHANCE}"]
        return [
            f"{measure}{part}"
            for measure in self.measures
            for part in ("", *(chance if measure in self.by_chance else ()), *parts)
        ]

    def parse_gates(
        self,
        minimum: Sequence[str] | None,
        maximum: Sequence[str] | None,
        controls: Sequence[str],
    ) -> list[Gate]:
        """The gates; raises SettingError for a number that this run does not have."""
        gates = parse_gates(minimum, maximum)
        refuse_unknown(gates, self.names(controls), self._say_control)
        return gates

    def goodness(self, record: Record) -> dict[str, float]:
        """The numbers of a record, those of which less is better as their opposites."""
        sign = -1 if self.parameters(record).get("order") == "lerf" else 1
        return {
            name: (-sign if name in self.lower else sign) * number(record.get(name))
            for name in self.measures
        }

    def compared_by(self, record: Record) -> dict[str, object]:
        """How a record was scored, as far as runs whose numbers are compared must share it."""
        found = self.parameters(record)
        return {name: found[name] for name in found if name not in self.free}

    def parameters(self, record: Record) -> dict[str, object]:
        """How a record was scored, under the names of today; nothing where it does not say."""
        found = record.get(self.key)
        return self.renew(found) if isinstance(found, Mapping) else {}

    def numbers(self, record: Mapping[str, object]) -> dict[str, float]:
        """The numbers of a record, those of controls as `insertion_gain.random`."""
        found: dict[str, float] = {}
        for measure in self.measures:
            for part in ("", _CHANCE, "_control", "_gain"):
                name = f"{measure}{part}"
                value = record.get(name)
                if isinstance(value, int | float):
                    found[name] = float(value)
                elif isinstance(value, Mapping):
                    found |= {f"{name}.{control}": float(each) for control, each in value.items()}
        return found

    def _say_control(self, name: str) -> str | None:
        """How to come by a number of a control, where it is one."""
        control = name.rpartition(".")[2]
        return f"Score it with `control` {control}." if name in self.names(self.controls) else None


def whose(record: Record, image: str) -> str | None:
    """The patient of a record's query or retrieved image, as far as it tells."""
    known = record.get("query_patient") if image == "query" else None
    query = record.get("query_identity")
    same = query is not None and query == record.get("retrieved_identity")
    if not known and (same or image == "retrieved"):
        # `meta` tells it of the retrieved image
        meta = record.get("meta")
        known = (meta if isinstance(meta, Mapping) else record).get("patient")
    return str(known) if known else None
