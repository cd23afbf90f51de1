"""Which rows train, which validate, and which of them cannot be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError

TRAIN = "train"
VALIDATION = ("val", "test")  # the splits that validate when nobody names one, the first there is


@dataclass(frozen=True)
class Example:
    """A picture with its class."""

    name: str
    path: str
    label: str
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
        label = columns.get("label")
        if label is None:
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

    Raises DataError when a split that is wanted has no rows.
    """
    known = sorted({row.split for row in examples if row.split is not None})
    if split is None and not known:
        return Division(list(examples), [], None)
    training = [row for row in examples if row.split == (split or TRAIN)]
    if not training:
        raise _missing("split", split or TRAIN, known)
    if validate is not None and validate not in known:
        raise _missing("validate", validate, known)
    chosen = validate or next((name for name in VALIDATION if name in known), None)
    validation = [row for row in examples if chosen is not None and row.split == chosen]
    return Division(training, validation, chosen)


def _missing(setting: str, split: str, known: Sequence[str]) -> DataError:
    found = f"the splits are {', '.join(known)}" if known else "there is no split column"
    return DataError(f"no rows of the split {split}; {found}", f"Name one with `{setting}`.")


def find_contradictions(examples: Sequence[Example]) -> list[Example]:
    """The pictures that stand in two classes: a copy of each is labelled otherwise."""
    labels: dict[str, set[str]] = {}
    for example in examples:
        labels.setdefault(example.mark, set()).add(example.label)
    return [example for example in examples if len(labels[example.mark]) > 1]
