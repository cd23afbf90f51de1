"""Draw the whole space of embeddings in one plane."""

import numpy as np
import pyarrow as pa

from xmir_cli import console
from xmir_cli.atlas.axes import Axes, principal_axes
from xmir_cli.atlas.classes import MOST, count_labels, find_classes
from xmir_cli.atlas.coloring import Coloring, color_by
from xmir_cli.atlas.coordinates import write_coordinates
from xmir_cli.atlas.duplicates import duplicate_groups
from xmir_cli.atlas.figure import draw_figure
from xmir_cli.atlas.neighbours import find_neighbours
from xmir_cli.atlas.outliers import are_outliers, unlikeness
from xmir_cli.atlas.page.build import FILES, PageLimits, build_page
from xmir_cli.atlas.points import (
    AskedPoints,
    AtlasPoints,
    list_identities,
    number_values,
    read_points,
)
from xmir_cli.atlas.projections import AXES, Placement, place, refuse_method, refuse_size
from xmir_cli.atlas.scene import METHODS, Scene
from xmir_cli.atlas.thumbnails import Thumbnails
from xmir_cli.commands.atlas import Atlas
from xmir_cli.console import Records, Skips
from xmir_cli.labels import LABEL
from xmir_cli.pages.html import load_template, told_size
from xmir_cli.pictures.identity import file_of
from xmir_cli.screen.pages import shown
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.names import restore_name
from xmir_cli.store.outputs import refuse_input
from xmir_cli.store.where import parse_where
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.atlas import AtlasRecord

__all__ = ["Atlas", "run"]

_PATIENT = "patient"


def run(asked: Atlas) -> Records:
    """One `xmir.atlas/1` record; the files are written before it comes."""
    refuse_method(asked.method)
    if asked.file_of("html"):
        load_template(FILES)  # before the work
    skips = Skips()
    wanted = AskedPoints(
        {"color": asked.color or ()}, parse_where(asked.where), asked.sample, asked.seed
    )
    points = read_points(asked.source, wanted, skips.add, asked.files[0].absolute().parent)
    refuse_size(asked.method, len(points.items))
    paths = [restore_name(path) for path in points.items["path"].to_pylist()]
    for file in asked.files:
        refuse_input(file, map(file_of, paths))
    axes = principal_axes(points.vectors, AXES)
    with console.progress(METHODS[asked.method], None):
        plane = place(asked.method, points.vectors, axes, asked.seed)
    scene = _look(asked, points, axes, plane)
    thumbnails = Thumbnails(
        paths,
        points.items["sha256"].to_pylist(),
        points.model.preprocessing.window,
    )
    _draw(asked, scene, thumbnails)
    if asked.file_of("html"):
        _write_page(asked, scene, _record(asked, points, scene, plane, thumbnails), thumbnails)
    if thumbnails.bad:
        console.warning(thumbnails.complaint())
    yield _record(asked, points, scene, plane, thumbnails)
    return skips.finish(len(points.items), "drawn")


def _look(asked: Atlas, points: AtlasPoints, axes: Axes, plane: Placement) -> Scene:
    """All that is known of the images."""
    items = points.items
    patients = np.full(len(items), -1)
    if _PATIENT in items.column_names:
        patients = number_values(items[_PATIENT])
    around = find_neighbours(points.vectors, patients, asked.neighbors, axes, "looking around")
    unlike = unlikeness(around.to_others)
    labels = items[LABEL].cast(pa.string()).to_pylist() if LABEL in items.column_names else []
    if len(count_labels(labels)) > MOST:
        console.note(f"{len(count_labels(labels))} labels: the {MOST} most frequent have a star")
    x, y = ([*axes.shares, 0.0][place] for place in range(2))
    return Scene(
        name=asked.source if asked.source != "-" else "standard input",
        method=asked.method,
        explained=(float(x), float(y)) if asked.method == "pca" else None,
        items=items,
        knows_patients=bool((patients >= 0).any()),
        places=plane.places,
        colorings=_colorings(asked, items),
        classes=find_classes(labels, points.vectors) if labels else [],
        around=around,
        unlike=unlike,
        outliers=are_outliers(unlike, asked.outliers),
        groups=duplicate_groups(list_identities(items), points.vectors, around.near),
    )


def _colorings(asked: Atlas, items: pa.Table) -> list[Coloring]:
    """Those that are asked for, and that of labels where there are any."""
    named = dict.fromkeys(asked.color or ())
    if LABEL in items.column_names and any(items[LABEL].to_pylist()):
        named.setdefault(LABEL)
    return [color_by(column, items[column]) for column in named]


def _draw(asked: Atlas, scene: Scene, thumbnails: Thumbnails) -> None:
    png = asked.file_of("png")
    if png or asked.show:
        for figure in shown(asked.show, [draw_figure(scene, thumbnails)]):
            if png:
                with atomic_file(png) as file:
                    figure.save(file, "png", optimize=True)
    if table := asked.file_of("parquet"):
        write_coordinates(table, scene)


def _write_page(asked: Atlas, scene: Scene, made: Record, thumbnails: Thumbnails) -> None:
    file = asked.file_of("html")
    assert file is not None
    limits = PageLimits(asked.thumbnails, asked.limit)
    text = build_page(load_template(FILES), scene, made, thumbnails, limits)
    with atomic_file(file) as page:
        page.write(text)
    console.note(f"{file}: {told_size(len(text))}")


def _record(
    asked: Atlas, points: AtlasPoints, scene: Scene, plane: Placement, thumbnails: Thumbnails
) -> Record:
    ids, to_others = scene.ids, scene.around.to_others
    recall = scene.around.recall
    return {
        "schema": AtlasRecord.NAME,
        "path": str(asked.files[0]),
        "files": [str(file) for file in asked.files],
        "embeddings": asked.source,
        "images": len(points.items),
        **({"of": points.of} if asked.sample else {}),
        "dim": points.vectors.shape[1],
        "method": asked.method,
        **({"explained": list(scene.explained)} if scene.explained else {}),
        "settings": {"seed": asked.seed, **plane.settings},
        "colors": [each.column for each in scene.colorings],
        "classes": {
            each.label: {
                "images": int(each.members.sum()),
                "outliers": int((scene.outliers & each.members).sum()),
                "duplicates": int(((scene.groups > 0) & each.members).sum()),
                "nearest": ids[each.nearest],
                "similarity": each.similarity,
                "x": float(scene.places[each.nearest, 0]),
                "y": float(scene.places[each.nearest, 1]),
                "mean_place": mean.tolist(),
            }
            for each, mean in zip(scene.classes, scene.means, strict=True)
        },
        "outliers": int(scene.outliers.sum()),
        "duplicates": int((scene.groups > 0).sum()),
        "duplicate_groups": int(scene.groups.max()),
        "neighbours": {
            "number": scene.around.most,
            "other": _PATIENT if scene.knows_patients else None,
            "search": "exact" if recall is None else "graph",
            **({} if recall is None else {"recall": recall}),
        },
        "similarity": float(np.nanmean(to_others)) if np.isfinite(to_others).any() else None,
        "thumbnails": len(thumbnails.drawn),
        **({"unreadable": thumbnails.causes} if thumbnails.bad else {}),
        "model": points.model.to_json(),
    }
