"""How a linear head is trained on stored vectors, where nothing else is asked for."""

from xmir_cli.training.recipe import Settings

HEAD_DIM = 128  # numbers of an embedding; no more than the vectors have
HEAD = Settings(
    steps=200,
    per_class=16,
    sampler="all",
    loss="triplet",
    learning_rate=1e-3,
    schedule="cosine",
)

# settings of a training run that are about images, or about networks that they pass
OF_IMAGES = (
    *("preset", "attention_loss", "random_resized_crop", "no_flip", "shift"),
    *(
        "freeze_batchnorm",
        "freeze_layers",
        "head_learning_rate",
        "input_size",
        "resize",
        "view",
        "pool",
    ),
    *("mean", "std", "window", "precision"),
)
