"""How training rows are divided by patient."""

import random


def deal(rows: list[dict[str, str]], folds: int, seed: int) -> dict[str, int]:
    """The fold of each patient; those of a class go to the folds in turn, in a random order."""
    rng = random.Random(seed)  # noqa: S311 # no secret
    label_of = {row["patient"]: row["label"] for row in rows}
    fold_of: dict[str, int] = {}
    for label in sorted(set(label_of.values())):
        patients = sorted(name for name, found in label_of.items() if found == label)
        rng.shuffle(patients)
        for patient in patients:
            fold_of[patient] = len(fold_of) % folds
    return fold_of
