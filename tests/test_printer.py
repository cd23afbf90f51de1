"""Records on stdout, in every form."""

import contextlib
import io
import sys
import unicodedata

import pytest

from xmir_cli.errors import DataError
from xmir_cli.printer import Printer, Shown

EPOCHS = Shown(("epoch", "loss", "violating_fraction"), grows=True, schema="epoch")
RUN = [
    {"schema": "epoch", "epoch": 0, "loss": 0.25, "violating_fraction": None},
    {"schema": "artifact", "path": "out.safetensors"},
]


def printed(form, shown, *records):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True, newline="\n")
    with contextlib.redirect_stdout(out), Printer(form, shown) as printer:
        for record in records:
            printer.write(record)
    return out.buffer.getvalue().decode()


def test_without_a_form_a_pipe_gets_json_lines():
    assert printed(None, Shown(("a",)), {"a": 1, "b": [2]}) == '{"a": 1, "b": [2]}\n'


@pytest.mark.parametrize("form", ["table", "tsv", "csv"])
def test_a_list_in_a_cell_is_its_values(form):
    told = printed(form, Shown(("a", "b")), {"a": ["ill", "well"], "b": [0.5]}).splitlines()[1]
    cells = {"table": "ill, well  0.5000", "tsv": "ill, well\t0.5000", "csv": '"ill, well",0.5000'}
    assert told == cells[form]


def test_a_growing_table_has_its_cells_right_aligned_under_their_names(capsys):
    assert printed("table", EPOCHS, *RUN) == (
        "  epoch     loss  violating_fraction\n"
        "      0   0.2500                    \n"
    )  # fmt: skip
    assert capsys.readouterr().err == "xmir: note: wrote out.safetensors\n"


def test_records_of_another_schema_are_noted_in_tsv_and_csv_too(capsys):
    assert printed("tsv", EPOCHS, *RUN) == "epoch\tloss\tviolating_fraction\n0\t0.2500\t\n"
    assert capsys.readouterr().err == "xmir: note: wrote out.safetensors\n"


def test_paths_are_those_of_the_records_that_have_one():
    assert printed("paths", EPOCHS, *RUN) == "out.safetensors\n"


def test_a_list_has_a_line_a_key_that_has_a_value_with_those_of_objects_dotted():
    record = {"schema": "info", "path": "a", "model": {"head": None, "mean": [0.5, 1]}}
    assert printed("list", Shown(), record, {"path": "b"}) == (
        "path        a\nmodel.mean  0.5, 1\n\npath  b\n\n"
    )


def test_without_columns_a_table_has_those_of_its_rows():
    shown = Shown(rows=lambda record: [{"over": name, "map": 0.5} for name in record["labels"]])
    assert printed("csv", shown, {"labels": ["a", "b"]}) == "over,map\na,0.5000\nb,0.5000\n"


def test_columns_of_objects_are_named_by_their_ends_unless_two_end_alike():
    record = {"meta": {"id": "x"}, "insertion_gain": {"center": 1}, "deletion_gain": {"center": 2}}
    columns = ("meta.id", "insertion_gain.center", "deletion_gain.center")
    header = printed("table", Shown(columns), record).splitlines()[0].split()
    assert header == ["id", "insertion_gain.center", "deletion_gain.center"]


FIGURE = Shown(("a",), below="figure")
DRAWN = [{"a": 1, "figure": "long/" * 40 + "b.png"}, {"a": 2, "figure": "long/" * 40 + "b.png"}]


def test_a_figure_is_named_whole_below_the_table_and_in_a_column_for_programs(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    path = DRAWN[0]["figure"]
    assert printed("table", FIGURE, *DRAWN) == f"a\n1\n2\nfigure: {path}\n"
    assert printed("tsv", FIGURE, *DRAWN) == f"a\tfigure\n1\t{path}\n2\t{path}\n"
    assert printed("table", FIGURE, {"a": 1}) == "a\n1\n"


def test_a_figure_that_an_error_came_before_is_not_named():
    def fail() -> None:
        with Printer("table", FIGURE) as printer:
            printer.write(DRAWN[0])
            raise DataError("no room")

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True, newline="\n")
    with contextlib.redirect_stdout(out), pytest.raises(DataError):
        fail()
    assert out.buffer.getvalue() == b"a\n1\n"


def test_no_records_are_the_names_of_the_columns_where_a_program_reads_them():
    assert printed("tsv", Shown(("a", "b.c"))) == "a\tb.c\n"
    assert printed("table", Shown(("a", "b.c"))) == ""


def test_a_closed_stdout_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DataError, match=r"^standard output is closed$"):
        Printer("jsonl", Shown()).write({"a": 1})


EVIL = "a\x7f\x1b]0;x\x07\t\x9b2J\u202eb\nc"


@pytest.mark.parametrize("form", ["tsv", "csv", "paths", "table", "list", "jsonl"])
def test_a_terminal_gets_no_escapes(monkeypatch: pytest.MonkeyPatch, form: str):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr(out, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with Printer(form, Shown(("path", "meta.x")), null=False) as printer:
        printer.write({"path": EVIL, "meta": {"x": EVIL, EVIL: 1}})
    text = out.buffer.getvalue().decode()
    assert "a" in text
    found = {each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"}}
    assert found <= {"\n", "\r", "\t"}
    assert text.count("\n") <= 5


def test_a_pipe_gets_names_as_they_are():
    assert printed("paths", Shown(), {"path": EVIL}) == f"{EVIL}\n"
    assert printed("csv", Shown(("path",)), {"path": "a\x1bb"}) == "path\na\x1bb\n"


def test_paths_end_with_a_nul_byte_when_asked(monkeypatch: pytest.MonkeyPatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdout", out)
    with Printer("paths", Shown(), null=True) as printer:
        for name in ("a\nb", " c ", "\udcff"):
            printer.write({"path": name})
        printer.write({"other": 1})
    assert out.buffer.getvalue() == b"a\nb\0 c \0\xff\0"


def test_only_paths_end_with_nul_bytes(xmir):
    for form in ([], ["--format", "tsv"]):
        result = xmir("saliency", "--null", *form, "-o", "maps", stdin="{}")
        assert (result.code, result.stderr) == (
            2,
            "xmir: error: --null: only with --format paths\n",
        )
