"""One pass counts exactly what a frame in memory would, whatever the files look like, and nothing outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.errors import TargetError
from mlops.monitoring import scan as module
from mlops.monitoring.profile import PREDICTION, Profile, profile_file, profile_values
from mlops.monitoring.scan import Scanned, scan
from mlops.spec.monitoring import TimeSpan
from mlops.spec.schema import Column, ModelSchema, OnnxGraph

START = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = TimeSpan(start=START, end=START + timedelta(hours=1))
SCHEMA = ModelSchema(
    model="toy",
    task="binary",
    columns=[
        Column(name="origin", type="string", categories=["EWR", "JFK"], unknown_category="refuse"),
        Column(name="seats", type="number", nullable=True, minimum=0, maximum=900),
        Column(name="busy", type="boolean"),
    ],
    classes=["0", "1"],
    onnx=OnnxGraph(strings="s", floats="f", output="p"),
)


def rows(count: int, first: datetime = START, version: int = 2, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    step = timedelta(hours=1) / count
    return pd.DataFrame(
        {
            "_request_id": [f"{version}-{i}" for i in range(count)],
            "_time": [first + i * step for i in range(count)],
            "_deployment": "blue",
            "_version": version,
            "_row": np.zeros(count, dtype=np.int32),
            "_prediction": generator.random(count),
            "origin": generator.choice(["EWR", "JFK"], count),
            "seats": np.where(generator.random(count) < 0.1, np.nan, generator.integers(50, 300, count)),
            "busy": generator.random(count) < 0.5,
        }
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("reference") / "rows.parquet"
    rows(5000, seed=9).to_parquet(path)
    made = profile_file(path, SCHEMA.columns, "training rows")
    return made.model_copy(
        update={"prediction": profile_values(PREDICTION, pa.array(np.linspace(0, 1, 500)), "number")}
    )


def write(folder: Path, frame: pd.DataFrame, name: str = "a.parquet", group: int = 100) -> Path:
    path = folder / name
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=group)
    return path


def scanned(files: list[Path], reference: Profile, **options: object) -> Scanned:
    return scan(files, WINDOW, 2, SCHEMA, reference, **options)  # type: ignore[arg-type]


def test_counts_are_those_of_the_frame(tmp_path: Path, reference: Profile):
    frame = rows(1000)
    found = scanned([write(tmp_path, frame)], reference)
    assert found.rows == 1000 and found.other_rows == 0
    seats = found.columns["seats"]
    assert (seats.rows, seats.nulls) == (1000, int(frame["seats"].isna().sum()))
    assert seats.profile is not None and sum(seats.profile.counts) == 1000 - seats.nulls
    origin = found.columns["origin"].profile
    assert origin is not None and origin.counts[:2] == [
        int((frame["origin"] == o).sum()) for o in ("EWR", "JFK")
    ]
    assert found.prediction is not None and found.prediction.rows == 1000


def test_files_groups_and_batches_do_not_matter(tmp_path: Path, reference: Profile, monkeypatch):
    frame = rows(1000)
    whole = scanned([write(tmp_path, frame)], reference)
    parts = [write(tmp_path, frame.iloc[i : i + 300], f"{i}.parquet", 7) for i in range(0, 1000, 300)]
    monkeypatch.setattr(module, "BATCH", 64)
    assert scanned(parts, reference) == whole


def test_only_the_window_and_the_version_count(tmp_path: Path, reference: Profile):
    inside, canary = rows(500), rows(50, version=3)
    before, after = rows(200, START - timedelta(hours=1)), rows(300, START + timedelta(hours=1))
    files = [write(tmp_path, f, f"{i}.parquet") for i, f in enumerate((before, inside, canary, after))]
    found = scanned(files, reference, earlier=3)
    assert (found.rows, found.other_rows) == (500, 50)
    assert found.earlier == [200, 0, 0]
    assert found.columns["origin"].rows == 500


def test_the_ends_of_a_window_belong_to_one_window_each(tmp_path: Path, reference: Profile):
    frame = rows(2).assign(_time=[WINDOW.start, WINDOW.end])
    assert scanned([write(tmp_path, frame)], reference).rows == 1


def test_groups_outside_are_not_read(tmp_path: Path, reference: Profile, monkeypatch):
    """A year of files must cost what the window costs."""
    path = write(tmp_path, rows(1000, START - timedelta(days=1)))
    read: list[int] = []
    original = pq.ParquetFile.iter_batches

    def spy(self, *args, **kwargs):
        read.extend(kwargs["row_groups"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    assert scanned([path], reference).rows == 0
    assert read == []


def test_what_the_contract_does_not_admit_is_counted(tmp_path: Path, reference: Profile):
    frame = rows(100)
    frame.loc[:4, "origin"] = "BER"
    frame.loc[:2, "seats"] = [-1, 901, float("inf")]
    found = scanned([write(tmp_path, frame)], reference)
    assert found.columns["origin"].out_of_bounds == 5
    assert found.columns["seats"].out_of_bounds == 3


def test_a_column_of_another_type_is_wrong_as_a_whole(tmp_path: Path, reference: Profile):
    frame = rows(100).assign(seats="many")
    found = scanned([write(tmp_path, frame)], reference).columns["seats"]
    assert (found.wrong_type, found.profile) == (100, None)


def test_a_column_that_is_not_captured_has_no_facts(tmp_path: Path, reference: Profile):
    found = scanned([write(tmp_path, rows(100).drop(columns="seats"))], reference).columns["seats"]
    assert (found.rows, found.profile) == (0, None)


def test_rows_with_labels_are_kept(tmp_path: Path, reference: Profile):
    ids = pa.array(["2-3", "2-700", "unknown"])
    path = write(tmp_path, rows(1000))
    found = scanned([path], reference, labelled_ids=ids, slices=["origin"])
    assert found.labelled.column("_request_id").to_pylist() == ["2-3", "2-700"]
    assert "origin" in found.labelled.schema.names and "seats" not in found.labelled.schema.names
    assert scanned([path], reference).labelled is None


def test_classes_are_compared_by_the_likeliest(tmp_path: Path, reference: Profile):
    schema = SCHEMA.model_copy(update={"task": "multiclass", "classes": ["red", "green"]})
    frame = rows(4).assign(_prediction=[[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    bins = profile_values(PREDICTION, pa.array(["red", "green"]), "string")
    known = reference.model_copy(update={"prediction": bins})
    found = scan([write(tmp_path, frame)], WINDOW, 2, schema, known)
    assert found.prediction is not None and dict(zip(bins.values, found.prediction.counts, strict=False)) == {
        "green": 3,
        "red": 1,
    }


def test_a_broken_file_is_named(tmp_path: Path, reference: Profile):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(TargetError, match=r"broken\.parquet cannot be read"):
        scanned([broken], reference)


def test_a_file_that_the_writer_removed_meanwhile_is_no_error(tmp_path: Path, reference: Profile):
    assert scanned([tmp_path / "gone.parquet", write(tmp_path, rows(10))], reference).rows == 10


def test_a_column_in_which_nobody_sent_a_value_has_no_wrong_type(tmp_path: Path, reference: Profile):
    table = pa.Table.from_pandas(rows(100), preserve_index=False)
    place = table.schema.get_field_index("seats")
    table = table.set_column(place, "seats", pa.nulls(100))
    pq.write_table(
        table.replace_schema_metadata({"mlops.set_aside": "3", "mlops.unpaired": "2"}), tmp_path / "a"
    )
    full = write(tmp_path, rows(100, seed=1))
    found = scanned([tmp_path / "a", full], reference, labelled_ids=pa.array(["2-1"]), slices=["seats"])
    seats = found.columns["seats"]
    assert (seats.rows, seats.wrong_type) == (200, 0)
    assert seats.nulls >= 100
    assert found.labelled is not None and found.labelled.num_rows == 2
    assert (found.set_aside, found.unpaired) == (3, 2), "what whoever made the file could not use"
