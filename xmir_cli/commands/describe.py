"""Explain: name the terms nearest an image, or shared by a pair."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import options
from xmir_cli.completion import complete_methods
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import find_index, refuse_stdin
from xmir_cli.model.choice import ModelChoice
from xmir_cli.printer import Shown
from xmir_cli.saliency import choose_methods
from xmir_cli.values import check_values
from xmir_cli.wire.words import check_templates

_RECORDS = (".jsonl", ".ndjson")


@contextmanager
def methods_as_maps() -> Iterator[None]:
    """While it lasts, what is wrong with a method is wrong with `maps`, as it is called here."""
    try:
        yield
    except SettingError as error:
        if error.name != "method":
            raise
        hint = error.hint.replace("`method`", "`maps`")
        raise SettingError("maps", error.message, hint, error.value) from None


@dataclass(frozen=True, kw_only=True)
class Describe:
    """Name the terms nearest an image, or shared by a pair.

    Takes images, or the records of 'xmir query' from a file or from standard input. The score of a
    term is the cosine of its embedding and the image's. Of a query and its retrieved image it is
    the smaller of both cosines: a term is shared as far as the image shows it that shows it less,
    and what one shows strongly does not make up for what the other lacks. Words that asked together
    with the query's image do not count.

    Each term is a record like those of 'xmir query --text', so 'xmir saliency' maps where the image
    matches it; --maps does so at once, of a pair for both images.
    """

    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES|RECORDS...",
            help="Image files, globs, folders, a manifest, JSONL records (.jsonl), or - for "
            "records or paths on standard input.",
        ),
    ]
    terms: Annotated[
        str, typer.Option("--terms", metavar="FILE", help="The terms to choose from, one a line.")
    ]
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many for each image.")] = 5
    templates: options.Templates = None
    model: options.Model = None
    architecture: options.Architecture = None
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR|URL",
            help="Describe images by this index's model; --model says where it lies now. "
            "[default: --model, --arch, $XMIR_INDEX, or the only *.xmir here]",
        ),
    ] = None
    maps: Annotated[
        str | None,
        typer.Option(
            "--maps",
            metavar="NAME[,NAME...]",
            help="Also map each term, by these methods of 'xmir saliency'.",
            autocompletion=complete_methods,
        ),
    ] = None
    output: options.OutputFolder = Path("describe")
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    null: options.NullSeparatedBoth = False
    columns: options.Columns = None
    form: options.Format = None
    settings: Mapping[str, str] = field(default_factory=dict)  # of the methods, as typed

    def __post_init__(self) -> None:
        check_values(self)
        try:
            check_templates(self.templates or ())
        except ValueError as error:
            raise SettingError("templates", str(error)) from None
        if self.maps is not None:
            with methods_as_maps():
                choose_methods(self.maps, self.settings)
        elif self.settings:
            raise UsageError("settings of a method without --maps", "Name the method with --maps.")
        if self.architecture is not None and self.index is not None:
            raise UsageError("--index: --arch names the model already", "Leave one out.")
        if self.terms == "-" and "-" in self.images:
            raise UsageError("--terms -: standard input names the images already")
        if self.pictures and not self.choice.is_named:
            find_index(self.index)
        refuse_stdin([*self.images, self.terms], "describe")

    @property
    def choice(self) -> ModelChoice:
        """The network, if one is named."""
        return ModelChoice(self.model, self.architecture)

    @property
    def records(self) -> list[str]:
        """Those of the inputs that hold records."""
        return [name for name in self.images if name == "-" or name.endswith(_RECORDS)]

    @property
    def pictures(self) -> list[str]:
        """Those of the inputs that are images or name some."""
        return [name for name in self.images if name not in self.records]

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        pair = ["similarity", "shared_similarity", "shared_with"]
        columns = ["rank", "query_text", "score", *pair, "retrieved"]
        return Shown(
            [*columns, "overlay"] if self.maps else columns,
            "overlay" if self.maps else "retrieved",
            group="retrieved",
        )
