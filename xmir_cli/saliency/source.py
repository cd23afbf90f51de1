"""What a saliency method's file says of it, read as text: help and flags need no torch.

    class Method:
        window_size: Annotated[int, "side of the hidden square, pixels"] = 24
        from_features = True

A setting is `name: Annotated[KIND, "help"] = default` with KIND one of int, float, str, bool and
`Literal["a", "b"]`; a mark is one of the truth values of `MethodEntry`, True where it stands, and
`unit = "WORDS"` says what the numbers of its map are.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from xmir_cli.errors import MethodError

Value = int | float | str | bool

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "choice": (str,),
}
_FORM = 'expected NAME: Annotated[KIND, "help"] = default'


@dataclass(frozen=True)
class Setting:
    """One parameter of a method."""

    name: str
    kind: str  # int | float | str | bool | choice
    choices: tuple[str, ...]  # of a choice
    help: str
    default: Value
    line: int  # of the file

    @property
    def values(self) -> str:
        """What it may be, in a word."""
        return "|".join(self.choices) or self.kind


@dataclass(frozen=True)
class MethodEntry:
    """A method as the help shows it and as the explainer must know it."""

    name: str
    path: Path
    summary: str
    settings: tuple[Setting, ...]
    from_features: bool = False  # asks for no inputs and no forward passes
    need_gallery: bool = False  # its samples must carry a gallery
    of_places: bool = False  # of places, which not every network's last map has: see forms.py
    exact: bool = False  # its map shares out the product of the target with the unit embedding
    control: bool = False  # asks nothing of the query: what a method must beat
    misleads_on_tokens: bool = False  # on transformers a blob in the middle found more of the truth
    doubtful: bool = False  # so it did on convolutional networks
    need_attention: bool = False  # is made of a transformer's attention
    unit: str = ""  # of its map's numbers, in words

    @property
    def fit_for(self) -> str:
        """The networks whose truth it was shown to find."""
        if self.control:
            networks = " of transformers" if self.need_attention else ""
            return f"nothing: a control{networks}, which does not see the query"
        networks = "convolutional networks" if self.misleads_on_tokens else "every network"
        return f"{networks}, with doubt" if self.doubtful else networks


MARKS = tuple(each.name for each in fields(MethodEntry) if each.default is False)


def read_entry(name: str, path: Path) -> MethodEntry:
    """The method `name` of a file; raises MethodError for one that says it in another way."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise _unlike(path, error.lineno or 1, f"expected Python, found {error.msg}") from None
    body = _body(tree, path)
    settings = tuple(_setting(node, path) for node in body if isinstance(node, ast.AnnAssign))
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    units = [unit for node in assigned if (unit := _unit(node)) is not None]
    marks = dict(_mark(node, path) for node in assigned if _unit(node) is None)
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return MethodEntry(name, path, summary, settings, **marks, unit="".join(units[-1:]))


def refuse_two_kinds(entries: Sequence[MethodEntry]) -> None:
    """Raise MethodError when two methods share a setting's name but not what it may be."""
    first: dict[str, tuple[MethodEntry, Setting]] = {}
    for entry in entries:
        for setting in entry.settings:
            other, known = first.setdefault(setting.name, (entry, setting))
            if setting.values != known.values:
                raise _unlike(
                    entry.path,
                    setting.line,
                    f"{setting.name}: expected {known.values} as in {other.path.name}, "
                    f"line {known.line}, found {setting.values}",
                )


def _body(tree: ast.Module, path: Path) -> list[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Method":
            return node.body
    raise _unlike(path, 1, "expected a class Method, found none")


def _setting(node: ast.AnnAssign, path: Path) -> Setting:
    match node:
        case ast.AnnAssign(
            target=ast.Name(id=name),
            annotation=ast.Subscript(
                value=ast.Name(id="Annotated"),
                slice=ast.Tuple(elts=[kind, ast.Constant(value=str(text))]),
            ),
            value=ast.expr() as default,
        ):
            choices = _choices(kind)
            word = "choice" if choices else ast.unparse(kind)
            if word not in _KINDS:
                kinds = 'int, float, str, bool or Literal["...", ...]'
                found = f"{name}: expected {kinds}, found {word}"
                raise _unlike(path, node.lineno, found)
            value = _value(default, word, choices)
            if value is None:
                found = ast.unparse(default)
                expected = " or ".join(choices) or f"{word}, written out"
                raise _unlike(path, default.lineno, f"{name}: expected {expected}, found {found}")
            return Setting(name, word, choices, text, value, node.lineno)
        case _:
            raise _unlike(path, node.lineno, f"{_FORM}, found {ast.unparse(node)}")


def _choices(kind: ast.expr) -> tuple[str, ...]:
    """The texts of `Literal["a", "b"]`, nothing for another kind."""
    match kind:
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=parts)):
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            named = tuple(text for text in texts if isinstance(text, str))
            return named if len(named) == len(parts) else ()
        case _:
            return ()


def _value(default: ast.expr, kind: str, choices: Sequence[str]) -> Value | None:
    """The default when it is one of the kind; a bool is no number."""
    try:
        value: object = ast.literal_eval(default)
    except ValueError:
        return None
    fits = isinstance(value, _KINDS[kind]) and isinstance(value, bool) == (kind == "bool")
    if not fits or (choices and value not in choices):
        return None
    assert isinstance(value, int | float | str)
    return value


def _unit(node: ast.Assign) -> str | None:
    """What `unit = "..."` says."""
    match node:
        case ast.Assign(targets=[ast.Name(id="unit")], value=ast.Constant(value=str(words))):
            return words
        case _:
            return None


def _mark(node: ast.Assign, path: Path) -> tuple[str, bool]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=bool(value))) if (
            name in MARKS
        ):
            return name, value
        case _:
            found = f"found {ast.unparse(node)}"
            expected = f"expected a setting, or one of {', '.join(MARKS)} that is True"
            raise _unlike(path, node.lineno, f"{expected}; {found}")


def _unlike(path: Path, line: int, message: str) -> MethodError:
    return MethodError(
        f"{path}: line {line}: {message}", "Write it as center.py in the same folder does."
    )
