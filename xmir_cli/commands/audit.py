"""Check: look for copies, leaks, wrong labels and outliers."""

from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Annotated

import typer

from xmir_cli import gate_options, options
from xmir_cli.audit.names import ALL_TESTS, NUMBERS, TESTS
from xmir_cli.audit.rows import COLUMNS as SUMMED
from xmir_cli.audit.rows import image_rows, rows
from xmir_cli.errors import SettingError
from xmir_cli.gates import Gate, parse_gates, refuse_unknown
from xmir_cli.inputs import refuse_embeddings
from xmir_cli.printer import Shown
from xmir_cli.scoring.names import parse_listed
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.outputs import need_folder, refuse_ending, refuse_input
from xmir_cli.values import check_values, refuse_null

_COLUMNS = ("finding", "why", "query", "retrieved", "similarity", "query_label", "retrieved_label")
_OF_IMAGES = (
    *("findings", "query", "query_label", "likely_label", "probability"),
    *("distance", "occurrences"),
)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Look for copies, leaks, wrong labels and outliers.

    A record a finding: the query is the image that it is about, the retrieved one says why, so that
    'xmir montage' and 'xmir saliency' show the two side by side.

    `duplicates`: equal files, equal pixels, and near copies, re-encoded, rescaled, mirrored or
    upside down: a hash of what the network sees (DCT, 64 bits) differs in at most 6 bits, and the
    similarity is above that of 99.9 % of the pairs of different patients; or in at most 2 bits, and
    above half of them. Of one patient it is 2 bits alone, for images of two days look alike, and
    frames of one file are none. Images are read for it, and of more than 20,000 neighbours alone
    compared; without images, or with --no-images, equal files and embeddings are found. Of copies
    the first one stays, but one of the test set before others, and of the training set last.

    `leaks`: copies, or images of one patient, in several splits: what would have to leave its
    split, the training set first.

    `labels`: the nearest of other patients hold another label with a probability of --probability
    at least, by votes that are calibrated on the archive itself, or a copy does. The summary says
    how many such there would be if labels were drawn by these probabilities. A|B is two labels.

    `outliers`: the mean distance to the nearest of other patients lies above the third quartile by
    more than --fence interquartile ranges. More than --neighbors foreign images that are alike are
    neighbours of each other, and not found.

    `hubs`: images in more than five times as many answers as the mean; `unreached`, where it is
    asked for: images in none.

    --exclude-to lists duplicates, leaks and copies of different labels. 'xmir embed', 'xmir train'
    and 'xmir index' leave those out by --exclude, wherever the files lie then. Audit
    again then: the bounds of copies are the archive's own. A label in doubt or an outlier is for
    eyes: choose records with jq, --exclude takes these, too.

    Every number of the summary is a gate: --max leaks=0. One that could not be had is null, and its
    gate is not met. Images that cannot be read are audited by their embeddings, and the exit code
    stays 0; but copies may be missed: --max gates on duplicates, leaks and the like are not met
    then, unless --max unreadable=N says how many such images are accepted; with --no-images none is
    asked for. Embeddings of NaN or zeros are left out, with exit code 3; no --max gate on a fault
    is met then, unless --max skipped=N accepts so many. --per-query tells the numbers of every
    image, whatever is found.
    """

    source: Annotated[
        str,
        typer.Argument(metavar="EMBEDDINGS", help="Embeddings, an index, or - for a stream."),
    ]
    test: Annotated[
        str,
        typer.Option(
            "--test", metavar="NAME[,NAME...]", help=f"What to look for: {', '.join(ALL_TESTS)}."
        ),
    ] = ",".join(TESTS)
    where: options.Where = None
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="COLUMN",
            help="Between whose values nothing may leak. [default: split]",
        ),
    ] = None
    exclude_same: Annotated[
        str | None,
        typer.Option(
            "--exclude-same",
            metavar="COLUMN",
            help="Images with the same value here are of one patient. [default: patient]",
        ),
    ] = None
    neighbors: Annotated[
        int,
        typer.Option(
            "--neighbors", metavar="N", min=1, max=200, help="How many nearest images are asked."
        ),
    ] = 10
    probability: Annotated[
        float,
        typer.Option(
            "--probability",
            min=0.5,
            max=1,
            help="From which probability of another label on a label is in doubt.",
        ),
    ] = 0.9
    fence: Annotated[
        float,
        typer.Option(
            "--fence",
            min=0,
            help="How many interquartile ranges above the third quartile an outlier lies.",
        ),
    ] = 3.0
    no_images: Annotated[bool, typer.Option("--no-images", help="Do not read the images.")] = False
    exclude_to: Annotated[
        Path | None,
        typer.Option(
            "--exclude-to",
            metavar="FILE.jsonl",
            help="Also write the records of the images to leave out, for --exclude of embed, train "
            "and index.",
        ),
    ] = None
    summary: gate_options.Summary = False
    per_query: gate_options.PerQuery = False
    minimum: gate_options.Gates = None
    maximum: gate_options.Limits = None
    baseline: gate_options.Baseline = None
    tolerance: gate_options.Tolerance = 0.01
    junit: gate_options.Junit = None
    force: options.Force = False
    jobs: options.Jobs = None
    form: options.Format = None
    null: options.NullPaths = False

    def __post_init__(self) -> None:
        check_values(self)
        refuse_null(self.null, self.form)
        _ = self.gates
        gate_options.check_gated(self, [self.source, self.baseline])
        if self.exclude_to is not None:
            refuse_input(self.exclude_to, [self.source, self.baseline], "exclude_to")
            if self.junit is not None and realpath(self.junit) == realpath(self.exclude_to):
                raise SettingError(
                    "junit", "is written by `exclude_to`, too", value=str(self.junit)
                )
            refuse_existing(self.exclude_to, self.force)
            need_folder(self.exclude_to)
            refuse_ending(
                self.exclude_to, "JSON lines", [".jsonl", ".ndjson"], setting="exclude_to"
            )
        refuse_embeddings(self.source)

    @property
    def tests(self) -> tuple[str, ...]:
        """What is looked for, in order."""
        return parse_listed("test", self.test, ALL_TESTS)

    @property
    def gates(self) -> list[Gate]:
        """The bounds that the counts must keep."""
        gates = parse_gates(self.minimum, self.maximum)
        known = (name for test in ("", *self.tests) for name in NUMBERS[test])
        refuse_unknown(gates, list(dict.fromkeys(known)))
        return gates

    @property
    def shown(self) -> Shown:
        """What is printed of a record."""
        if self.summary:
            return Shown(SUMMED, path_key="embeddings", rows=rows)
        if self.per_query:
            return Shown(_OF_IMAGES, "query", rows=image_rows)
        return Shown(_COLUMNS, "query")
