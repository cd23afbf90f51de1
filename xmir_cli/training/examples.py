"""Which rows train, which validate, and which of them cannot be used."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.labels import join_labels, parse_labels

TRAIN, VAL, TEST = "train", "val", "test"
VALIDATION = (VAL, TEST)  # the splits that validate when nobody names one, the first there is
_ROLES = {"training": TRAIN, "validation": VAL, "valid": VAL, "dev": VAL, "testing": TEST}


@dataclass(frozen=True)
class Example:
    """A picture with its class."""

    name: str
    path: str
    label: str  # or several, as `join_labels` joins them
    patient: str | None = None
    split: str | None = None
    mark: str = ""  # a hash of the picture's content, once it was read


@dataclass(frozen=True)
class Division:
    """The rows for each purpose; `validated_on` is None when there are none to validate on."""

    training: list[Example]
    validation: list[Example]
    validated_on: str | None

    @property
    def sides(self) -> tuple[list[Example], list[Example]]:
        """Training rows, then validation rows."""
        return self.training, self.validation

    @property
    def splits(self) -> tuple[list[str], list[str]]:
        """What the splits of the training rows are called, and those of the validation rows."""
        first, second = (sorted({row.split or "" for row in rows}) for rows in self.sides)
        return first, second

    @property
    def shared_patients(self) -> int:
        """Patients on both sides: their images make the validation look better than it is."""
        sides = ({row.patient for row in rows} for rows in self.sides)
        return len(set.intersection(*sides) - {None})


def keep_labelled(
    rows: Sequence[tuple[str, str, Mapping[str, str | None]]],
    leave_out: Callable[[str, ItemError], None],
) -> list[Example]:
    """The rows (name, path, other columns) that have a label; the others are left out by name.

    Raises DataError when none has one.
    """
    found = []
    for name, path, columns in rows:
        label = join_labels(parse_labels(columns.get("label")))
        if not label:
            leave_out(name, ItemError(Cause.NO_LABEL, "nothing in the column label"))
        else:
            found.append(Example(name, path, label, columns.get("patient"), columns.get("split")))
    if not found:
        raise DataError(
            f"none of {len(rows)} images has a label", "Pass a table with a column 'label'."
        )
    return found


def divide(examples: Sequence[Example], split: str | None, validate: str | None) -> Division:
    """The rows to train on and those to validate on.

    Args:
        examples: All rows.
        split: The split to train on; None is `train`, or every row when no row has a split.
        validate: The split to validate on; None is `val`, else `test`, else nothing.

    Splits of other names count as `role_of` says, unless one has the very name that is asked for.
    Raises DataError when a split that is wanted has no rows.
    """
    known = sorted({row.split for row in examples if row.split is not None})
    if split is None and not known:
        return Division(list(examples), [], None)
    training = _rows_of(examples, split or TRAIN, known)
    if not training:
        raise _missing("split", split or TRAIN, known)
    for chosen in VALIDATION if validate is None else (validate,):
        if validation := _rows_of(examples, chosen, known):
            return Division(training, validation, chosen)
    if validate is not None:
        raise _missing("validate", validate, known)
    return Division(training, [], None)


def role_of(split: str) -> str:
    """What a split is for: `Training` is `train`, `validation`, `valid` and `dev` are `val`."""
    plain = split.strip().casefold()
    if plain in {TRAIN, VAL, TEST}:
        return plain
    return _ROLES.get(plain, split)


def leave_classes_out(division: Division, classes: Collection[str]) -> Division:
    """The same without the rows that are of no other class than these."""
    training, validation = (
        [row for row in rows if not parse_labels(row.label) <= set(classes)]
        for rows in division.sides
    )
    return Division(training, validation, division.validated_on)


def _rows_of(examples: Sequence[Example], split: str, known: Sequence[str]) -> list[Example]:
    """The rows of the split that has this name, else of those that count as it."""
    meant = {split} if split in known else {x for x in known if role_of(x) == role_of(split)}
    return [row for row in examples if row.split in meant]


def _missing(setting: str, split: str, known: Sequence[str]) -> DataError:
    found = f"the splits are {', '.join(known)}" if known else "there is no split column"
    return DataError(f"no rows of the split {split}; {found}", f"Name one with `{setting}`.")


def find_contradictions(examples: Sequence[Example]) -> list[Example]:
    """The pictures that stand in two classes: a copy of each is labelled otherwise."""
    labels: dict[str, set[str]] = {}
    for example in examples:
        labels.setdefault(example.mark, set()).add(example.label)
    return [example for example in examples if len(labels[example.mark]) > 1]
