"""Explain: map where a retrieved image resembles its query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli import options
from xmir_cli.errors import UsageError
from xmir_cli.inputs import refuse_records
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.saliency import AUTO, choose_methods, refuse_inexact
from xmir_cli.saliency.presets import Preset, preset_settings
from xmir_cli.values import check_values, refuse_null


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """Map where a retrieved image resembles its query.

    Takes the records of 'xmir query', whose network is the one recorded (--model says where it
    lies now), or image paths for self-similarity, or a pair named by --query and --image. Each
    record comes back once a method with the raw map (.npy), an overlay on the original image (.png)
    and the similarity computed again. Maps that are there already are not made again.

    Begin with activation, which is exact and quick: on synthetic radiographs its peak lay within 5
    pixels of the opacity in 92 to 97 % of the maps of four trainings. Add --center where all images
    are much alike: without it maps of convolutional networks keep much of their order with random
    weights (0.65 to 0.75). With --layer cells are finer. Check it by occlusion, with windows about
    as large as what is looked for and with what an empty place of such images looks like: --fill
    black where what matters is bright on dark lungs (the peak lay in the opacity in 33 to 98 % of
    such maps, in 1 to 50 % of those with gray, the paper's fill); '#FFFFFF' where it is dark on a
    bright ground (inverted radiographs: 50 to 64 %, with black 9 to 51, with gray 11 to 17); mean
    on skin in colour (synthetic lesions: 95 to 98 %, with gray 55 to 69, with black 52 to 56, and
    48 for rise, which hides in gray). No rule holds everywhere: on real radiographs gray gained
    more at insertion than black. Where masks or boxes are, 'xmir localization-metric' tells; 'xmir
    sanity-check' and 'xmir causal-metric' do without.
    """

    records: options.Records = "-"
    method: options.Methods = AUTO
    preset: Annotated[
        Preset | None,
        typer.Option(
            "--preset",
            help="paper: the settings of the X-MIR paper's code for activation, attention and "
            "occlusion; those that are typed go before.",
        ),
    ] = None
    on: Annotated[
        Literal["retrieved", "query", "both"],
        typer.Option("--on", help="Which image of the pair gets the map."),
    ] = "retrieved"
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="IMAGE", help="Explain a pair without records: its query."),
    ] = None
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="IMAGE", help="The other image of the pair; may be repeated."
        ),
    ] = None
    negatives: Annotated[
        list[str] | None,
        typer.Option(
            "--negative",
            metavar="IMAGE|auto",
            help="What the query is to be told apart from, for --tuple triplet; twice for "
            "quadruplet. auto is the index's best image of another label (A|B is two labels).",
        ),
    ] = None
    contrast: Annotated[
        str | None,
        typer.Option(
            "--contrast",
            metavar="next|label|IMAGE",
            help="Why this image and not that one: subtract the map for another target, which is "
            "the query's next result, its best result of another label (A|B is two labels), or a "
            "file. Results that have none, as the last has no next one, are skipped.",
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="FILE.npy",
            help="Map where an image shows this concept of 'xmir concept fit', whatever the other "
            "image of the pair; image paths need no other model than its own.",
        ),
    ] = None
    center: options.Center = False
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR|URL",
            help="The index of a pair or of image paths, for --center and --method "
            "weight-transfer; of records, where it lies now.",
        ),
    ] = None
    model: options.Model = None
    architecture: options.Architecture = None
    weights: options.Weights = None
    head: options.Head = None
    input_size: options.InputSize = None
    resize: options.Resize = None
    view: options.View = None
    pool: options.Pool = None
    mean: options.Mean = None
    std: options.Std = None
    window: options.Window = None
    output: options.OutputFolder = Path("saliency")
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Make maps again that are there already.")
    ] = False
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Keep what does not depend on the query, so that further queries cost little: "
            "the embeddings behind occlusion's windows and rise's masks.",
        ),
    ] = None
    cache_half: Annotated[
        bool, typer.Option("--cache-half", help="Keep them in float16, in half the space.")
    ] = False
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay/--no-overlay",
            help="Draw each map on its image, which takes longer than many a map.",
        ),
    ] = True
    colormap: options.Colormap = "auto"
    alpha: options.Alpha = 0.6
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    form: options.Format = None
    show: options.Show = False
    null: options.NullPaths = False
    settings: Mapping[str, str] = field(default_factory=dict)  # of the methods, as typed

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        methods = choose_methods(self.method, self.all_settings)
        if self.center:
            refuse_inexact(methods)
        self._refuse_pair()
        self._refuse_contrast()
        self._refuse_target()
        if self.query is None:
            refuse_records(self.records, "saliency")

    def _refuse_pair(self) -> None:
        if self.choice.prepares and not self.choice.is_named:
            raise UsageError(
                f"--{self.choice.prepares}: records say how their images are prepared",
                "With --model or --arch it is for image paths and --image.",
            )
        if (self.query is None) != (not self.images):
            raise UsageError("--query and --image name a pair together", "Give both.")
        if self.query is not None and not self.choice.is_named:
            raise UsageError("--query: which network?", "Name it with --model or --arch.")
        if self.query is not None and "auto" in (self.negatives or ()):
            raise UsageError(
                "--negative auto: a pair that is named comes from no index",
                "Name an image, or pipe in the records of 'xmir query'.",
            )
        if self.query is not None and self.center and self.index is None:
            raise UsageError(
                "--center: a pair that is named comes from no index", "Name one with --index."
            )
        if self.negatives and self.settings.get("tuple", "pair") == "pair":
            raise UsageError(
                "--negative: a pair has no negatives", "Ask for --method attention --tuple triplet."
            )

    def _refuse_contrast(self) -> None:
        if self.contrast is None:
            return
        if self.query is not None and self.contrast == "label":
            raise UsageError(
                "--contrast label: a pair that is named has no labels",
                "Name an image, or pipe in the records of 'xmir query'.",
            )
        if self.negatives:
            raise UsageError("--contrast: a contrast has no negatives", "Leave out --negative.")
        if "point" in self.settings:
            raise UsageError(
                "--contrast: a --point of one image is nowhere in another", "Leave one out."
            )

    def _refuse_target(self) -> None:
        if self.target in {"dot", "cosine", "distance"} and not Path(self.target).exists():
            raise UsageError(f"--target {self.target}: it is --gradient-of now")  # of gradcam
        beside = {
            "--center": self.center,
            "--contrast": self.contrast,
            "--negative": self.negatives,
            "--point": "point" in self.settings,
            "--matches": "matches" in self.settings,
        }
        found = next((flag for flag, value in beside.items() if value), None)
        if self.target is not None and found is not None:
            raise UsageError(f"{found}: with --target a concept is no image", "Leave one out.")

    @property
    def all_settings(self) -> dict[str, str]:
        """What is set of the methods, as texts: by the preset, and before it as typed."""
        methods = choose_methods(self.method, self.settings)
        return {**preset_settings(self.preset, methods), **self.settings}

    @property
    def choice(self) -> ModelChoice:
        """The network, if one is named."""
        return choose_model(self)

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        picture = "overlay" if self.overlay else "saliency"
        columns = ["query", "retrieved", "method", "explains", "similarity_check", picture]
        return Shown(columns, picture, group="query", pictures=True)
