"""Maps that are the same under the names of two methods."""

from types import SimpleNamespace

import torch

from xmir_cli.scoring.alike import SameMaps
from xmir_cli.scoring.tasks import TargetPair
from xmir_cli.wire.model import ModelSpec


def test_same_maps_are_told_where_hundreds_of_pairs_come_between():
    """As of two files of records, one a method, behind each other."""
    spec, known = ModelSpec("tiny", "random:0"), SameMaps()
    maps = torch.rand(300, 48, 48, generator=torch.Generator().manual_seed(0))
    found = []
    for method in ("activation", "gradcam"):
        for number, saliency in enumerate(maps):
            pair = TargetPair("q.png", f"{number}.png", spec)
            task = SimpleNamespace(pair=pair, method=method, view=SimpleNamespace(settings={}))
            found.append(known.find(task, saliency))
    assert found == [[]] * 300 + [["activation"]] * 300
