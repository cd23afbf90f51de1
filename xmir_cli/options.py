"""Each flag that two or more commands share, defined once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xmir_cli.completion import complete_architectures, complete_methods, complete_where
from xmir_cli.model.sources import known_names

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES...",
        help="Image files, globs, folders, a CSV/TSV/Parquet manifest with a 'path' column, or - "
        "for paths on standard input.",
    ),
]
NullSeparated = Annotated[
    bool, typer.Option("--null", "-0", help="Paths on standard input end with a NUL byte.")
]
NullSeparatedBoth = Annotated[
    bool,
    typer.Option(
        "--null",
        "-0",
        help="Paths on standard input, and those of --format paths, end with a NUL byte.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Keep only rows with this value, or by !=, >, >=, <, <=: 'age>60'. Numbers compare as "
        "numbers; nothing is neither larger nor different. Repeat for more.",
        autocompletion=complete_where,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="Which column of a table is xmir's path, id, label, patient or split: path=filename; "
        "repeat for more.",
    ),
]
Masks = Annotated[
    str | None,
    typer.Option(
        "--masks",
        metavar="COLUMN|DIR|TABLE",
        help="Where experts' masks are: COLUMN[,COLUMN...] of the images' own rows, a folder where "
        "they lie under the images' names, or a table with columns path and mask. PNG and other "
        "pictures, .npy, DICOM SEG; as large as the image.",
    ),
]
Boxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        metavar="FILE",
        help="Their boxes: CSV, TSV, Parquet or JSON with path, x, y, w, h in pixels of the file, "
        "upright; an image may have several rows, and one without the four says that there is no "
        "box. JSON also as COCO has it.",
    ),
]
TruthColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="Which column of a table of masks or boxes is path, mask, x, y, w or h: "
        "path=image_id; repeat for more.",
    ),
]
Exclude = Annotated[
    Path | None,
    typer.Option(
        "--exclude",
        metavar="FILE",
        help="Leave out the images that this file names: records of 'xmir audit', whose queries "
        "are known by their content wherever they lie, or ids and paths, one a line.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="FILE",
        help="A checkpoint of 'xmir train', or the FOLDER of a network.",
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME",
        help=f"The network: {known_names()}.",
        autocompletion=complete_architectures,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="imagenet|random:SEED|FILE",
        help="Where the numbers come from. [default: imagenet; of a folder its own]",
    ),
]
Head = Annotated[
    int | None,
    typer.Option("--head", min=1, help="Add a linear head of this size (256 in the paper)."),
]
InputSize = Annotated[
    int | None,
    typer.Option("--input-size", min=8, help="Side of the network's input, pixels."),
]
Resize = Annotated[
    int | None,
    typer.Option(
        "--resize",
        min=8,
        help="Pixels of the picture's shorter side (--view crop), longer (pad) or both (squash) "
        "before the square of --input-size is cut from its centre. Travels with the model. "
        "[default: the network's; for pad and squash --input-size]",
    ),
]
View = Annotated[
    Literal["crop", "pad", "squash"] | None,
    typer.Option(
        "--view",
        help="What the network sees of a picture: the square in its centre, the whole with black "
        "beside it, or the whole pressed into a square. Travels with the model. [default: crop]",
    ),
]
Pool = Annotated[
    Literal["native", "cls", "mean", "cls+mean"] | None,
    typer.Option(
        "--pool",
        help="What of a network's tokens is the embedding: what its library takes (native), the "
        "class token, the mean of the patches without registers, or both, one after the other, "
        "all after the last norm. Without tokens, mean is the average of the feature map. "
        "Travels with the model. [default: native]",
    ),
]
Mean = Annotated[
    str | None,
    typer.Option("--mean", metavar="R,G,B", help="Normalisation mean of values in [0, 1]."),
]
Std = Annotated[
    str | None, typer.Option("--std", metavar="R,G,B", help="Normalisation standard deviation.")
]
Window = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="auto|bits:N|minmax|pLOW,HIGH|C,W",
        help="Black and white of DICOM, and of PNG and TIFF of more than 8 bits: as the file says "
        "or its values suggest (auto), 0 and 2^N - 1, extremes, percentiles, or centre and width. "
        "Travels with the model.",
    ),
]
Center = Annotated[
    bool,
    typer.Option(
        "--center",
        help="Take the mean embedding of the index off both images: explain the similarity of what "
        "is left, which is not what all of them share. For methods whose map shares it out.",
    ),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template",
        metavar="'... {} ...'",
        help="What stands around the words, {} in their place, such as 'a chest X-ray of {}'; of "
        "several the mean of the embeddings is taken.",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda[:N]|mps", help="Where the network runs."),
]
Precision = Annotated[
    Literal["fp32", "bf16", "fp16"],
    typer.Option("--precision", help="Arithmetic of the network."),
]
Batch = Annotated[
    int,
    typer.Option("--batch", min=1, help="Images a forward pass; halved when memory runs out."),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Decoding threads. [default: processors]"),
]
Format = Annotated[
    Literal["table", "jsonl", "tsv", "csv", "paths"] | None,
    typer.Option("--format", help="How to print. [default: table on a terminal, jsonl in a pipe]"),
]
Show = Annotated[
    bool,
    typer.Option(
        "--show",
        help="Show the pictures in the terminal, too: sharp where it answers that it can (kitty, "
        "iTerm2, sixel), else in half blocks. A pipe or a file never gets any.",
    ),
]
NullPaths = Annotated[
    bool, typer.Option("--null", "-0", help="The paths of --format paths end with a NUL byte.")
]
Force = Annotated[
    bool,
    typer.Option("--force", "-f", help="Replace an existing output; of a link, the link itself."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue an interrupted run; keep what is done.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of everything random.")
]
Records = Annotated[
    str, typer.Argument(metavar="RECORDS", help="JSONL records; - is standard input.")
]
Methods = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="NAME[,NAME...]",
        help="One or several, in order; auto is activation, or occlusion where one of its settings "
        "is typed. For convolutional networks only: attention, gradcam, integrated-gradients, "
        "weight-transfer.",
        autocompletion=complete_methods,
    ),
]
OutputFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")
]
Colormap = Annotated[
    Literal["auto", "embers", "cold-warm", "inferno", "viridis", "blue-red"],
    typer.Option(
        "--colormap", help="Colours of the overlay; auto: embers, cold-warm for a signed map."
    ),
]
Alpha = Annotated[
    float, typer.Option("--alpha", min=0, max=1, help="Opacity of the largest saliency.")
]
