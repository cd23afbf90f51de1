"""What runs keep beside an output until it is written, and what is said where that is all of it."""

from pathlib import Path

from xmir_cli.store.turns import is_held


def parts_folder(output: Path) -> Path:
    """Where the parts of embeddings lie."""
    return output.with_name(f"{output.name}.parts")


def state_path(output: Path) -> Path:
    """Where the state of a training run lies."""
    return output.with_name(f"{output.name}.state.safetensors")


def tell_unfinished(output: Path) -> tuple[str, str]:
    """What to say of an output that is not there because its run has not ended, and the hint.

    Nothing where no run has begun it.
    """
    left = {"embed": parts_folder(output), "train": state_path(output)}
    there = [command for command, kept in left.items() if kept.exists()]
    if not there:
        return "", ""
    command = f"'xmir {there[0]}'"
    if is_held(output):
        return f"not there yet: a run of {command} is working on it", "Wait until it has ended."
    return (
        f"not there yet: a run of {command} that did not end has left {left[there[0]].name}",
        f"Run that {command} again, and let it resume: it goes on where it ended.",
    )
