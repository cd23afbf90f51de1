"""How images are prepared, in words: said once, where a folder or a library decides it."""

from dataclasses import replace

from xmir_cli.model.network import Architecture
from xmir_cli.wire.model import Preprocessing

_SIDES = {"crop": "shorter side", "pad": "longer side", "squash": "both sides"}


def say(recipe: Preprocessing) -> str:
    """The recipe in a line: sizes, interpolation, mean and deviation."""
    resized = f"{_SIDES[recipe.view]} {recipe.resize}, {recipe.interpolation}"
    square = f"the {recipe.input_size} x {recipe.input_size} in the centre"
    mean, std = (
        ",".join(f"{value:.6g}" for value in (each[:1] if len(set(each)) == 1 else each))
        for each in (recipe.mean, recipe.std)
    )
    cut = "" if (recipe.view, recipe.resize) == ("squash", recipe.input_size) else f", {square}"
    return f"{resized}{cut}; mean {mean}, std {std}"


def tell(
    architecture: Architecture,
    name: str,
    file: str,
    odd: tuple[str, ...] = (),
    unsaid: tuple[str, ...] = (),
) -> Architecture:
    """The architecture, which says that its recipe is from a file, and what is not as there.

    Without a file it says which recipe is assumed; so it does of the parts that are unsaid.
    """
    said = say(architecture.preprocessing)
    line = f"{name}: images are prepared as its {file} says: {said}"
    if not file:
        line = f"{name}: it does not say how images are prepared; assumed is {said}"
    elif unsaid:
        without = f"does not say all of how images are prepared ({', '.join(unsaid)})"
        line = f"{name}: its {file} {without}; assumed is {said}"
    return replace(
        architecture, notes=(line, *architecture.notes, *(f"{name}: {each}" for each in odd))
    )
