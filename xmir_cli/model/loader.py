"""The one place where a network is built, filled with weights and put on a device."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from xmir_cli import console
from xmir_cli.errors import ModelError, SettingError
from xmir_cli.guesses import near_hint
from xmir_cli.model.architectures import build_architecture, is_own, source_of, trust
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.embedder import BATCH, Embedder
from xmir_cli.model.folders import OWN_WEIGHTS, full_name, is_folder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.weights import fill, fill_with, hash_weights, read_recorded_spec
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.wire.model import ModelSpec, Preprocessing, check_window
from xmir_cli.wire.ranges import (
    LARGEST_HEAD,
    LARGEST_INPUT,
    LARGEST_RESIZE,
    Triple,
    check_mean,
    check_std,
)
from xmir_cli.workarounds.glibc import keep_freed_memory

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


def resolve_model(choice: ModelChoice) -> ModelSpec:
    """The description of the model that is meant; its weights are not read yet.

    Raises:
        SettingError: Two choices exclude each other, or a value cannot be.
        ModelError: The file of `choice.model` is no checkpoint of xmir.
    """
    spec = _described(choice) if choice.model is None else _recorded(choice)
    recipe = _override(spec.preprocessing, choice)
    _refuse_larger("head", spec.head, LARGEST_HEAD)
    _refuse_larger("input_size", recipe.input_size, LARGEST_INPUT)
    _refuse_larger("resize", recipe.resize, LARGEST_RESIZE)
    return replace(spec, preprocessing=recipe)


def _refuse_larger(name: str, value: int | None, largest: int) -> None:
    """Raise SettingError for a size that a description of the model may not have."""
    if value is not None and value > largest:
        raise SettingError(name, f"expected {largest} at the most, found {value}")


def _recorded(choice: ModelChoice) -> ModelSpec:
    """The model of one of xmir's checkpoints."""
    assert choice.model is not None
    if any((choice.architecture, choice.weights, choice.head, choice.pool)):
        raise SettingError(
            "model", "already says the architecture, the weights, the pooling and the head"
        )
    _refuse_other_kind(choice.model)
    spec = read_recorded_spec(choice.model)
    if spec is None:
        raise ModelError(
            f"{choice.model}: not a checkpoint of xmir",
            f"Name its network: `architecture` densenet121 `weights` {choice.model}.",
        )
    return spec


def _refuse_other_kind(file: str) -> None:
    """Raise ModelError for a file that is known to hold no weights, and for none."""
    if not Path(file).exists():
        raise ModelError(f"{file}: no such checkpoint", near_hint(file, ["imagenet"]))
    kind = find_kind(Path(file))
    if kind not in {"", "checkpoint"}:
        raise ModelError(
            f"{file}: no checkpoint, but {called(kind)}",
            next_step("checkpoint", kind, file) or "One is made by 'xmir train'.",
        )


def _described(choice: ModelChoice) -> ModelSpec:
    """An architecture with weights, its preprocessing that of the architecture."""
    name = choice.architecture or DEFAULT_ARCHITECTURE
    folder = is_folder(name)
    place = _place(choice.weights or (OWN_WEIGHTS if folder else "imagenet"), folder)
    if folder:
        name = full_name(name)
    elif name.partition(":")[0].endswith(".py"):
        name = str(Path(name).resolve())
    trust(name)
    pool = choice.pool or "native"
    built = build_architecture(name, choice.input_size, pool)
    for line in built.notes:
        console.note(line)
    return ModelSpec(name, place, choice.head, built.preprocessing, pool=pool)


def _place(weights: str, folder: bool) -> str:
    """Where the weights are from, said so that it means the same from any working folder."""
    if weights == (OWN_WEIGHTS if folder else "imagenet") or weights.startswith("random:"):
        return weights
    if weights in {OWN_WEIGHTS, "imagenet"}:
        whose = "a folder brings its own weights" if folder else "`architecture` is no folder"
        raise SettingError("weights", f"{whose}, it has none called {weights}", value=weights)
    _refuse_other_kind(weights)
    return str(Path(weights).resolve())


def _override(recipe: Preprocessing, choice: ModelChoice) -> Preprocessing:
    recipe = _resized(recipe, choice)
    if choice.mean is not None:
        recipe = replace(recipe, mean=_numbers("mean", choice.mean, check_mean))
    if choice.std is not None:
        recipe = replace(recipe, std=_numbers("std", choice.std, check_std))
    if choice.window is not None:
        recipe = replace(recipe, window=_window(choice.window))
    return recipe


def _resized(recipe: Preprocessing, choice: ModelChoice) -> Preprocessing:
    """The recipe with the sizes and the view of the choice.

    Without a resize it keeps its proportion to the input; a view of the whole picture takes the
    place of the crop's margin.
    """
    size = recipe.input_size if choice.input_size is None else choice.input_size
    resize, view = round(recipe.resize * size / recipe.input_size), recipe.view
    if choice.view is not None and choice.view != view:
        view = choice.view
        resize = resize if view == "crop" else size
    if choice.resize is not None:
        resize = choice.resize
    return replace(recipe, input_size=size, resize=resize, view=view)


def _window(given: str) -> str:
    try:
        return check_window(given)
    except ValueError as error:
        raise SettingError("window", f"{error}, found {given}") from None


def _numbers(name: str, given: str, check: Callable[[Triple], Triple]) -> Triple:
    try:
        values = [float(part) for part in given.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise SettingError(name, f"expected one number or three with commas, found {given}")
    try:
        return check((values[0], values[1], values[2]))
    except ValueError as error:
        expected = str(error).removeprefix(f"{name}: ")
        raise SettingError(name, f"{expected}, found {given}") from None


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
            f"{spec.weights}: not the recorded weights ({found[:12]} is not "
            f"{spec.weights_sha256[:12]})",
            "Embed and index again with these weights, or pass the recorded ones.",
        )
    return Embedder(network, replace(spec, weights_sha256=found), place, precision, batch)


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
        reason = " ".join(str(error).split())[:120] or type(error).__name__
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
        place, lines = spec.weights, fill(network, architecture, spec.weights)
    for line in lines:
        console.note(f"{place}: {console.in_words(line)}")


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
