"""Refining a query by examples: more like these, less like those.

Source: Cai et al., Human-centered tools for coping with imperfect algorithms during medical
decision-making, CHI 2019; the formula is Rocchio's of 1971.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from xmir_cli.errors import ItemError, SettingError
from xmir_cli.gallery.protocol import Gallery
from xmir_cli.gallery.vectors import unit_rows
from xmir_cli.pictures.frames import expand_setting
from xmir_cli.retrieval.queries import Question, Refinement, ask_items
from xmir_cli.store.names import escape_typed

AWAY = 0.5  # how much the unlike count; at 1 what is like neither would come first


def refine(query: Question, like: Sequence[Question], unlike: Sequence[Question]) -> Question:
    """The query moved: the mean of it and the liked, less half the mean of the unlike, at length 1.

    Raises SettingError when that leaves nothing.
    """
    if not like and not unlike:
        return query
    towards = np.mean([query.vector, *(example.vector for example in like)], axis=0)
    away = np.mean([example.vector for example in unlike], axis=0) if unlike else 0.0
    moved, usable = unit_rows((towards - AWAY * away)[None])
    if not usable[0]:
        raise SettingError("like", "it and `unlike` cancel each other out")
    return replace(query, vector=moved[0], refinement=Refinement(like, unlike, query.vector))


def find_examples(
    gallery: Gallery, names: Sequence[str], ask: Callable[[str], Question], setting: str
) -> list[Question]:
    """Examples by the id of an indexed item or else, through `ask`, by the path of an image.

    A name may ask for several pictures of a file. Raises SettingError for what is neither.
    """
    found, names = [], expand_setting(setting, names)
    for name, key in zip(names, gallery.by_id([escape_typed(name) for name in names]), strict=True):
        try:
            found.extend(next(ask_items(gallery, [key])) if key is not None else [ask(name)])
        except ItemError as error:
            reason = f"neither an id of the index nor a usable image ({error})"
            raise SettingError(setting, reason, value=name) from None
    return found
