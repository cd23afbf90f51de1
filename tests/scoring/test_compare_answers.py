"""Two files of hits: what the comparison costs."""

import json
from dataclasses import replace

import pytest

from xmir_cli.console import Skips
from xmir_cli.scoring.compare import of_answers
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.scoring.compare.terms import ComparisonTerms


class Counted(list):
    """Knows how often it was gone through."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


@pytest.fixture
def count_passes(monkeypatch, tmp_path):
    """How often all queries are gone through, where so many are in each file, half in one alone."""

    def count(queries):
        found = []
        read = of_answers.read_answers

        def read_counted(files):
            found.append(Counted())
            answers = read(files)
            found[0].extend(answers.asked)
            return replace(answers, asked=found[0])

        files = []
        for name, start in (("old", 0), ("new", queries // 2)):
            records = [
                {
                    "schema": "xmir.retrieval/1",
                    "query": f"{each}.png",
                    "query_identity": f"{each:064x}",
                    "retrieved": "r.png",
                    "retrieved_identity": "ab" * 32,
                    "rank": 1,
                    "similarity": 0.5,
                }
                for each in range(start, start + queries)
            ]
            file = tmp_path / f"{name}{queries}.jsonl"
            file.write_text("".join(f"{json.dumps(each)}\n" for each in records))
            files.append(RecordFile(str(file)))
        with monkeypatch.context() as patch:
            patch.setattr(of_answers, "read_answers", read_counted)
            result = of_answers.compare_answers(*files, ComparisonTerms(None), Skips())
        assert sum(bool(case.missing) for case in result.cases) == queries
        return found[0].passes

    return count


def test_all_queries_are_gone_through_as_often_whatever_their_number(count_passes):
    assert count_passes(40) == count_passes(8)
