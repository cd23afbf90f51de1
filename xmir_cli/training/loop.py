"""The training loop: batches of P classes x K images, a loss, Adam; an epoch at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xmir_cli.errors import DataError, ModelError, SettingError, is_starved
from xmir_cli.signals import ending_waits
from xmir_cli.training.attention import check_maps, draw_triplets, triplet_count
from xmir_cli.training.examples import Example
from xmir_cli.training.forward import ForwardPass, share_gradients
from xmir_cli.training.freeze import frozen_parts, settle_freezing, train_except
from xmir_cli.training.objective import PROXY_RATE, Objective
from xmir_cli.training.plan import Plan, plan_run
from xmir_cli.training.ranks import ALONE, Ranks
from xmir_cli.training.recipe import Settings
from xmir_cli.training.sampler import SAMPLERS, count_visits, least_images
from xmir_cli.training.schedule import step_share
from xmir_cli.training.targets import Targets
from xmir_cli.training.views import Views
from xmir_cli.workarounds.torch.processor import has_bfloat16

BatchNumbers = tuple[float, float, float]  # loss, violating fraction, attention loss of a batch


@dataclass(frozen=True)
class Outcome:
    """What an epoch of training gave, or its batches so far."""

    loss: float  # mean over the batches
    violating_fraction: float  # mean over the batches
    attention_loss: float | None  # mean over the batches; None where it is not computed
    images_per_second: float


class Trainer:
    """A network in training with its optimiser; on several `ranks` each trains on its part.

    All randomness comes from (seed, epoch, batch) and an image's place in the table, so that a run
    which is continued after any batch ends with the same weights as one that never stopped.
    `steps` is what each batch of epoch `number` gave, as long as no step is `torn`: an interruption
    waits for the step to end, but a second one does not.
    """

    def __init__(self, feed: Views, settings: Settings, ranks: Ranks = ALONE) -> None:
        self.feed, self.ranks, self.embedder = feed, ranks, feed.embedder
        self.network, self.device = self.embedder.network, self.embedder.device
        if self.embedder.precision == "bf16" and not has_bf16(self.device):
            raise ModelError(
                f"`precision` bf16: this device ({self.device}) has no fast bfloat16",
                "Leave it out, or use a CUDA device or a processor with AVX-512 BF16 or AMX.",
            )
        learned = not self.embedder.spec.weights.startswith("random:")
        settings = self.settings = settle_freezing(settings, self.network, learned)
        if settings.attention_loss:
            check_maps(self.network)
        self.frozen_blocks, self.frozen_norms = frozen_parts(self.network, settings)
        self.frozen = {**self.frozen_blocks, **self.frozen_norms}
        train_except(self.network, self.frozen.values())
        groups = self._groups()
        forward = ForwardPass(self.network, ranks, self.embedder.precision == "bf16")
        self.forward = share_gradients(forward, self.device)
        self.objective = Objective(settings)
        self.optimizer = torch.optim.Adam(groups, lr=settings.learning_rate)
        self.number, self.steps, self.torn = 0, list[BatchNumbers](), False
        self.draws = False  # whether the network itself draws at random: dropout, stochastic depth

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What has weights that are trained."""
        return {"network": self.network, "objective": self.objective}

    def prepare(self, classes: int) -> None:
        """Make what the loss learns for each of so many classes, if that is not done yet."""
        if made := self.objective.prepare(classes, self.network.dim, self.device):
            rate = self.settings.learning_rate * PROXY_RATE
            self.optimizer.add_param_group({"params": made, "lr": rate, "peak": rate})

    def _groups(self) -> list[dict[str, Any]]:
        """The weights to train by their learning rate, which `peak` keeps.

        Raises ModelError where there are none, SettingError where the head has none to learn.
        """
        rate, other = self.settings.learning_rate, self.settings.head_learning_rate
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        if not trained:
            raise ModelError("every weight is frozen; there is nothing to train")
        if other is None:
            return [{"params": trained, "peak": rate}]
        of_head = set(self.network.head.parameters())
        head = [weight for weight in trained if weight in of_head]
        if not head:
            raise SettingError(
                "head_learning_rate", "the head has no weights to train", "Give it some by `head`."
            )
        body = [weight for weight in trained if weight not in of_head]
        groups = [
            {"params": body, "lr": rate, "peak": rate},
            {"params": head, "lr": other, "peak": other},
        ]
        return [group for group in groups if group["params"]]

    def check_parts(self, examples: Sequence[Example]) -> None:
        """Raise DataError unless every rank has a part of a batch and of its triplets."""
        ranks, settings = self.ranks.size, self.settings
        labels = [example.label for example in examples]
        batch = least_images(labels, settings.per_class, settings.classes_per_batch)
        if batch < ranks:
            raise DataError(
                f"a batch has {batch} images, fewer than {ranks} ranks",
                "Raise `per_class`, or start fewer ranks.",
            )
        triplets = triplet_count(batch)
        if settings.attention_loss and triplets < ranks:
            raise DataError(
                f"the attention loss has {triplets} triplets a batch, fewer than {ranks} ranks",
                "Start fewer ranks, or leave `attention_loss` out.",
            )

    def epoch(
        self,
        number: int,
        examples: Sequence[Example],
        told: Callable[[Outcome], None] = lambda _: None,
        begun: Sequence[BatchNumbers] = (),
    ) -> Outcome:
        """Train one epoch, `number` counted from 1; after each batch `told` hears how it goes.

        The batches that `begun` tells of are done already. Raises ModelError when the loss is no
        longer finite or memory does not suffice.
        """
        settings, start = self.settings, time.monotonic()
        labels = [example.label for example in examples]
        seed = settings.seed, number
        plan, batches = self.plan(labels), self.batches(number, labels)
        left = batches[len(begun) :]
        self.check_parts(examples)
        known = Targets(labels)
        self.prepare(known.count)
        self.number, self.steps = number, list(begun)
        train_except(self.network, self.frozen.values())
        own = [self.ranks.own(batch) for batch in count_visits(batches)[len(begun) :]]
        with (
            torch.random.fork_rng([self.device] if self.device.type == "cuda" else []),
            self.ranks.ending_together() as end_if_asked,
        ):
            views = self.feed.load_augmented(own, examples, settings.augmentation, seed)
            for place, (batch, images) in enumerate(zip(left, views, strict=True), len(begun)):
                rng = np.random.default_rng((*seed, place, 1))
                torch.manual_seed(int(rng.integers(2**62)) + self.ranks.rank)  # for dropout
                targets = known.of(batch)
                triplets = draw_triplets(targets, rng) if settings.attention_loss else None
                where = f"epoch {number}, batch {place + 1}"
                self._set_step_size(plan.share_done(number, (place + 0.5) / len(batches)))
                with ending_waits():
                    self.torn = True
                    self.steps.append(self.step(images, targets.to(self.device), where, triplets))
                    self.torn = False
                done = sum(map(len, left[: place + 1 - len(begun)]))
                told(self._outcome(done / (time.monotonic() - start)))
                end_if_asked()
        return self._outcome(sum(map(len, left)) / (time.monotonic() - start))

    def batches(self, number: int, labels: Sequence[str]) -> list[list[int]]:
        """The batches of an epoch: positions in `labels`, the labels of every image."""
        settings = self.settings
        seed = settings.seed, number
        draw = SAMPLERS[settings.sampler]
        whole = draw(labels, settings.per_class, settings.classes_per_batch, seed)
        return whole if settings.steps is None else whole[: self.plan(labels).lengths[number - 1]]

    def plan(self, labels: Sequence[str]) -> Plan:
        """How many steps the run has on images of these classes."""
        return plan_run(self.settings, tuple(labels))

    def _outcome(self, speed: float) -> Outcome:
        loss, violating, attention = np.mean(self.steps, axis=0).tolist()
        return Outcome(loss, violating, attention if self.settings.attention_loss else None, speed)

    def step(
        self, images: Tensor, labels: Tensor, where: str, triplets: Tensor | None = None
    ) -> BatchNumbers:
        """One update on images [b, 3, S, S]: the loss before it, violating fraction, attention.

        They are this rank's part of a batch, `labels` [B] those of all of it; in it are the
        positions `triplets` [T, 3] on which the attention loss is taken, None for nowhere.
        """
        self.optimizer.zero_grad()
        try:
            raw, mined = self._pass(images, triplets)
            # of the whole batch: a rank has the part of the gradient that is its own
            loss = self.objective(self.ranks.gather(raw, len(labels)), labels)
            total = loss.value + self.settings.attention_loss * mined
            if not total.isfinite():
                found = float(total.detach())
                raise ModelError(f"{where}: the loss is {found}", "Lower `learning_rate`.")
            (total * self.ranks.size).backward()  # gradients are averaged: the mean is their sum
            self.objective.share_gradients(self.ranks)
        except RuntimeError as error:
            if not is_starved(error):
                raise
            raise ModelError(
                f"{self.device}: not enough memory for a batch of {len(images)} images",
                "Lower `per_class` or `input_size`, or freeze the first layers.",
            ) from None
        self.optimizer.step()
        return float(loss.value.detach()), loss.violating, float(self.ranks.sum(mined))

    def _set_step_size(self, done: float) -> None:
        share = step_share(self.settings.schedule, done)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    def _pass(self, images: Tensor, triplets: Tensor | None) -> tuple[Tensor, Tensor]:
        """Raw embeddings and attention loss of this rank's part; sees whether the network draws."""
        before = None if self.ranks.size == 1 else self._dice()
        raw, mined = self.forward(images, triplets)
        self.draws = self.draws or (before is not None and not torch.equal(before, self._dice()))
        return raw, mined

    def _dice(self) -> Tensor:
        """The state of the generator that the network draws from."""
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        return torch.get_rng_state()


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 runs in hardware: emulated it is several times slower than float32."""
    if device.type != "cpu":
        return device.type == "cuda"
    return has_bfloat16()
