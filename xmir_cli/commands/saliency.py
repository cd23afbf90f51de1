"""`xmir saliency`: which regions of a retrieved image make it similar to its query?"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xmir_cli import console, options
from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.printer import Printer
from xmir_cli.records import ModelSpec
from xmir_cli.saliency import load_methods
from xmir_cli.settings import method_settings
from xmir_cli.store.atomic import settle
from xmir_cli.store.jsonl import open_lines, read_records

if TYPE_CHECKING:
    from xmir_cli.explain.requests import Request

RANKING = 256  # results of a query that are held together when one is contrasted with another
COLUMNS = ["query", "retrieved", "method", "explains", "similarity_check"]


@method_settings
def command(
    records: options.Records = "-",
    method: Annotated[
        str, typer.Option("--method", metavar="NAME[,NAME...]", help="One or several, in order.")
    ] = "occlusion",
    on: Annotated[
        Literal["retrieved", "query", "both"],
        typer.Option("--on", help="Which image of the pair gets the map."),
    ] = "retrieved",
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="IMAGE", help="Explain a pair without records: its query."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="IMAGE", help="The other image of the pair; may be repeated."
        ),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(
            "--negative",
            metavar="IMAGE|auto",
            help="What the query is to be told apart from, for --form triplet; twice for "
            "quadruplet. auto is the index's best image of another label.",
        ),
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(
            "--contrast",
            metavar="next|label|IMAGE",
            help="Why this image and not that one: subtract the map for another target, which is "
            "the query's next result, its best result of another label, or a file.",
        ),
    ] = None,
    model: options.Model = None,
    architecture: options.Architecture = None,
    weights: options.Weights = None,
    head: options.Head = None,
    input_size: options.InputSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
    output: options.OutputFolder = Path("saliency"),
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Make maps again that are there already.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Keep what does not depend on the query, so that further queries cost little: "
            "the embeddings behind occlusion's windows and rise's masks.",
        ),
    ] = None,
    cache_half: Annotated[
        bool, typer.Option("--cache-half", help="Keep them in float16, in half the space.")
    ] = False,
    draws: Annotated[
        bool,
        typer.Option(
            "--overlay/--no-overlay",
            help="Draw each map on its image, which takes longer than many a map.",
        ),
    ] = True,
    colormap: options.Colormap = "auto",
    alpha: options.Alpha = 0.6,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    batch: options.Batch = 16,
    jobs: options.Jobs = None,
    layout: options.Format = None,
    *,
    settings: Mapping[str, str],
) -> int:
    """Map where a retrieved image resembles its query.

    Takes the records of 'xmir query', whose network is the one recorded (--model says where it
    lies now), or image paths for self-similarity, or a pair named by --query and --image. Each
    record comes back once a method with the raw map (.npy), an overlay on the original image (.png)
    and the similarity computed again. Maps that are there already are not made again.
    """
    _refuse_misuse(query, image, negative, settings)
    _refuse_contrast(contrast, negative, settings)
    stream = None if query is not None else open_lines(records, "saliency")
    from xmir_cli.explain.cases import Cases
    from xmir_cli.explain.explainer import Explainer
    from xmir_cli.explain.keep import Keep
    from xmir_cli.explain.maps import Output
    from xmir_cli.explain.requests import group_requests, pair_requests, read_requests
    from xmir_cli.explain.rivals import Others
    from xmir_cli.model.loader import load_embedder, make_spec
    from xmir_cli.render.overlay import Display

    def load(spec: ModelSpec) -> Cases:
        embedder = load_embedder(spec, device, precision)
        embedder.batch = batch
        return Cases(embedder, jobs, keep=keep, draws=draws)

    keep = None if cache is None else Keep(cache, cache_half)
    methods = load_methods(method, settings)
    named = model or architecture or weights
    given = make_spec(model, architecture, weights, head, input_size, mean, std) if named else None
    skips = console.Skips()
    if stream is not None:
        requests: Iterable[Request] = read_requests(read_records(stream), given, skips)
    elif given is None:
        raise UsageError("--query: which network?", "Name it with --model or --arch.")
    else:
        requests = pair_requests(query or "", image or [], given)
    output.mkdir(parents=True, exist_ok=True)
    sides = ("retrieved", "query") if on == "both" else (on,)
    rounds = cache is not None and cache_half
    place = Output(output, Display(colormap, alpha), force, draws, rounds)
    others = Others(tuple(negative or ()), contrast)
    explainer = Explainer(load, methods, sides, place, others)
    done, picture = 0, "overlay" if draws else "saliency"
    with (
        Printer(layout or "", [*COLUMNS, picture], picture) as printer,
        console.progress("explaining", None) as bar,
    ):
        for group in group_requests(requests, batch if contrast is None else RANKING):
            for request, record in explainer.explain(group):
                if isinstance(record, ItemError):
                    skips.add(request.name, record.reason)
                    continue
                printer.write(record)
                bar.advance()
                done += 1
    _settle(output, cache)
    return _finish(done, skips)


def _refuse_misuse(
    query: str | None,
    images: list[str] | None,
    negatives: list[str] | None,
    settings: Mapping[str, str],
) -> None:
    if (query is None) != (not images):
        raise UsageError("--query and --image name a pair together", "Give both.")
    if negatives and settings.get("form", "pair") == "pair":
        raise UsageError(
            "--negative: a pair has no negatives", "Ask for --method attention --form triplet."
        )


def _refuse_contrast(
    contrast: str | None, negatives: list[str] | None, settings: Mapping[str, str]
) -> None:
    if contrast is None:
        return
    if negatives:
        raise UsageError("--contrast: a contrast has no negatives", "Leave out --negative.")
    if "point" in settings:
        raise UsageError(
            "--contrast: a --point of one image is nowhere in another", "Leave one out."
        )


def _settle(*folders: Path | None) -> None:
    for folder in folders:
        if folder is not None and folder.is_dir():
            settle(folder)


def _finish(done: int, skips: console.Skips) -> int:
    if not done and skips.total:
        raise DataError(f"none of {skips.total} records could be explained")
    if not done:
        raise DataError("no records on standard input")
    return skips.finish(done, "explained")
