"""Score rankings by labels: mAP, P@K, MRR and more."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Integers
from xmir_cli.commands.retrieval_metric import RetrievalMetric
from xmir_cli.console import Records
from xmir_cli.errors import DataError, SettingError
from xmir_cli.labels import LABEL, LabelSets
from xmir_cli.metrics.everybody import Everybody
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import evaluate, warn_of_ties
from xmir_cli.metrics.retrieval_record import QuerySample, list_numbers, near_duplicates
from xmir_cli.metrics.scores import Scores
from xmir_cli.model.choice import ModelChoice
from xmir_cli.retrieval.collection import (
    count_copies,
    find_positions,
    list_columns,
    meet_whitening,
    read_collection,
    read_texts,
    sample_images,
    select_rows,
    take_rows,
    with_label,
)
from xmir_cli.retrieval.conditions import check_column, warn_of_nobody
from xmir_cli.scoring.image_set import hash_images
from xmir_cli.scoring.retrieval import MEANS, QUERIES
from xmir_cli.scoring.retrieval_queries import LostRows, list_queries
from xmir_cli.scoring.tested import Checks, read_baseline
from xmir_cli.store.embeddings import Embeddings, read_embeddings
from xmir_cli.store.where import Condition, parse_where
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.schemas.retrieval_metric import RetrievalMetricRecord

__all__ = ["RetrievalMetric", "run"]

_PATIENT = "patient"  # the group whose numbers are reported side by side
_SHOWN = 10  # labels that are named
_DEFAULT_CUTOFFS = (1, 5, 10)


def run(asked: RetrievalMetric) -> Records:
    """One `xmir.retrieval-metric/1` record, or one `xmir.retrieval-query/1` a query."""
    skips, where = LostRows(), parse_where(asked.where)
    earlier = read_baseline(asked.baseline, MEANS, QUERIES)
    _refuse_columns(asked, where)
    everything = read_collection(asked.source, skips.add, partial(_read, asked.choice))
    chosen = select_rows(everything, where)
    searched = _searched(asked, everything, chosen, skips)
    chosen = meet_whitening(chosen, searched)
    _refuse_other_model(chosen, searched)
    queries, items = with_label(chosen), with_label(searched)
    unlabelled = len(chosen.items) - len(queries.items)
    for images in (queries, items) if asked.exclude_same else ():
        check_column(images.items.column_names, str(asked.exclude_same), "exclude_same")
    group = asked.exclude_same or _PATIENT
    sample, queries, own = _sample(asked, queries, items, group)
    cutoffs = _cutoffs(asked.cutoffs, len(items.items) - asked.is_loo)
    measures = Measures(cutoffs, asked.map_mode, by_label=True)
    asking, asked_about = _labelled(queries, group), _labelled(items, group)
    with console.progress("ranking", len(queries.items)) as bar:
        found = evaluate(asking, asked_about, own, measures, bar.advance)
    excluded = asked.exclude_same is not None
    record = {
        "schema": RetrievalMetricRecord.NAME,
        "embeddings": asked.source,
        "gallery": asked.gallery,
        "protocol": "loo" if asked.is_loo else "query-gallery",
        "map_mode": asked.map_mode,
        "exclude_same": asked.exclude_same,
        "where": list(map(str, where)) or None,
        "gallery_size": len(items.items),
        "images_sha256": hash_images(queries.items, items.items),
        "unlabelled": unlabelled,
        "sample": sample.to_json() if sample else None,
        **list_numbers(found, group, excluded, sample),
        "near_duplicates": near_duplicates(found, count_copies(queries, items, own)),
        "model": queries.model.to_json(),
    }
    scores = found.chosen(excluded)
    wanted = asked.per_query or (earlier is not None and earlier.comparison is QUERIES)
    each = list_queries(queries, scores, record) if wanted else []
    yield from each if asked.per_query else [record]
    doubts = [
        warn_of_ties(scores),
        _warn_of_unasked([] if sample is None else sample.of.unasked(scores, excluded)),
        warn_of_nobody(group, asking.groups, asked_about.groups) if excluded else None,
    ]
    ending = skips.finish(int(scores.scored.sum()), "scored")
    ending = replace(
        ending,
        warnings=tuple(doubt for doubt in doubts if doubt),
        notes=(*ending.notes, *_notes(scores, asked_about.labels), *_few(asked, sample)),
    )
    checks = Checks(MEANS, [record])
    checks.ask(asked.gates)
    checks.compare(earlier, asked.tolerance)
    beside = Checks(QUERIES, each, checks.cases, checks.unmet)
    beside.compare(earlier, asked.tolerance, skips.lost(each, earlier))
    checks.write(asked.junit)
    return ending.judged(checks.unmet)


def _refuse_columns(asked: RetrievalMetric, where: Sequence[Condition]) -> None:
    """Raise SettingError for columns that cannot be had, where that shows before all is read."""
    if asked.exclude_same == LABEL:
        raise SettingError("exclude_same", "images that share a label are what is to be found")
    shared = [] if asked.exclude_same is None else [("exclude_same", asked.exclude_same)]
    narrowed = [("where", condition.column) for condition in where]
    for source, wanted in ((asked.source, narrowed + shared), (asked.gallery, shared)):
        if source in {None, "-"} or not wanted or asked.choice.is_said:
            continue
        names = list_columns(str(source))
        for setting, column in wanted:
            check_column(names, column, setting)


def _sample(
    asked: RetrievalMetric, queries: Embeddings, items: Embeddings, group: str
) -> tuple[QuerySample | None, Embeddings, Integers]:
    """The sample if one is asked for, the queries, and where they stand in the gallery."""
    of = len(queries.items)
    own = np.arange(of) if asked.is_loo else find_positions(queries, items)
    if asked.sample is None:
        return None, queries, own
    rows = sample_images(queries.items, asked.sample, asked.seed)
    everybody = Everybody(
        _labelled(queries, group), _labelled(items, group), own, asked.map_mode == "x-mir"
    )
    queries = take_rows(queries, rows)
    has_patients = _PATIENT in queries.items.column_names
    patients = read_texts(queries, _PATIENT) if has_patients else [None] * len(rows)
    return QuerySample(everybody, asked.seed, patients), queries, own[rows]


def _few(asked: RetrievalMetric, sample: QuerySample | None) -> tuple[str, ...]:
    of = 0 if sample is None else len(sample.of.queries.labels)
    if sample is None or asked.sample is None or asked.sample <= of:
        return ()
    return (f"there are {of} queries, fewer than the sample: all of them were asked",)


def _warn_of_unasked(labels: Sequence[str]) -> str | None:
    if not labels:
        return None
    named = ", ".join(labels[:_SHOWN]) + (", ..." if labels[_SHOWN:] else "")
    return (
        f"the sample has no query with numbers of {named}: macro, which is over all labels, is null"
    )


def _notes(scores: Scores, labels: Sequence[str]) -> tuple[str, ...]:
    if scores.pairs[:, 0].any():  # of a relevant image and another
        return ()
    names = LabelSets(labels).names
    if len(names) == 1:
        return (f"the gallery has one label, {names[0]}: any ranking has the same numbers",)
    told = "whatever can be found shares a label with its query"
    return (f"{told}: any ranking has the same numbers but nDCG",)


def _searched(
    asked: RetrievalMetric, everything: Embeddings, chosen: Embeddings, skips: LostRows
) -> Embeddings:
    if asked.gallery is not None:
        return read_collection(asked.gallery, skips.add, partial(_read, asked.choice))
    return chosen if asked.is_loo else everything


def _read(choice: ModelChoice, source: str) -> Embeddings:
    """Embeddings, made by the model that is named if one is."""
    if not choice.is_said:
        return read_embeddings(source)
    from xmir_cli.embedding.vouching import read_vouched  # noqa: PLC0415 # torch

    return read_vouched(source, choice)


def _refuse_other_model(queries: Embeddings, gallery: Embeddings) -> None:
    if not queries.model.same_embedding(gallery.model):
        first, second = queries.model, gallery.model
        raise DataError(
            "queries and gallery were embedded by different models: "
            f"{first.architecture} {first.weights_sha256[:12]} and "
            f"{second.architecture} {second.weights_sha256[:12]}"
            f"{_whose_whitening(first, second)}"
        )


def _whose_whitening(queries: ModelSpec, gallery: ModelSpec) -> str:
    whitened = {
        "the queries": queries.whitening is not None,
        "the gallery": gallery.whitening is not None,
    }
    named = [name for name, is_so in whitened.items() if is_so]
    return f"; whitened: {' and '.join(named)}" if named else ""


def _cutoffs(asked: tuple[int, ...] | None, size: int) -> tuple[int, ...]:
    """The Ks; those of the default that the gallery is too small for are left out."""
    if asked is None:
        return tuple(cutoff for cutoff in _DEFAULT_CUTOFFS if cutoff <= size)
    if max(asked) > size:
        raise SettingError("k", f"{max(asked)} is more than the {size} images there are to find")
    return asked


def _labelled(images: Embeddings, group: str) -> LabelledVectors:
    labels = [label or "" for label in read_texts(images, "label")]
    return LabelledVectors(images.vectors, labels, read_texts(images, group))
