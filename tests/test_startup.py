"""Help, versions and mistakes answer at once: no heavy library is imported for them.

What they may import is computed: whatever stands at the top of the modules that describe commands,
and at the top of what those import, in turn.
"""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import xmir_cli
from xmir_cli.main import COMMANDS, load_command

PACKAGE = Path(xmir_cli.__file__).parent
HEAVY = {"torch", "torchvision", "numpy", "pyarrow", "PIL", "hnswlib", "rich", "timm", "pydantic"}
LIGHT = [
    "__main__",
    "main",
    "edge",
    "options",
    "settings",
    "completion",
    "usage_errors",
    "flags",
    "inputs",
    "values",
]

PROBE = """
import sys
from xmir_cli import main
code = main.execute(sys.argv[1:])
heavy = {name.split('.')[0] for name in sys.modules} & %r
print(sorted(heavy), file=sys.stderr)
sys.exit(code)
"""


def _imports(path: Path) -> set[str]:
    """The modules that a file imports when it is imported itself."""
    found: set[str] = set()

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                visit(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name in ("body", "orelse", "finalbody", "handlers"):
                    visit(getattr(node, name, []))

    visit(ast.parse(path.read_text(encoding="utf-8")).body)
    return found


def _file(module: str) -> Path | None:
    """The file of a module of xmir; of a name in one, nothing."""
    stem = PACKAGE.parent.joinpath(*module.split("."))
    return next((f for f in (stem.with_suffix(".py"), stem / "__init__.py") if f.is_file()), None)


def _heavy_ways(module: str, before: tuple[str, ...], seen: set[str]) -> Iterator[str]:
    """The ways by which a module comes to import something heavy."""
    way = (*before, module)
    parts = module.split(".")
    if parts[0] in HEAVY:
        yield " > ".join(way)
    if parts[0] != "xmir_cli" or module in seen:
        return
    seen.add(module)
    if len(parts) > 1:  # a package before its modules, and a module before a name in it
        yield from _heavy_ways(".".join(parts[:-1]), before, seen)
    file = _file(module)
    for each in sorted(_imports(file)) if file else ():
        yield from _heavy_ways(each, way, seen)


@pytest.mark.parametrize(
    "module",
    [*LIGHT, *(f"commands.{path.stem}" for path in (PACKAGE / "commands").glob("*.py"))],
)
def test_what_describes_commands_never_comes_to_import_anything_heavy(module):
    assert list(_heavy_ways(f"xmir_cli.{module}", (), set())) == []


def test_a_story_comes_to_it_by_a_way_that_is_told():
    ways = list(_heavy_ways("xmir_cli.stories.index", (), set()))
    assert ways[0] == "xmir_cli.stories.index > xmir_cli.gallery.usable > numpy"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE % HEAVY, *arguments],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_the_front_page_imports_nothing_heavy(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_no_help_and_no_usage_error_imports_anything_heavy():
    """All commands in one process: what one of them imports, the list at the end shows."""
    script = (
        "import sys\nfrom xmir_cli import main\n"
        "for name in main.COMMANDS:\n"
        "    assert main.execute([name, '--help']) == 0, name\n"
        "    assert main.execute([name, '--no-such-flag']) == 2, name\n"
        f"print(sorted({{n.split('.')[0] for n in sys.modules}} & {HEAVY}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr.count("No such option: --no-such-flag") == len(COMMANDS)


def test_a_misspelt_command_is_told_in_one_line():
    done = run("qeury")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("xmir: error: No such command 'qeury'.")
    assert "query" in done.stderr


@pytest.mark.parametrize(("name", "summary"), COMMANDS.items())
def test_the_list_of_commands_says_what_each_command_says(name, summary):
    assert (load_command(name).help or "").split("\n")[0] == summary


def test_the_list_of_commands_needs_none_of_their_files():
    script = (
        "import sys\nfrom xmir_cli import main\nmain.execute(['--help'])\n"
        "print([name for name in sys.modules if name.startswith('xmir_cli.commands.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for name, summary in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert summary in done.stdout


def test_a_glob_that_no_argument_takes_does_not_flood_the_terminal():
    done = run("causal-metric", *(f"map-{number}.npy" for number in range(2000)))
    assert done.returncode == 2
    assert len(done.stderr) < 500


def _loaded(script: str, *names: str) -> list[str]:
    """Which of the modules are there when a fresh process has run the script."""
    ending = f"\nimport sys\nprint([name for name in {names} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script + ending],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_a_network_of_ones_own_needs_neither_torchvision_nor_the_compiler(tiny_arch):
    script = (
        "from xmir_cli.model.architectures import build_architecture as build\n"
        "from xmir_cli.program.trace import trace\n"
        f"assert trace(build({tiny_arch!r}).features.eval(), 32)"  # as occlusion does
    )
    assert _loaded(script, "torchvision", "timm", "torch._dynamo", "sympy") == []


def test_the_networks_of_torchvision_and_timm_need_no_compiler_until_it_is_used():
    script = (
        "import sys\n"
        "from xmir_cli.model.architectures import build_architecture as build\n"
        "build('resnet18'), build('timm:resnet10t')\n"
        "assert 'torch._dynamo' not in sys.modules\n"
        "from torchvision.ops import roi_align as module\n"
        "assert module.__globals__['is_compile_supported']('cpu') in {True, False}\n"
    )
    assert _loaded(script, "torch._dynamo") == ["torch._dynamo"]


def test_whatever_else_is_asked_of_the_compiler_is_the_compilers_own():
    script = (
        "import torch\n"
        "from xmir_cli.workarounds.torch.compiler import leave_compiler_out\n"
        "with leave_compiler_out():\n"
        "    mark = torch.compiler.disable(lambda number: -number)\n"
        "    import torch._dynamo as stand_in\n"
        "    config = stand_in.config\n"
        "import torch._dynamo\n"
        "assert config is torch._dynamo.config\n"
        "assert mark(-1) == 1\n"
        "with leave_compiler_out():\n"
        "    assert stand_in is not torch._dynamo\n"
    )
    assert _loaded(script, "torch._dynamo") == ["torch._dynamo"]


def test_tables_need_no_pandas_but_whoever_wants_it_has_it():
    pytest.importorskip("pandas")
    script = (
        "import xmir_cli.store.embeddings\n"
        "import pyarrow as pa, pyarrow.compute as pc\n"
        "table = pa.table({'a': pa.array([1, 2])})\n"
        "assert pc.equal(table['a'], 1).to_numpy().tolist() == [True, False]\n"
    )
    assert _loaded(script, "pandas") == []
    assert _loaded(script + "table.to_pandas()", "pandas") == ["pandas"]


def test_ctrl_c_while_the_libraries_are_imported_ends_quietly(tmp_path):
    (tmp_path / "typer.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run(
        [sys.executable, "-m", "xmir_cli", "--help"], env=environment, capture_output=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_hits_are_compared_without_torch():
    assert _loaded("import xmir_cli.stories.compare", "torch") == []
