"""Small files are scored together: what comes of each is what it would be alone, also beside a broken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.serving import testing
from mlops.serving.batch import small
from mlops.serving.batch.batch_file import OUTPUT, BatchJob, score_file
from mlops.serving.score.core import Scorer, load


class Counted:
    """A scorer that counts how often the graph is asked."""

    def __init__(self, scorer: Scorer) -> None:
        self.schema, self._scorer, self.asked = scorer.schema, scorer, 0
        self.labels = scorer.labels

    def predict_frame(self, rows: Any) -> Any:
        self.asked += 1
        return self._scorer.predict_frame(rows)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = tmp_path_factory.mktemp("model")
    testing.write_onnx(folder)
    return load(folder)


def rows(start: int, count: int = 20, kind: pa.DataType | None = None) -> pa.Table:
    ids = range(start, start + count)
    distance = pa.array([float(i % 5000) if i % 7 else None for i in ids], kind or pa.float64())
    return pa.table({"id": list(ids), "distance": distance, "carrier": [("AA", "DL")[i % 2] for i in ids]})


@pytest.fixture
def job(tmp_path: Path) -> BatchJob:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(12):
        pq.write_table(rows(number * 20), source / f"{number:02d}.parquet")
    return BatchJob(tmp_path / "model", "sha256:1", source, tmp_path / "out", keep=("id",))


def both(scorer: Scorer, job: BatchJob, tmp_path: Path) -> int:
    """Scores all files together and one by one, and holds the two to each other; calls of the graph."""
    names = sorted(path.relative_to(job.source) for path in job.source.iterdir())
    counted = Counted(scorer)
    together = {r.source: r for r in small.score_files(counted, job, names)}
    other = BatchJob(job.model, job.digest, job.source, tmp_path / "alone", job.keep)
    assert together == {str(name): score_file(scorer, other, name, durable=False) for name in names}
    for name in names:
        one, two = (where / f"{name}{OUTPUT}" for where in (job.destination, other.destination))
        assert one.exists() == two.exists() == (together[str(name)].state == "done")
        if one.exists():
            first, second = pq.read_table(one), pq.read_table(two)
            assert first.equals(second) and first.schema.metadata == second.schema.metadata
    return counted.asked


def test_one_call_of_the_graph_answers_for_many_files(scorer: Scorer, job: BatchJob, tmp_path: Path):
    assert both(scorer, job, tmp_path) == 1


def test_rows_that_break_the_contract_are_told_by_their_own_file_and_row(
    scorer: Scorer, job: BatchJob, tmp_path: Path
):
    wrong = rows(60).set_column(1, "distance", pa.array([1.0] * 7 + [-5.0] + [1.0] * 12))
    pq.write_table(wrong, job.source / "03.parquet")
    both(scorer, job, tmp_path)
    found = list(small.score_files(scorer, job, [Path("02.parquet"), Path("03.parquet")]))
    assert [r.state for r in found] == ["done", "quarantined"]
    assert "row 7" in found[1].reason


def test_what_cannot_be_read_or_is_empty_or_of_another_type_is_scored_apart(
    scorer: Scorer, job: BatchJob, tmp_path: Path
):
    (job.source / "04.parquet").write_bytes(b"PAR1 is what it says")
    pq.write_table(rows(0, 0), job.source / "05.parquet")
    pq.write_table(rows(120, kind=pa.int64()), job.source / "06.parquet")
    pq.write_table(rows(140).drop_columns("distance"), job.source / "07.parquet")
    (job.source / "08.csv").write_text("id,distance,carrier\n1,,AA\n2,7,DL\n")
    both(scorer, job, tmp_path)


def test_rows_of_one_call_are_bounded(
    scorer: Scorer, job: BatchJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(small, "ROWS", 50)
    assert both(scorer, job, tmp_path) == 6
    monkeypatch.setattr(small, "BYTES", 10)
    assert both(scorer, job, tmp_path) == 12


def test_a_model_without_a_graph_sees_each_file_by_itself(scorer: Scorer, job: BatchJob, tmp_path: Path):
    own = Counted(scorer)
    own.schema = scorer.schema.model_copy(update={"onnx": None})
    assert len(list(small.score_files(own, job, [Path("00.parquet"), Path("01.parquet")]))) == 2
    assert own.asked == 2


def test_groups_hold_all_files_in_order_and_end_before_a_kill_costs_much(
    job: BatchJob, monkeypatch: pytest.MonkeyPatch
):
    names = sorted(path.relative_to(job.source) for path in job.source.iterdir())
    assert [len(g) for g in small.groups(job, names, 1)] == [3, 3, 3, 3]
    assert [n for g in small.groups(job, names, 2) for n in g] == names
    assert [len(g) for g in small.groups(job, names, 100)] == [1] * 12
    monkeypatch.setattr(small, "TOGETHER", 1)
    assert [len(g) for g in small.groups(job, names, 1)] == [1] * 12
