"""Build: turn images into unit vectors: alike images lie near."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import typer

from xmir_cli import options
from xmir_cli.embedding.leftover import refuse_leftover
from xmir_cli.errors import DataError, SettingError, UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.model.choice import ModelChoice
from xmir_cli.printer import Shown
from xmir_cli.saliency import feature_methods, place_methods
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import RECEIPT_COLUMNS, need_folder, network_files, refuse_input
from xmir_cli.values import check_values


@dataclass(frozen=True, kw_only=True)
class Embed:
    """Turn images into unit vectors: alike images lie near.

    Without --model or --arch it is the paper's network: densenet121 with ImageNet weights. Images
    that cannot be read are named and left out (exit 3). --resume keeps every row whose file and
    model are the same, of an interrupted run or of an existing output.
    """

    images: options.Images
    null: options.NullSeparated = False
    where: options.Where = None
    columns: options.Columns = None
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The embeddings, NAME.parquet. Without it, or with -, an Arrow stream goes into "
            "the pipe.",
        ),
    ] = None
    file_format: Annotated[
        Literal["parquet", "npy", "arrow"],
        typer.Option(
            "--file-format",
            help="parquet; arrow: an Arrow IPC stream; npy: the bare matrix, its rows described "
            "in NAME.items.parquet.",
        ),
    ] = "parquet"
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Also keep each image's last feature map, so that 'xmir saliency' makes maps "
            f"of {', '.join(feature_methods())} without the network. Of transformers the network "
            f"runs all the same for {', '.join(place_methods())}. float16; 100 kB an image "
            "with densenet121.",
        ),
    ] = False
    fast_decode: Annotated[
        bool,
        typer.Option(
            "--fast-decode",
            help="Decode large JPEGs at a half, a quarter or an eighth of their size, still twice "
            "what the network wants. Travels with the model. Embeddings move: on radiographs their "
            "cosine with the exact ones was 0.997 or more.",
        ),
    ] = False
    device: options.Device = "auto"
    precision: options.Precision = "fp32"
    batch: options.Batch = 16
    jobs: options.Jobs = None
    left_out: Annotated[
        Path | None,
        typer.Option(
            "--skips",
            metavar="FILE.jsonl",
            help="Also write path and code of every image that was left out; xmir embed - takes "
            "such a file.",
        ),
    ] = None
    resume: options.Resume = False
    force: options.Force = False

    form: ClassVar[None] = None
    shown: ClassVar[Shown] = Shown(RECEIPT_COLUMNS)

    def __post_init__(self) -> None:
        check_values(self, streams={"output"})
        self._refuse_inputs()
        if self.file is None:
            self._refuse_pipe()
        else:
            self._refuse_file(self.file)
        if self.features and self.file_format == "npy":
            raise UsageError("--features: a bare matrix holds none", "Use --file-format parquet.")
        if self.left_out is not None:
            need_folder(self.left_out)
            refuse_existing(self.left_out, self.force or self.resume)
        refuse_stdin(self.images, "embed")

    def _refuse_pipe(self) -> None:
        if self.resume or self.file_format == "npy":
            wanted = "--resume" if self.resume else "--file-format npy"
            raise UsageError(f"{wanted} needs an output: -o FILE")
        if sys.stdout is None:
            raise DataError("standard output is closed")
        if not hasattr(sys.stdout, "buffer"):  # a stand-in for it, such as a notebook's
            raise SettingError("output", "expected a file, for standard output takes no bytes")
        if sys.stdout.isatty():
            raise UsageError(
                "embeddings are no text for a terminal",
                "Name a file (-o cxr.parquet) or pipe them: xmir embed ... | xmir index - -o DIR",
            )

    def _refuse_file(self, file: Path) -> None:
        """Refuse what would only come out after hours of work."""
        if self.file_format == "npy" and file.suffix != ".npy":
            raise UsageError(f"{file}: --file-format npy writes NAME.npy and NAME.items.parquet")
        need_folder(file)
        refuse_existing(file, self.force or self.resume)
        if not self.resume and not self.force:
            refuse_leftover(file)

    def _refuse_inputs(self) -> None:
        files = [
            *self.images,
            self.model,
            self.weights,
            *network_files(self.architecture or self.model),
        ]
        refuse_input(self.left_out, [*files, self.file], "left_out")
        refuse_input(self.file, files)
        if self.file is not None and self.file_format == "npy":
            refuse_input(self.file.with_suffix(".items.parquet"), files)

    @property
    def file(self) -> Path | None:
        """Where the embeddings go, None for standard output."""
        return None if self.output == Path("-") else self.output

    @property
    def choice(self) -> ModelChoice:
        """The network."""
        return ModelChoice(
            self.model,
            self.architecture,
            self.weights,
            self.head,
            self.input_size,
            self.mean,
            self.std,
            self.window,
            resize=self.resize,
            view=self.view,
            pool=self.pool,
        )
