"""Train timm's network with pytorch-metric-learning: what `xmir train` is measured against.

    python examples/training/peers.py TABLE RECIPE --arch NAME --weights FILE --seed 0 -o OUT

TABLE is a labels.csv (path, label, patient, split); its rows with the split train are used. RECIPE:
`triplet`, batch-all at 1e-4; `supcon`, supervised contrastive, cosine from 3e-4; and, with the
first parts as they are and cosine from 3e-4, `frozen-triplet` and `frozen-supcon`. All of them take
16 images of each class a step, from all images, mirrored one time in two. OUT is a safetensors file
with timm's names, which `xmir embed --arch timm:NAME --weights OUT` reads.

Needs pytorch-metric-learning and timm; nothing of xmir.
"""

import argparse
import csv
import math
import random
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from pytorch_metric_learning import losses, samplers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.transforms import v2

LOSSES = {
    "triplet": lambda: losses.TripletMarginLoss(margin=0.2),
    "supcon": lambda: losses.SupConLoss(temperature=0.1),
}
WARM = 0.1  # the share of the steps in which a cosine's first ones grow


def main() -> None:
    """Train with one recipe and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("recipe", choices=[*LOSSES, *(f"frozen-{name}" for name in LOSSES)])
    parser.add_argument("--arch", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--freeze", type=int, default=2, help="stages after the stem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", "-o", required=True)
    asked = parser.parse_args()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(asked.seed)

    network = timm.create_model(asked.arch, pretrained=False, num_classes=0)
    network.load_state_dict(load_file(asked.weights))
    network.to(memory_format=torch.channels_last)
    images, labels = read(asked.table, timm.data.resolve_model_data_config(network))
    frozen = asked.recipe.startswith("frozen-")
    train(network, images, labels, asked, first_parts(network, asked.freeze) if frozen else [])
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, asked.out)


def read(table: Path, config: dict[str, object]) -> tuple[Tensor, list[int]]:
    """All training images [N, 3, S, S] in the network's range, and their classes."""
    rows = [row for row in csv.DictReader(table.open()) if row["split"] == "train"]
    names = sorted({row["label"] for row in rows})
    side = config["input_size"][-1]
    view = v2.Compose(
        [
            v2.Resize(round(side / config["crop_pct"]), v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(side),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(config["mean"], config["std"]),
        ]
    )
    images = [view(Image.open(table.parent / row["path"]).convert("RGB")) for row in rows]
    return torch.stack(images), [names.index(row["label"]) for row in rows]


def first_parts(network: nn.Module, stages: int) -> list[nn.Module]:
    """The stem and the first stages of an EfficientNet."""
    return [network.conv_stem, network.bn1, *network.blocks[:stages]]


def train(
    network: nn.Module,
    images: Tensor,
    labels: list[int],
    asked: argparse.Namespace,
    frozen: list[nn.Module],
) -> None:
    """So many steps of Adam on batches of 16 images a class."""
    network.train()
    for part in frozen:
        part.eval().requires_grad_(False)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    constant = asked.recipe == "triplet"
    optimizer = torch.optim.Adam(weights, lr=1e-4 if constant else 3e-4)
    steps = asked.steps

    def share(step: int) -> float:
        done = (step + 0.5) / steps
        cosine = (1 + math.cos(math.pi * (done - WARM) / (1 - WARM))) / 2
        return 1.0 if constant else done / WARM if done < WARM else cosine

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    loss = LOSSES[asked.recipe.removeprefix("frozen-")]()
    size = 16 * len(set(labels))
    sampler = samplers.MPerClassSampler(labels, 16, size, length_before_new_iter=steps * size)
    order = torch.tensor(list(sampler)).view(steps, size)
    for step, chosen in enumerate(order, 1):
        batch = images[chosen]
        mirrored = torch.rand(size) < 0.5
        batch[mirrored] = batch[mirrored].flip(-1)
        optimizer.zero_grad()
        vectors = network(batch.contiguous(memory_format=torch.channels_last))
        value = loss(vectors, torch.tensor(labels)[chosen])
        value.backward()
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            print(f"step {step}: loss {value.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
