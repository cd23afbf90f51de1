"""Epochs as lines of a table that grows while the run goes on."""

from collections.abc import Sequence

from xmir_cli.training.loop import Settings

_COLUMNS = ("epoch", "loss", "violating_fraction", "map", "p_at_1", "p_at_5", "seconds")


def columns(settings: Settings) -> tuple[str, ...]:
    """What is shown of an epoch's record."""
    extra = ("attention_loss",) if settings.attention_loss else ()
    return (*_COLUMNS[:2], *extra, *_COLUMNS[2:])


def line(cells: Sequence[object], names: Sequence[str]) -> str:
    """Cells under their column's name, right-aligned; None is left empty, floats have 4 places."""
    texts = (f"{cell:.4f}" if isinstance(cell, float) else cell for cell in cells)
    shown = ("" if text is None else str(text) for text in texts)
    return "  ".join(text.rjust(max(7, len(name))) for text, name in zip(shown, names, strict=True))
