"""How words ask: the flags of 'xmir query' for them, and what may be given together."""

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

import typer

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.wire.words import check_templates, check_text

Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="WORDS",
        help="Ask in words; may be repeated. The model has to have a text tower, as folders of "
        "open_clip and of transformers' CLIP and SigLIP have.",
    ),
]
TextFile = Annotated[
    str | None,
    typer.Option(
        "--text-file",
        metavar="FILE",
        help="Ask with every line of a file of UTF-8, in order; - is standard input.",
    ),
]
TextWeight = Annotated[
    float | None,
    typer.Option(
        "--text-weight",
        metavar="W",
        min=0,
        max=1,
        help="How much the words count where an image, --id, --vector or --all asks with them. "
        "[default: 0.5]",
    ),
]


class AsksInWords(Protocol):
    """What a description with these flags has."""

    @property
    def texts(self) -> list[str] | None:
        """The words of the command line."""

    @property
    def text_file(self) -> str | None:
        """The file whose lines ask."""

    @property
    def templates(self) -> list[str] | None:
        """What stands around the words."""

    @property
    def text_weight(self) -> float | None:
        """How much they count, as it was given."""

    @property
    def asks_in_words(self) -> bool:
        """Whether words ask, alone or with others."""

    @property
    def word_weight(self) -> float | None:
        """How much words count that ask together with something else; None where they do not."""


def check_words(asked: AsksInWords) -> None:
    """Raise SettingError for words that nobody may ask with, or a template without a place.

    Raises UsageError for what goes with other words, or with others beside them.
    """
    _check("texts", lambda texts: list(map(check_text, texts)), asked.texts)
    _check("templates", check_templates, asked.templates)
    if asked.templates and not asked.asks_in_words:
        raise UsageError("--template: around which words?", "Name them with --text.")
    if asked.word_weight is None and asked.text_weight is not None:
        raise UsageError("--text-weight: words and an image ask together", "Name both.")
    if asked.word_weight is not None and (asked.text_file or len(asked.texts or ()) > 1):
        raise UsageError(
            "--text: one text asks together with images",
            "Leave the others out, or ask with them alone.",
        )


def refuse_evidence(vote: str | None, novelty: bool) -> None:
    """Raise SettingError for what is asked of the nearest images of words."""
    if vote or novelty:
        raise SettingError(
            "vote" if vote else "novelty",
            "words lie elsewhere than images, so that their nearest say nothing of them",
        )


def _check(
    name: str, check: Callable[[Sequence[str]], object], given: Sequence[str] | None
) -> None:
    try:
        check(given or [])
    except ValueError as error:
        raise SettingError(name, str(error)) from None
