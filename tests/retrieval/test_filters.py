import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.retrieval.filters import Filters
from xmir_cli.retrieval.queries import Asked

ROWS = 40


def _items():
    generator = np.random.default_rng(0)
    patients = [f"p{number}" if number else None for number in generator.integers(0, 6, ROWS)]
    return pa.table(
        {
            "id": [f"i{row}" for row in range(ROWS)],
            "patient": pa.array(patients, pa.string()),
            "width": pa.array(generator.integers(1, 4, ROWS), pa.int32()),
        }
    )


@pytest.mark.parametrize("unlike", [[], ["patient"], ["id", "patient", "width"]])
def test_excluded_are_the_items_with_a_value_of_the_query(unlike):
    items = _items().to_pylist()
    asked = [Asked("q", np.zeros(2, np.float32), items[row]) for row in (3, 0, 3, 17)]
    asked += [
        Asked("q", np.zeros(2, np.float32), {}),
        Asked("q", np.zeros(2, np.float32), {"patient": "nobody here", "width": "2"}),
        Asked("q", np.zeros(2, np.float32), {"patient": None}),
    ]
    scope = Filters(_items(), None, unlike).scope(asked)
    for query, excluded in zip(asked, scope.excluded, strict=True):
        expected = [
            row
            for row, item in enumerate(items)
            if any(
                query.columns.get(column) is not None
                and str(item[column]) == str(query.columns[column])
                for column in unlike
            )
        ]
        assert excluded.tolist() == expected
    assert scope.allowed is None
