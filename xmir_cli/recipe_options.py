"""The flags that say how 'xmir train' trains; without them it is as the recipe has it."""

from typing import Annotated

import typer

from xmir_cli.training import recipe, schedule

_LARGEST_STEP = 1000.0  # of Adam; far beyond, float32 cannot say it

Preset = Annotated[
    recipe.RecipeName | None,
    typer.Option(
        "--preset",
        help="paper: the X-MIR paper's recipe to the letter, whatever the default becomes: "
        "triplet loss with a margin of 0.2, 16 images of each class in a batch, Adam at 1e-4, "
        "20 epochs, the last one kept; flags that are typed go before.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        min=1,
        help="How many. An epoch ends when the smallest class has no full batch left (of the "
        "larger ones other images come the next time), or as --sampler says. "
        f"[default: as many as give {recipe.LEAST_STEPS} steps, at least {recipe.LEAST_EPOCHS}]",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        help="End after so many batches instead, in whichever epoch that is. Such a run is "
        "continued with its own number of steps alone.",
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        "--per-class",
        min=2,
        help=f"Images of each class in a batch, at least. [default: {recipe.DEFAULT.per_class}]",
    ),
]
ClassesPerBatch = Annotated[
    str | None,
    typer.Option("--classes-per-batch", metavar="all|N", help="Classes in a batch. [default: all]"),
]
Sampler = Annotated[
    recipe.Sampler | None,
    typer.Option(
        "--sampler",
        help="smallest: no image twice in an epoch, which ends when the smallest class runs "
        "out. all: every image in every epoch; as batches have as many of each class, those "
        f"of smaller classes come again, in other views. [default: {recipe.DEFAULT.sampler}]",
    ),
]
Loss = Annotated[
    recipe.LossName | None,
    typer.Option(
        "--loss",
        help="triplet: batch-all (Schroff et al., CVPR 2015). supcon: supervised contrastive, "
        "temperature 0.1 (Khosla et al., NeurIPS 2020). multi-similarity: with its choice of "
        "pairs (Wang et al., CVPR 2019). proxy-anchor: trains a vector for each class beside "
        "the network, at 100 times the learning rate (Kim et al., CVPR 2020). "
        f"[default: {recipe.DEFAULT.loss}]",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        "--margin",
        min=0,
        help="Of the triplet loss: how much farther the negative must lie. "
        f"[default: {recipe.DEFAULT.margin}]",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        min=0,
        max=_LARGEST_STEP,
        help=f"Adam's step size. [default: {recipe.DEFAULT.learning_rate}]",
    ),
]
HeadLearningRate = Annotated[
    float | None,
    typer.Option(
        "--head-learning-rate",
        min=0,
        max=_LARGEST_STEP,
        help="That of the weights after the feature map, such as those of --head. "
        "[default: --learning-rate]",
    ),
]
Schedule = Annotated[
    schedule.Schedule | None,
    typer.Option(
        "--schedule",
        help="cosine: the step size grows over the first tenth of the run, then falls to 0: "
        "epochs end with equal numbers where constant ones jump. Such a run is continued with "
        f"its own number of epochs alone. [default: {recipe.DEFAULT.schedule}]",
    ),
]
AttentionLoss = Annotated[
    float,
    typer.Option(
        "--attention-loss",
        metavar="GAMMA",
        min=0,
        help="Weight (0.2 to 0.5) of a second loss: what the attention maps of a triplet "
        "leave unseen shall not tell positive from negative (Zheng et al., CVPR 2019). "
        "At most doubles the work.",
    ),
]
RandomResizedCrop = Annotated[
    bool, typer.Option("--random-resized-crop", help="Crop at random, not the centre.")
]
Shift = Annotated[
    bool | None,
    typer.Option(
        "--shift/--no-shift",
        help="Cut the square that the network sees from any place of the resized picture, not "
        "its middle. [default: so, but with --random-resized-crop or --preset paper]",
    ),
]
NoFlip = Annotated[
    bool, typer.Option("--no-flip", help="Never mirror (mirrored hearts lie on the right).")
]
FreezeBatchnorm = Annotated[
    bool, typer.Option("--freeze-batchnorm", help="Keep every batch norm as it is.")
]
FreezeLayers = Annotated[
    int | None,
    typer.Option(
        "--freeze-layers",
        metavar="N",
        min=0,
        help="Keep the first N blocks as they are. A block is a part with weights on the way "
        "from the image to the feature map, as the network's code names it: of densenet121 "
        "conv0, norm0, denseblock1, transition1 and so on, of a transformer each layer. What "
        "is frozen is said by name before the first step; a number that is too large lists "
        "all blocks. [default: half of them; of weights random:SEED none]",
    ),
]
Keep = Annotated[
    recipe.Keep | None,
    typer.Option(
        "--keep",
        help="The epoch whose weights are kept: the last one, or the best one by the mAP of "
        "the validation rows, where images of the query's own patient do not count. Choose by "
        f"a split val, never by what is to be reported. [default: {recipe.DEFAULT.keep}]",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        metavar="N",
        min=1,
        help="With --keep best: end after N epochs without a better one. [default: never]",
    ),
]
