"""Which model is meant becomes its description; its weights are not read yet."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from xmir_cli import console
from xmir_cli.errors import ModelError, SettingError
from xmir_cli.guesses import near_hint
from xmir_cli.model.architectures import build_architecture, trust
from xmir_cli.model.choice import ModelChoice
from xmir_cli.model.folders import OWN_WEIGHTS, full_name, holds_network, is_folder
from xmir_cli.model.weights import read_recorded_spec
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

DEFAULT_ARCHITECTURE = "densenet121"  # the paper's


def resolve_model(choice: ModelChoice) -> ModelSpec:
    """The description of the model that is meant; its weights are not read yet.

    Raises:
        SettingError: Two choices exclude each other, or a value cannot be.
        ModelError: The file of `choice.model` is no checkpoint of xmir.
    """
    if choice.model and holds_network(choice.model) and choice.architecture is None:
        choice = replace(choice, model=None, architecture=choice.model)
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
