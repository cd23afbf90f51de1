"""How fast a small network embeds here."""

import time

import torch

from xmir_cli.errors import XmirError
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.loader import load_embedder
from xmir_cli.model.resolve import resolve_model
from xmir_cli.wire.records import Record

NETWORK = "mobilenet_v3_small"  # the least work of torchvision's networks that xmir takes
SECONDS = 2.0  # that are measured; loading and a first pass come before
_BATCH = 16


def measure_speed() -> Record:
    """Images a second that NETWORK with random weights embeds on the device that auto takes.

    `failed` says why there is no number.
    """
    record: Record = {"network": NETWORK, "device": None, "images_per_second": None, "failed": None}
    try:
        spec = resolve_model(ModelChoice(architecture=NETWORK, weights="random:0"))
        embedder = load_embedder(spec, batch=_BATCH)
        record["device"] = str(embedder.device)
        random = torch.Generator().manual_seed(0)
        images = torch.rand(_BATCH, 3, embedder.size, embedder.size, generator=random)
        embedder.embed(images)  # the first pass prepares the next ones
        begun, passes = time.perf_counter(), 0
        while (taken := time.perf_counter() - begun) < SECONDS or not passes:
            embedder.embed(images)
            passes += 1
    except (XmirError, RuntimeError) as error:
        record["failed"] = str(error).partition("\n")[0]
        return record
    return record | {"images_per_second": round(passes * _BATCH / taken, 1)}
