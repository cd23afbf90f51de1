"""`xmir retrieval-metric`: how well nearest images share the query's label."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, Status, UsageError
from xmir_cli.gates import check, parse_gates
from xmir_cli.printer import Printer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xmir_cli.metrics.retrieval import Labelled
    from xmir_cli.store.embeddings import Embeddings

SCHEMA = "xmir.retrieval-metric/1"
_PATIENT = "patient"  # the group whose numbers are reported side by side
_DEFAULT_CUTOFFS = (1, 5, 10)


def command(
    source: Annotated[
        str,
        typer.Argument(metavar="EMBEDDINGS", help="Embeddings, an index, or - for a stream."),
    ],
    protocol: Annotated[
        Literal["loo", "query-gallery"] | None,
        typer.Option(
            "--protocol",
            help="loo: each image asks all others. query-gallery: the rows of --where (all "
            "with --gallery) ask the gallery. [default: loo, query-gallery with --gallery]",
        ),
    ] = None,
    gallery: Annotated[
        str | None,
        typer.Option("--gallery", metavar="EMBEDDINGS", help="The searched set, if another one."),
    ] = None,
    where: options.Where = None,
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Leave items with the query's value there, such as patient, out of its ranking.",
        ),
    ] = None,
    map_mode: Annotated[
        Literal["standard", "x-mir"],
        typer.Option("--map-mode", help="x-mir: as the paper's released evaluator (loo only)."),
    ] = "standard",
    cutoffs: Annotated[
        str | None,
        typer.Option("--k", metavar="K,...", help="The Ks of P@K and recall@K. [default: 1,5,10]"),
    ] = None,
    minimum: options.Gates = None,
    maximum: options.Limits = None,
    form: options.Format = None,
) -> int:
    """Score rankings by labels: mAP, P@K, MRR and more.

    R-precision, mAP@R and recall@K stand beside them. Means over queries are micro, means of the
    labels' means macro. With a patient column the numbers without same-patient neighbours are
    there too, under excluding_same_patient.
    Gates know every number of the record: map, macro.map, labels.NAME.p_at_1,
    excluding_same_patient.map ... Images without a label are left out; queries without any
    relevant image are dropped; both are counted.
    """
    gates = parse_gates(minimum, maximum)
    protocol = protocol or ("query-gallery" if gallery else "loo")
    _check_protocol(protocol, gallery, where, map_mode)
    from xmir_cli.metrics.ranking import Measures
    from xmir_cli.metrics.retrieval import evaluate
    from xmir_cli.metrics.retrieval_record import flat, near_duplicates, numbers, rows
    from xmir_cli.pictures.items import parse_where
    from xmir_cli.retrieval.collection import (
        copies,
        matching,
        positions,
        read_collection,
        with_label,
    )

    everything = read_collection(source)
    chosen = matching(everything, parse_where(where))
    searched = read_collection(gallery) if gallery else chosen if protocol == "loo" else everything
    _check_models(chosen, searched)
    queries, items = with_label(chosen), with_label(searched)
    own, group = positions(queries, items), exclude_same or _PATIENT
    measures = Measures(_cutoffs(cutoffs, len(items.items) - (protocol == "loo")), map_mode)
    asked, answers = _labelled(queries, group), _labelled(items, group)
    with console.progress("ranking", len(queries.items)) as bar:
        found = evaluate(asked, answers, own, measures, bar.advance)
    record = {
        "schema": SCHEMA,
        "embeddings": source,
        "gallery": gallery,
        "protocol": protocol,
        "map_mode": map_mode,
        "exclude_same": exclude_same,
        "gallery_size": len(items.items),
        "unlabelled": len(chosen.items) - len(queries.items),
        **numbers(found, group, exclude_same is not None),
        "near_duplicates": near_duplicates(found, copies(queries, items, own)),
        "model": queries.model.to_json(),
    }
    both = f"excluding_same_{group}" in record
    columns = ["over", *(["neighbours"] if both else []), "queries", *measures.names]
    with Printer(form or "", columns, "embeddings") as printer:
        whole = printer.form in {"jsonl", "paths"}
        for row in [record] if whole else rows(record, group):
            printer.write(row)
    failures = check(gates, flat(record))
    for failure in failures:
        console.error(failure)
    return Status.GATE if failures else Status.DONE


def _check_protocol(
    protocol: str, gallery: str | None, where: "Sequence[str] | None", map_mode: str
) -> None:
    if protocol == "loo" and gallery:
        raise UsageError("--protocol loo has no gallery of its own", "Leave --gallery out.")
    if protocol == "query-gallery" and not (gallery or where):
        raise UsageError(
            "--protocol query-gallery: which rows are the queries?",
            "Name them with --where split=test, or the searched set with --gallery.",
        )
    if protocol == "query-gallery" and map_mode == "x-mir":
        raise UsageError("--map-mode x-mir is defined for --protocol loo only")


def _check_models(queries: "Embeddings", gallery: "Embeddings") -> None:
    if not queries.model.same_embedding(gallery.model):
        first, second = queries.model, gallery.model
        raise DataError(
            "queries and gallery were embedded by different models: "
            f"{first.architecture} {first.weights_sha256[:12]} and "
            f"{second.architecture} {second.weights_sha256[:12]}"
        )


def _cutoffs(text: str | None, size: int) -> tuple[int, ...]:
    """The Ks; those of the default that the gallery is too small for are left out."""
    if text is None:
        return tuple(cutoff for cutoff in _DEFAULT_CUTOFFS if cutoff <= size)
    try:
        cutoffs = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        cutoffs = (0,)
    if min(cutoffs) < 1:
        raise UsageError(f"--k: expected whole numbers from 1, found {text}")
    if max(cutoffs) > size:
        raise UsageError(f"--k: {max(cutoffs)} is more than the {size} images there are to find")
    return cutoffs


def _labelled(images: "Embeddings", group: str) -> "Labelled":
    from xmir_cli.metrics.retrieval import Labelled
    from xmir_cli.retrieval.collection import texts

    labels = [label or "" for label in texts(images, "label")]
    return Labelled(images.vectors, labels, texts(images, group))
