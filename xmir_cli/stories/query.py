"""Find the indexed images that are most like a new one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from xmir_cli import console
from xmir_cli.commands.query import Query
from xmir_cli.console import Ending, Records, Skips
from xmir_cli.errors import DataError
from xmir_cli.gallery.engines import make_absolute, open_gallery
from xmir_cli.gallery.protocol import Conditions, Gallery, ItemKey
from xmir_cli.model.named import trust
from xmir_cli.pictures.items import Item, hint_for_images, list_items
from xmir_cli.retrieval.answers import Beside, answer
from xmir_cli.retrieval.by_label import images_by_label, items_by_label
from xmir_cli.retrieval.chosen import STDIN, ask_choices, find_chosen, read_choices
from xmir_cli.retrieval.concepts import open_pulls, open_shares, pull
from xmir_cli.retrieval.conditions import (
    check_columns,
    leave_out,
    list_values,
    make_conditions,
    tell_conditions,
    warn_of_nobody,
)
from xmir_cli.retrieval.evidence import Evidence, EvidenceRules
from xmir_cli.retrieval.queries import (
    Asked,
    ImageOptions,
    Question,
    ask_all,
    ask_items,
    ask_vectors,
    find_ids,
)
from xmir_cli.retrieval.refine import find_examples, refine
from xmir_cli.retrieval.region import parse_region
from xmir_cli.retrieval.rerank import rerank
from xmir_cli.store.text_lines import read_text_lines
from xmir_cli.store.where import parse_where
from xmir_cli.wire.records import Record
from xmir_cli.wire.words import Words, put_into

if TYPE_CHECKING:  # torch, 1.5 s that a query by --id or --vector does not pay
    from xmir_cli.model.embedder import Embedder

__all__ = ["Query", "run"]


def run(query: Query) -> Records:
    """One `xmir.retrieval/1` record a hit, nearest first, in the order of the queries."""
    region = None if query.region is None else parse_region(query.region)
    conditions = make_conditions(
        parse_where(query.where), query.exclude_same, query.no_self, query.per
    )
    model = None if query.model is None else str(query.model)
    if model is not None:
        trust(model)
    gallery = open_gallery(make_absolute(query.gallery), model)
    check_columns(gallery, conditions)
    items = _items(query)
    keys = _keys(gallery, query)
    ask = _Network(gallery, query)
    beside = _beside(query, gallery, conditions)  # examples are left out of the hits alone
    likes, unlikes = ask.examples()
    conditions = leave_out(gallery, conditions, [*likes, *unlikes])
    pulls = open_pulls(query.pulls, gallery)
    known = len(keys) + (len(gallery) if query.everything else 0)
    skips, done = Skips(), 0
    handed = list(ask_vectors(gallery, query.vectors or [], skips.add))
    alone, together = _divide(query, ask.words(_words(query)))
    sources = [
        ask.images(items, ImageOptions(query.jobs, region, query.center), skips),
        ask_items(gallery, keys),
        ask_all(gallery) if query.everything else iter(()),
        iter(handed),
        ask.texts(alone),
    ]
    if not (items or known or query.vectors or alone):
        sources, likes = [iter([likes[:1]])], likes[1:]
    values: list[object] = []  # whether the queries have one in the column of `exclude_same`
    with console.progress("querying", len(items) + known + len(alone)) as bar:
        for block in ask.with_words(chain.from_iterable(sources), together):
            asked = [pull(refine(each, likes, unlikes), pulls) for each in block]
            found = gallery.search(asked, query.rerank or query.top, conditions, query.center)
            if query.rerank is not None:
                found = list(rerank(gallery, found, query.top))
            yield from answer(gallery, asked, found, beside)
            done += len(asked)
            values += [_has(each, query.exclude_same) for each in asked]
            bar.advance(len(asked))
    if not done:
        raise DataError(
            f"none of {skips.total} queries could be used; nothing was written",
            hint_for_images(query.images or ()),
        )
    ending = skips.finish(done, "answered")
    return _doubt(ending, gallery, query.exclude_same, values)


def _items(query: Query) -> list[Item]:
    """The images that ask."""
    if not query.images:
        return []
    items = list_items(query.images, query.null, None, query.columns)
    return items if query.per_label is None else images_by_label(items, query.per_label, query.seed)


def _keys(gallery: Gallery, query: Query) -> list[ItemKey]:
    """The items that ask."""
    before, chosen, after = _parts(query.ids)
    keys = find_ids(gallery, before)
    if chosen:
        keys += find_chosen(gallery, read_choices(query.null))
    keys += find_ids(gallery, after)
    if query.per_label is not None and not query.images:
        keys += items_by_label(gallery, query.per_label, query.seed)
    return keys


def _beside(query: Query, gallery: Gallery, conditions: Conditions) -> Beside:
    """What records tell beside the hits."""
    shares, least = open_shares(query.concepts or (), gallery), query.min_similarity
    asked: Record = {"top": query.top, **tell_conditions(conditions)}
    asked |= {} if query.rerank is None else {"rerank": query.rerank}
    asked |= {} if least is None else {"min_similarity": least}
    if query.vote is None and not query.novelty:
        return Beside(shares, None, least, asked)
    rules = EvidenceRules(
        query.vote,
        query.novelty,
        query.neighbors or EvidenceRules.neighbors,
        query.coverage or EvidenceRules.coverage,
        query.seed,
    )
    return Beside(shares, Evidence(gallery, conditions, rules), least, asked)


def _parts(names: Sequence[str] | None) -> tuple[Sequence[str], bool, Sequence[str]]:
    """Names before and behind what is on standard input, and whether anything is to be read."""
    names = names or []
    place = names.index(STDIN) if STDIN in names else len(names)
    return names[:place], place < len(names), names[place + 1 :]


def _words(query: Query) -> list[Words]:
    """What is asked in words, in the order of the flags and of the file."""
    texts = [*(query.texts or ()), *(read_text_lines(query.text_file) if query.text_file else ())]
    return put_into(query.templates or (), texts, query.word_weight)


def _divide(query: Query, words: Sequence[Asked]) -> tuple[Sequence[Asked], Sequence[Asked]]:
    """The words that ask alone, and those that ask together with every other query."""
    return ((), words) if query.word_weight is not None else (words, ())


def _has(question: Question, column: str | None) -> bool | None:
    """Whether it has a value in the column, None where not."""
    return None if column is None or question.columns.get(column) in (None, "") else True


def _doubt(
    ending: Ending, gallery: Gallery, column: str | None, values: Sequence[object]
) -> Ending:
    """The ending with what is to be said where nothing was left out for want of a value."""
    if column is None:
        return ending
    doubt = warn_of_nobody(column, values, list_values(gallery, column))
    return replace(ending, warnings=(*ending.warnings, doubt)) if doubt else ending


class _Network:
    """The index's network, which is loaded when the first image is to be embedded."""

    def __init__(self, gallery: Gallery, query: Query) -> None:
        self.gallery, self.query = gallery, query

    @cached_property
    def embedder(self) -> "Embedder":
        from xmir_cli.model.loader import load_embedder  # see above

        query = self.query
        return load_embedder(self.gallery.model, query.device, query.precision, query.batch)

    def examples(self) -> tuple[list[Question], list[Question]]:
        """What the queries are moved towards, and away from."""
        return self._examples(self.query.like, "like"), self._examples(self.query.unlike, "unlike")

    def _examples(self, names: Sequence[str] | None, setting: str) -> list[Question]:
        before, chosen, after = _parts(names)
        found = find_examples(self.gallery, before, self.image, setting)
        if chosen:
            choices = read_choices(self.query.null)
            found += ask_choices(self.gallery, choices, self.image, setting)
        return found + find_examples(self.gallery, after, self.image, setting)

    def image(self, path: str) -> Question:
        """One image as a query."""
        from xmir_cli.retrieval.image_queries import ask_image  # see above

        return ask_image(self.gallery, self.embedder, path)

    def images(
        self, items: Sequence[Item], options: ImageOptions, skips: Skips
    ) -> Iterator[list[Question]]:
        """Images as queries, a batch at a time."""
        if not items:
            return iter(())
        from xmir_cli.retrieval.image_queries import ask_images  # see above

        return ask_images(self.gallery, self.embedder, items, options, skips.add)

    def words(self, texts: Sequence[Words]) -> list[Asked]:
        """Words as this model's text tower takes them, once its image tower is the index's."""
        if not texts:
            return []
        from xmir_cli.model.text_sources import refuse_wordless  # see above
        from xmir_cli.retrieval.words import ask_words

        refuse_wordless(self.gallery.model)
        return ask_words(self.embedder, texts)

    def texts(self, asked: Sequence[Asked]) -> Iterator[list[Question]]:
        """Words that ask alone, a block at a time."""
        if not asked:
            return iter(())
        from xmir_cli.retrieval.words import text_questions  # see above

        return text_questions(self.embedder, asked)

    def with_words(
        self, blocks: Iterable[list[Question]], asked: Sequence[Asked]
    ) -> Iterator[list[Question]]:
        """The queries, with each of which the words ask together, if there are any."""
        if not asked:
            yield from blocks
            return
        from xmir_cli.retrieval.words import join_words  # see above

        for block in blocks:
            yield [join_words(self.embedder, asked[0], each) for each in block]
