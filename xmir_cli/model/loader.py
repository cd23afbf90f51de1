"""The one place where a network is built, filled with weights and put on a device."""

import ctypes
import sys
from dataclasses import replace
from pathlib import Path

import torch

from xmir_cli import console
from xmir_cli.errors import ModelError, UsageError
from xmir_cli.model.architectures import build, trust
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.weights import (
    digest,
    fill,
    fill_from_timm,
    fill_from_torchvision,
    recorded_spec,
)
from xmir_cli.records import ModelSpec, Preprocessing, check_window

DEFAULT_ARCHITECTURE = "densenet121"  # the paper's


def pick_device(name: str) -> torch.device:
    """The device `name`; `auto` takes cuda, mps, cpu in that order and says so.

    Raises ModelError for a named device that is not there: never a silent run on the CPU.
    """
    if name == "auto":
        device = torch.device(_best())
        if device.type != "cpu":
            console.note(f"running on {device}")
        return device
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"--device: expected auto, cpu, cuda, cuda:N or mps, found {name}"
        ) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"{name}: no such CUDA device; {torch.cuda.device_count()} are here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("mps: not available on this machine")
    return device


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def make_spec(  # noqa: PLR0913 # the flags that describe a model
    model: str | None,
    architecture: str | None,
    weights: str | None,
    head: int | None,
    input_size: int | None,
    mean: str | None,
    std: str | None,
    window: str | None = None,
) -> ModelSpec:
    """What the flags describe: one of xmir's checkpoints, or an architecture with weights."""
    if model is not None:
        if architecture is not None or weights is not None or head is not None:
            raise UsageError("--model already says the architecture, the weights and the head")
        spec = recorded_spec(model)
        if spec is None:
            raise ModelError(
                f"{model}: not a checkpoint of xmir",
                f"Name its network: --arch densenet121 --weights {model}.",
            )
        spec = replace(spec, weights=str(Path(model).resolve()))
    else:
        name = architecture or DEFAULT_ARCHITECTURE
        place = weights or "imagenet"
        known = place == "imagenet" or place.startswith("random:")
        if name.partition(":")[0].endswith(".py"):
            name = str(Path(name).resolve())
        trust(name)
        spec = ModelSpec(
            name,
            place if known else str(Path(place).resolve()),
            head,
            build(name, input_size).preprocessing,
        )
    recipe = _override(spec.preprocessing, input_size, mean, std)
    if window is not None:
        recipe = replace(recipe, window=_window(window))
    return replace(spec, preprocessing=recipe)


def _window(given: str) -> str:
    try:
        return check_window(given)
    except ValueError as error:
        raise UsageError(f"--window: {error}, found {given}") from None


def _override(
    recipe: Preprocessing, input_size: int | None, mean: str | None, std: str | None
) -> Preprocessing:
    if input_size is not None:
        resize = round(recipe.resize * input_size / recipe.input_size)
        recipe = replace(recipe, input_size=input_size, resize=resize)
    if mean is not None:
        recipe = replace(recipe, mean=_numbers("--mean", mean))
    if std is not None:
        recipe = replace(recipe, std=_numbers("--std", std))
        if min(recipe.std) <= 0:
            raise UsageError(f"--std: expected numbers above 0, found {std}")
    return recipe


def _numbers(flag: str, given: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in given.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise UsageError(f"{flag}: expected one number or three with commas, found {given}")
    return values[0], values[1], values[2]


def load_embedder(spec: ModelSpec, device: str = "auto", precision: str = "fp32") -> Embedder:
    """Build the network of `spec`, load its weights and check that they are the recorded ones.

    Raises ModelError when the weights cannot be had, do not fit, or differ from those recorded.
    """
    _keep_memory()
    place = pick_device(device)
    torch.backends.cuda.matmul.allow_tf32 = False  # similarities must agree with the CPU's
    torch.backends.cudnn.allow_tf32 = False
    network = load_network(spec)
    found = digest(network)
    if spec.weights_sha256 and spec.weights_sha256 != found:
        raise ModelError(
            f"{spec.weights}: not the recorded weights ({found[:12]} is not "
            f"{spec.weights_sha256[:12]})",
            "Embed and index again with these weights, or pass the recorded ones.",
        )
    return Embedder(network, replace(spec, weights_sha256=found), place, precision)


def load_network(spec: ModelSpec) -> Network:
    """The network of `spec` on the CPU with its weights; says what was renamed and dropped."""
    seed = _seed(spec.weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)  # also the head's, where a checkpoint brings none
        architecture = build(spec.architecture, spec.preprocessing.input_size)
        network = Network(architecture, spec.head)
    if seed is None:
        _fill(network, architecture, spec)
    return network


def _fill(network: Network, architecture: Architecture, spec: ModelSpec) -> None:
    if spec.weights != "imagenet":
        for line in fill(network, architecture.names, spec.weights):
            console.note(f"{spec.weights}: {line}")
    elif spec.architecture.startswith("timm:"):
        fill_from_timm(network, spec.architecture.removeprefix("timm:"))
    elif ":" in spec.architecture:
        raise ModelError(
            f"{spec.architecture}: a network of your own has no imagenet weights",
            "Pass --weights random:SEED or --weights FILE.",
        )
    else:
        fill_from_torchvision(network, architecture.names, spec.architecture)


def _seed(weights: str) -> int | None:
    if not weights.startswith("random:"):
        return None
    try:
        return int(weights.removeprefix("random:"))
    except ValueError:
        raise UsageError(f"--weights: expected random:SEED, found {weights}") from None


def _keep_memory() -> None:
    """Ask glibc to reuse freed blocks: fresh pages for every batch cost up to half the time."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # a C library without it
        return
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8
    mallopt(arena_max, 1)  # arenas of threads give their pages back all the same
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
