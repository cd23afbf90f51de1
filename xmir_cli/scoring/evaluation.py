"""What the commands that score maps have in common: numbers, controls, gates; nothing heavy."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xmir_cli.gates import Gate, parse_gates, refuse_unknown
from xmir_cli.scoring.names import name_apart, parse_listed
from xmir_cli.scoring.numbers import number
from xmir_cli.wire.old_settings import renew_settings
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema
from xmir_cli.wire.schemas.saliency import SaliencyRecord

MATCHED = (
    "Maps are matched by the SHA-256 of their images, wherever these lie, the method, which of the "
    "two is explained, and the name of a concept's file."
)
CHANCE = "chance"
_CENTER, _CONCEPT = "center", "concept"
_CHANCE = f"_{CHANCE}"
_PARTS = ("", _CHANCE, "_control", "_gain")
_ENDS = ("", "_sd", "_low", "_high")  # of a mean
_PATIENTS = "patients"


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
    curve: str = ""  # the key of a curve that starts with what there is to lose
    mask: str = ""  # the key of what tells a mask from others of the same image
    part: str = ""  # the key that tells several records of one map apart

    @property
    def advice(self) -> str:
        """How a baseline is made."""
        return "Make the baseline without `summary` or `per_query`."

    @property
    def matched(self) -> str:
        """How maps are known again."""
        return MATCHED

    def parse_controls(self, names: str) -> tuple[str, ...]:
        """The controls of a list such as `random,center`; raises SettingError for others."""
        return parse_listed("control", names, self.controls)

    def names(self, controls: Sequence[str]) -> list[str]:
        """Every number of a summary, those of controls as `insertion_gain_low.random`."""
        parts = [(part, control) for control in controls for part in ("_control", "_gain")]
        chance = [(_CHANCE, ""), ("_gain", CHANCE)]
        named = [
            (measure, *part)
            for measure in self.measures
            for part in (("", ""), *(chance if measure in self.by_chance else ()), *parts)
        ]
        return [
            f"{measure}{part}{end}" + (control and f".{control}")
            for end in _ENDS
            for measure, part, control in named
        ] + ["n", self.unit, _PATIENTS]

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
        if _CENTER in found:
            found = {**found, _CENTER: True}  # each index, and so each network, has its own mean
        return {name: found[name] for name in found if name not in self.free}

    def found(self, record: Record) -> Record:
        """The parts of a record that hold its numbers."""
        names = [f"{measure}{part}" for measure in self.measures for part in _PARTS]
        return {name: record[name] for name in names if name in record}

    def list_changes(self, before: Record, now: Record) -> Iterator[str]:
        """What a user should know: settings, concepts of one name, means need not be the same."""
        asked = [_settings_of(each) for each in (before, now)]
        if asked[0] != asked[1]:
            old, new = name_apart(asked)
            yield f"{now.get('method')} was made with {old}, in this run with {new}"
        if self.find_mask(before) != self.find_mask(now):
            yield "maps were placed in other masks of the same images"
        means = [self.parameters(each).get(_CENTER) for each in (before, now)]
        if means[0] != means[1]:
            yield "another mean embedding was taken off"
        if before.get("target_sha256") != now.get("target_sha256"):
            name = Path(str(now.get("target"))).stem
            yield f"the concept {name} was another one, of the same name"

    def find_mask(self, record: Record) -> object:
        """What tells the mask that a map was placed in from others; None where it is in none."""
        return record.get(self.mask) if self.mask else None

    def parameters(self, record: Record) -> dict[str, object]:
        """How a record was scored, under the names of today; nothing where it does not say."""
        found = record.get(self.key)
        return self.renew(found) if isinstance(found, Mapping) else {}

    def numbers(self, record: Mapping[str, object]) -> dict[str, float]:
        """The numbers of a record, those of controls as `insertion_gain.random`."""
        found: dict[str, float] = {}
        for measure in self.measures:
            for part in _PARTS:
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


def tell_settings(method: str, settings: Mapping[str, object] | None) -> dict[str, object]:
    """A method's, by today's names; of a mean that it was taken off, of a concept its name."""
    found = renew_settings(method, settings or {})
    found |= {_CENTER: True} if found.get(_CENTER) else {}
    concept = str(found.get(_CONCEPT, "")).rpartition(":")[0]
    return {**found, _CONCEPT: concept} if concept else found


def _settings_of(record: Record) -> dict[str, object]:
    settings = record.get("settings")
    return tell_settings(
        str(record.get("method")), settings if isinstance(settings, Mapping) else None
    )


def name_query(record: Record) -> str:
    """Which image asks, wherever it lies, with the words that do."""
    image = str(record.get("query_identity") or record.get("query") or "")
    text = record.get("query_text")
    said = [text, record.get("query_templates") or [], record.get("text_weight")]
    return image if text is None else f"{image} {json.dumps(said)}".strip()


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
