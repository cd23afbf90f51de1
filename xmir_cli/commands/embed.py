"""Build: turn images into unit vectors: alike images lie near."""

import re
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from xmir_cli import options
from xmir_cli.embedding.own_shard import find_piece
from xmir_cli.embedding.places import FileFormat, OutputPlaces
from xmir_cli.errors import SettingError, UsageError
from xmir_cli.inputs import refuse_stdin
from xmir_cli.model.choice import ModelChoice, choose_model
from xmir_cli.printer import Shown
from xmir_cli.saliency import feature_methods, place_methods
from xmir_cli.store.outputs import (
    RECEIPT_COLUMNS,
    network_files,
    refuse_input,
)
from xmir_cli.values import check_values

OF_IMAGES = (
    *("columns", "input_size", "resize", "view", "pool", "mean", "std", "window", "features"),
    *("fast_decode", "engine", "precision", "resume"),
)
_CLUSTER = re.compile(r"ray://(\[[^\s/\]]+\]|[^\s/:\[\]]+):\d{1,5}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Embed:
    """Turn images into unit vectors: alike images lie near.

    Without --model or --arch it is the paper's network: densenet121 with ImageNet weights. Images
    that cannot be read are named and left out (exit 3). --resume keeps every row whose file and
    model are the same, of an interrupted run or of an existing output.

    Several processes share a job when each is told its --shard, or started by torchrun or by an
    array or step of Slurm. All are given the same images and flags, and -o a folder that all of
    them see. Each writes part-NNNNNN.parquet there, and every command that reads embeddings takes
    the folder: its rows are those of one process, byte by byte, in the same order. A shard that is
    missing is named; with --resume what is done of one is kept, for files that are the same. Under
    torchrun each process takes the CUDA device of its LOCAL_RANK.

    With --engine ray this process lists, orders and writes, and workers of Ray embed: one a CUDA
    device, or one for every 4 processors. All nodes have xmir, and the images at the same places;
    the code and weights that are named go along. A worker or node that is lost costs time alone,
    and --resume goes on where a killed run has stopped. Start clusters with RAY_worker_niceness=0.

    EMBEDDINGS.parquet with --model HEAD, a head that 'xmir train EMBEDDINGS.parquet' made, gives
    the head's embeddings of the vectors that are stored: no image is read, and 100,000 vectors of
    1,280 numbers take eight seconds. The vectors have to be those of the model that the head was
    trained on. With any other model such a table is a list of images, which are embedded anew.
    """

    images: options.Images
    null: options.NullSeparated = False
    where: options.Where = None
    columns: options.Columns = None
    exclude: options.Exclude = None
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
            help="The embeddings, NAME.parquet; of shards their folder. Without it, or with -, an "
            "Arrow stream goes into the pipe.",
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Embed the I-th of N contiguous pieces of the images. [default: what RANK and "
            "WORLD_SIZE, SLURM_ARRAY_TASK_ID and _COUNT, SLURM_PROCID and _NTASKS say; else all]",
        ),
    ] = None
    file_format: Annotated[
        FileFormat,
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
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="local|ray[://HOST:PORT]",
            help="Who embeds: this process, or workers of Ray. HOST:PORT is the address of a "
            "cluster that this machine has joined by 'ray start'; without it that of RAY_ADDRESS, "
            "else one that is started here for the command. Same bytes.",
        ),
    ] = "local"
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
            "such a file. Of shards each writes its own, FILE-NNNNNN.jsonl.",
        ),
    ] = None
    resume: options.Resume = False
    force: options.Force = False

    form: ClassVar[None] = None
    shown: ClassVar[Shown] = Shown(RECEIPT_COLUMNS)

    def __post_init__(self) -> None:
        check_values(self, streams={"output"})
        self._refuse_engine()
        self._refuse_inputs()
        self.places.check(self.images, self.resume, self.force)
        if self.features and self.file_format == "npy":
            raise UsageError("--features: a bare matrix holds none", "Use --file-format parquet.")
        refuse_stdin(self.images, "embed")
        if self.stored is not None:
            self._refuse_of_images()

    @cached_property
    def stored(self) -> str | None:
        """The embeddings that a head is to be applied to; None where images are to be read."""
        from xmir_cli.store.vectors_there import find_vectors, holds_head  # noqa: PLC0415 # pyarrow

        if self.model is None or not holds_head(Path(self.model)):
            return None
        return find_vectors(self.images)

    def _refuse_of_images(self) -> None:
        """Raise SettingError for what decides how images are read and embedded."""
        plain = {field.name: field.default for field in fields(self)}
        for name in OF_IMAGES:
            if getattr(self, name) != plain[name]:
                raise SettingError(name, "not with stored vectors, of which no image is read")
        if self.places.piece is not None:
            raise UsageError("stored vectors are turned by one process, in seconds")

    def _refuse_engine(self) -> None:
        if self.engine not in {"local", "ray"} and not _CLUSTER.fullmatch(self.engine):
            raise SettingError(
                "engine", "expected local, ray or ray://HOST:PORT", value=self.engine
            )
        if self.engine != "local" and find_spec("ray") is None:
            raise UsageError("--engine ray needs the package ray", "pip install 'xmir[ray]'")

    def _refuse_inputs(self) -> None:
        files = [
            *self.images,
            self.model,
            self.weights,
            self.exclude,
            *network_files(self.architecture or self.model),
        ]
        refuse_input(self.places.skips, [*files, self.places.file], "left_out")
        refuse_input(self.places.file, files)
        if self.places.file is not None and self.file_format == "npy":
            refuse_input(self.places.file.with_suffix(".items.parquet"), files)

    @cached_property
    def places(self) -> OutputPlaces:
        """Where this process writes."""
        return OutputPlaces(self.output, self.left_out, self.file_format, find_piece(self.shard))

    @property
    def choice(self) -> ModelChoice:
        """The network."""
        return choose_model(self)
