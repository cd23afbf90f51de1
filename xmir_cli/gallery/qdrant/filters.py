"""Clauses as filters of Qdrant: values are data of a request, never text of one."""

from collections.abc import Sequence

from qdrant_client import models

from xmir_cli.gallery.servers.clauses import Clause


def filter_of(clauses: Sequence[Clause], more: Sequence[models.Condition] = ()) -> models.Filter:
    """That all clauses hold, and all conditions `more`."""
    must: list[models.Condition] = list(more)
    must_not: list[models.Condition] = []
    for clause in clauses:
        one_of = _one_of(clause)
        if not clause.within:
            must_not += one_of
        elif len(one_of) == 1:
            must += one_of
        else:  # of none: a filter of no alternatives would let everything pass
            must.append(models.Filter(should=one_of) if one_of else _nobody())
    return models.Filter(must=must or None, must_not=must_not or None)


def _one_of(clause: Clause) -> list[models.Condition]:
    """Conditions of which one holds where the value is one of the clause's."""
    found: list[models.Condition] = []
    if clause.values:
        match = models.MatchAny(any=list(clause.values))
        found.append(models.FieldCondition(key=clause.stored, match=match))
    if clause.nothing:
        found.append(models.IsEmptyCondition(is_empty=models.PayloadField(key=clause.stored)))
    return found


def _nobody() -> models.Condition:
    return models.HasIdCondition(has_id=[])
