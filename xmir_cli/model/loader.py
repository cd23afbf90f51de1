"""The one place where a network is built, filled with weights and put on a device."""

from dataclasses import replace

import torch

from xmir_cli import console
from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.model.architectures import build_architecture, is_own, source_of
from xmir_cli.model.embedder import BATCH, Embedder
from xmir_cli.model.folders import OWN_WEIGHTS, is_folder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.recipes import say
from xmir_cli.model.resolve import DEFAULT_ARCHITECTURE, resolve_model
from xmir_cli.model.weights import fill, fill_with, hash_weights, read_recorded_spec
from xmir_cli.model.whitening import Whiten
from xmir_cli.store.whitening import read_whitener
from xmir_cli.wire.model import ModelSpec
from xmir_cli.workarounds.glibc import keep_freed_memory

__all__ = [
    "DEFAULT_ARCHITECTURE",
    "load_embedder",
    "load_network",
    "pick_device",
    "resolve_model",
    "whiten",
]


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
        raise SettingError(
            "device", f"expected auto, cpu, cuda, cuda:N or mps, found {name}"
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


def load_embedder(
    spec: ModelSpec, device: str = "auto", precision: str = "fp32", batch: int = BATCH
) -> Embedder:
    """Build the network of `spec`, load its weights and check that they are the recorded ones.

    `batch` images are to pass at once.

    Raises ModelError when the weights cannot be had, do not fit, or differ from those recorded.
    """
    keep_freed_memory()
    place = pick_device(device)
    torch.backends.cuda.matmul.allow_tf32 = False  # similarities must agree with the CPU's
    torch.backends.cudnn.allow_tf32 = False
    network = load_network(spec)
    found = hash_weights(network)
    if spec.weights_sha256 and spec.weights_sha256 != found:
        raise ModelError(
            f"{_place_of(spec)}: not the recorded weights"
            f"{' or description' if is_folder(spec.architecture) else ''} ({found[:12]} is not "
            f"{spec.weights_sha256[:12]})",
            "Embed and index again with these weights, or pass the recorded ones.",
        )
    whiten(network, spec)
    return Embedder(network, replace(spec, weights_sha256=found), place, precision, batch)


def whiten(network: Network, spec: ModelSpec) -> None:
    """Put the whitening that a spec names, if it names one, behind the network's head."""
    if spec.whitening is not None:
        network.whiten(Whiten(read_whitener(spec.whitening)))


def _place_of(spec: ModelSpec) -> str:
    return spec.architecture if spec.weights == OWN_WEIGHTS else spec.weights


def load_network(spec: ModelSpec) -> Network:
    """The network of `spec` on the CPU with its weights; says what was renamed and dropped."""
    seed = _seed(spec.weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)  # also the head's, where a checkpoint brings none
        size = spec.preprocessing.input_size
        architecture = build_architecture(spec.architecture, size, spec.pool)
        network = Network(architecture, spec.head)
    other_size = spec.preprocessing.input_size != architecture.preprocessing.input_size
    if other_size or is_own(spec.architecture):
        _try(network, spec, "input_size" if other_size else "architecture")
    if seed is None:
        _fill(network, architecture, spec)
    return network


def _try(network: Network, spec: ModelSpec, setting: str) -> None:
    """Raise SettingError for a network that fails on an image, or makes no embedding of it."""
    size, training = spec.preprocessing.input_size, network.training
    try:
        with torch.no_grad():
            maps = network.eval().features(torch.zeros(1, 3, size, size))
            if maps.ndim != 4:
                raise ValueError(f"expected features [B, C, h, w], found {list(maps.shape)}")
            found = list(network.head(maps).shape)
        if found != [1, network.dim]:
            raise ValueError(f"expected an embedding [1, {network.dim}], found {found}")
    except Exception as error:  # noqa: BLE001 # a network of any kind fails in its own way
        reason = reason_of(error)
        value = str(size) if setting == "input_size" else spec.architecture
        message = f"an image of {size} pixels does not pass {spec.architecture} ({reason})"
        raise SettingError(setting, message, value=value) from None
    network.train(training)


def _fill(network: Network, architecture: Architecture, spec: ModelSpec) -> None:
    name, folder = spec.architecture, is_folder(spec.architecture)
    if spec.weights == (OWN_WEIGHTS if folder else "imagenet"):
        place, state = name, source_of(name).pretrained(name)
        lines = fill_with(network, architecture, state, name)
        lines = lines if folder else []  # a library's own are as it gives them
    elif spec.weights in {OWN_WEIGHTS, "imagenet"}:
        raise ModelError(f"{name}: has no weights called {spec.weights}")
    else:
        _refuse_other_head(spec)
        place, lines = spec.weights, fill(network, architecture, spec.weights)
        lines += _tell_assumed(architecture, spec)
    for line in lines:
        console.note(f"{place}: {console.in_words(line)}")


def _refuse_other_head(spec: ModelSpec) -> None:
    """Raise SettingError where one of xmir's checkpoints has a head of another size."""
    recorded = read_recorded_spec(spec.weights)
    if recorded is None or recorded.head == spec.head:
        return
    own, asked = recorded.head or "none", spec.head or "none"
    raise SettingError(
        "head",
        f"expected {own}, as {spec.weights} has it, found {asked}",
        f"{f'Pass `head` {own}' if recorded.head else 'Leave `head` out'}; "
        "a head of another size can be trained on its embeddings.",
    )


def _tell_assumed(architecture: Architecture, spec: ModelSpec) -> list[str]:
    """Which recipe a file of another program is taken to mean, once: what is recorded is known."""
    own, recipe = architecture.preprocessing, spec.preprocessing
    given = own.mean != recipe.mean and own.std != recipe.std
    if given or spec.weights_sha256 or is_folder(spec.architecture):
        return []
    if read_recorded_spec(spec.weights) is not None:
        return []
    whose = f"assumed is what {spec.architecture} has: {say(recipe)}"
    return [f"it does not say how images are prepared; {whose}"]


def _seed(weights: str) -> int | None:
    if not weights.startswith("random:"):
        return None
    try:
        seed = int(weights.removeprefix("random:"))
        if abs(seed) < 2**63:  # what torch's generator takes
            return seed
        raise ValueError
    except ValueError:
        raise SettingError("weights", f"expected random:SEED, found {weights}") from None
