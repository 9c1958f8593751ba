"""DuckDB and Spark make the same rows of the same data, row for row, by the step that a pipeline runs.
A model that was tried on a laptop and trained on a cluster would otherwise have learned from other rows."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.spec.digest import tree_digest
from mlops.steps import dataset, prep
from tests.pipelines import spark_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        bool(spark_environment.missing()), reason=spark_environment.missing() or "Spark is here"
    ),
]
SOURCE = Path(__file__).parents[4] / "src"
ENGINE = SOURCE.parent / "packages/runtime/src"
NAN = float("nan")
NEW_YORK = ZoneInfo("America/New_York")
WINDOW, TEST = "2013-01..2013-11", "2013-12"
# Flights that hurt, as differences from an ordinary one.
EDGES: dict[str, dict[str, Any]] = {
    "no plane": {"tailnum": None},
    "plane nobody knows": {"tailnum": "N00000"},
    "plane that the register has twice": {"tailnum": "NTWICE"},
    "no airline": {"carrier": None},
    "airline, origin and destination nobody knows": {"carrier": "ZZ", "origin": "SFO", "dest": "XXX"},
    "letters beyond ASCII": {"carrier": "É1", "dest": "ЖЖЖ"},
    "no arrival": {"arr_delay": None},
    "an arrival that is no number": {"arr_delay": NAN},
    "exactly on the limit": {"arr_delay": 15.0},
    "just above it": {"arr_delay": 15.0000001},
    "lands the next morning": {"hour": 23, "minute": 59, "sched_arr_time": 4},
    "midnight as 24:00": {"hour": 24, "minute": 0},
    "24:00 on the last day of a month": {"month": 10, "day": 31, "hour": 24, "minute": 0},
    "24:00 on the last day of the window": {"month": 11, "day": 30, "hour": 24, "minute": 0},
    "no schedule": {"hour": None},
    "no arrival in the schedule": {"sched_arr_time": None},
    "no distance": {"distance": None},
    "no hour": {"time_hour": None},
    "leap in the clock, first": {
        "month": 11,
        "day": 3,
        "hour": 1,
        "time_hour": datetime(2013, 11, 3, 5, tzinfo=UTC),
    },
    "leap in the clock, second": {
        "month": 11,
        "day": 3,
        "hour": 1,
        "time_hour": datetime(2013, 11, 3, 6, tzinfo=UTC),
    },
    "stormy": {"hour": 3, "time_hour": datetime(2013, 6, 1, 7, tzinfo=UTC)},
}


@pytest.fixture(scope="module")
def raw(raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with `EDGES`, twice each; tables in other units, zones and numbers of files."""
    folder = tmp_path_factory.mktemp("raw")
    flights = pq.read_table(raw_sample / "flights.parquet")
    ordinary = next(row for row in flights.to_pylist() if row["month"] == 6 and row["arr_delay"] is not None)
    rows = [{**ordinary, "year": 2013, **edge} for edge in EDGES.values() for _ in range(2)]
    edges = pa.Table.from_pylist(rows, schema=flights.schema)
    # Another tool has written these: microseconds, and the zone of New York.
    joined = pa.concat_tables([flights, edges])
    moments = joined["time_hour"].cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", NEW_YORK.key))
    place = joined.schema.get_field_index("time_hour")
    pq.write_table(
        joined.set_column(place, "time_hour", moments), folder / "flights.parquet", row_group_size=999
    )

    weather = pq.read_table(raw_sample / "weather.parquet")
    assert weather.schema.field("time_hour").type == pa.timestamp("ns", "UTC"), "as pandas writes it"
    storm = {**weather.to_pylist()[0], "origin": ordinary["origin"]}
    hour = datetime(2013, 6, 1, 7, tzinfo=UTC)
    storms = [
        {**storm, "time_hour": hour, "wind_speed": 1048.36, "humid": NAN, "precip": None},
        {**storm, "time_hour": hour, "wind_speed": 7.0, "humid": 50.0, "precip": 0.3},
        {**storm, "time_hour": None, "wind_speed": 9.0},
    ]
    pq.write_table(
        pa.concat_tables([weather, pa.Table.from_pylist(storms, schema=weather.schema)]),
        folder / "weather.parquet",
    )

    planes = pq.read_table(raw_sample / "planes.parquet")
    twice = [
        {**planes.to_pylist()[0], "tailnum": "NTWICE", "year": y, "seats": s}
        for y, s in ((2001, 9), (None, 8))
    ]
    (folder / "planes.parquet").mkdir()
    pq.write_table(planes, folder / "planes.parquet" / "a.parquet")
    pq.write_table(pa.Table.from_pylist(twice, schema=planes.schema), folder / "planes.parquet" / "b.parquet")
    return sealed(folder)


def sealed(folder: Path) -> Path:
    """The folder with a manifest that fits its files."""
    manifest = {"name": "nycflights", "version": "1", "digest": tree_digest(folder)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def options(raw: Path, out: Path, usecase: str = "flights", test: str = TEST) -> list[str]:
    given = ["--raw", str(raw), "--usecase", usecase, "--window", WINDOW, "--test-window", test]
    return [*given, "--train", str(out / "train"), "--test", str(out / "test")]


def on_spark(script: Path, *arguments: str, path: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    """A script with the Python that has PySpark, on a machine whose clock is not in UTC."""
    home = str(script.parent)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (path, ENGINE))),
        "TZ": "America/New_York",
        "HOME": home,
    }
    env |= {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
    # So few rows would end in one file, and the order of files would go untested.
    env["PYSPARK_SUBMIT_ARGS"] = "--conf spark.sql.adaptive.coalescePartitions.enabled=false pyspark-shell"
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "PYSPARK_PYTHON": str(spark_environment.python())}
    return subprocess.run(
        [str(spark_environment.python()), str(script), *arguments],
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the step has written by DuckDB and by Spark, by the entry script of the Spark component."""
    here, there = tmp_path_factory.mktemp("duckdb"), tmp_path_factory.mktemp("spark")
    assert prep.main(options(raw, here)) == 0
    done = on_spark(SOURCE / "on_spark.py", "mlops.steps.prep", "--engine", "spark", *options(raw, there))
    assert done.returncode == 0, done.stderr
    return here, there


@pytest.mark.parametrize("part", ["train", "test"])
def test_both_engines_make_the_same_rows(made: tuple[Path, Path], part: str) -> None:
    (ours, manifest), (theirs, other) = (dataset.read(folder / part) for folder in made)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert manifest == other
    assert len(ours) == manifest.rows > 600


def test_spark_has_written_files_and_not_one_file(made: tuple[Path, Path]) -> None:
    """Otherwise the comparison above would say nothing about the order of many files."""
    assert (made[0] / "train" / dataset.ROWS).is_file()
    assert len(list((made[1] / "train" / dataset.ROWS).glob("part-*.parquet"))) > 1


def test_the_edges_are_in_the_rows(made: tuple[Path, Path]) -> None:
    """And each is what it must be, so that the engines do not agree on something wrong."""
    rows, _ = dataset.read(made[1] / "train")
    later, _ = dataset.read(made[1] / "test")
    assert rows["carrier"].isna().sum() == 2
    strange = rows[rows["carrier"] == "ZZ"]
    assert (len(strange), strange["humid"].isna().all(), set(strange["departures_in_hour"])) == (2, True, {2})
    assert len(rows[rows["dest"] == "ЖЖЖ"]) == 2
    assert (rows["scheduled_minutes"] == 5).sum() == 2
    midnights = rows[rows["departure_minute"] == 1440]
    assert set(midnights["scheduled_departure"].dt.strftime("%m-%d %H:%M")) >= {"11-01 00:00"}
    assert set(later.loc[later["departure_minute"] == 1440, "scheduled_departure"].astype(str)) == {
        "2013-12-01"
    }
    assert rows["distance"].isna().sum() == rows["scheduled_minutes"].isna().sum() == 2
    leap = rows[rows["scheduled_departure"].dt.strftime("%m-%d %H") == "11-03 01"]
    assert len(leap) == 4
    # Of two readings for an hour the lesser comes first, and null before all.
    stormy = rows[rows["scheduled_departure"].dt.strftime("%m-%d %H") == "06-01 03"]
    assert stormy["wind_speed"].isna().all()
    assert stormy["humid"].isna().all()
    assert set(rows["weekday"]) == set(range(7))


DRIVER = """
import contextlib, io, json, sys
from mlops.steps import prep
from mlops.tables import spark
said = []
with spark.session():
    for case in json.loads(sys.argv[1]):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            code = prep.main(["--engine", "spark", *case])
        said.append([code, err.getvalue()])
print(json.dumps(said))
"""
PANDAS_ONLY = """
class Frames:
    name, task, target, time, slices = "frames", "binary", "y", "t", ()
    def load(self, folder): ...
    def features(self, raw, window): ...
    def contract(self): ...
    def build(self, params): ...
    def evaluate(self, truth, prediction): ...

usecase = Frames()
"""


def test_what_spark_refuses_it_refuses_with_the_sentence_of_the_other_engine(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def copy(name: str, drop: str = "", **changed: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for table in ("flights", "weather", "planes"):
            frame = pd.read_parquet(raw_sample / f"{table}.parquet")
            if table == "flights":
                frame = frame.drop(columns=drop or []).assign(**changed)
            frame.to_parquet(folder / f"{table}.parquet", index=False)
        return folder

    lost = copy("lost")
    (lost / "weather.parquet").unlink()
    broken = copy("broken")
    (broken / "weather.parquet").write_bytes(b"PAR1 cut short")
    changed = sealed(copy("changed"))
    with (changed / "planes.parquet").open("ab") as stream:
        stream.write(b"x")
    cases = {
        "a column is missing": (sealed(copy("column", drop="carrier")), "lacks the columns carrier; it has "),
        "a table is missing": (sealed(lost), "weather.parquet: does not exist"),
        "a table is cut short": (sealed(broken), "weather.parquet: cannot be read as Parquet"),
        "the data have changed": (changed, "the raw data have changed since they were made"),
        "no labels": (sealed(copy("labels", drop="arr_delay")), "have no labels for 2013-01..2013-11"),
        "a date that there is not": (sealed(copy("date", day=31)), "cannot make rows of "),
    }
    given = [options(folder, tmp_path / "out") for folder, _ in cases.values()]
    given.append(options(sealed(copy("window")), tmp_path / "out", test="2015-04"))
    sentences = [sentence for _, sentence in cases.values()]
    sentences.append("is in the window 2015-04; the data cover 2013-01..2013-12")

    package = tmp_path / "path"
    package.mkdir()
    (package / "frames.py").write_text(PANDAS_ONLY)
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    pandas_only = options(tmp_path / "window", tmp_path / "out", usecase="frames")
    both = Path(f"{SOURCE}{os.pathsep}{package}")
    done = on_spark(driver, json.dumps([*given, pandas_only]), path=both)
    assert done.returncode == 0, done.stderr
    *answers, last = json.loads(done.stdout.splitlines()[-1])
    for case, sentence, (code, said) in zip(given, sentences, answers, strict=True):
        capsys.readouterr()
        here = [word.replace(str(tmp_path / "out"), str(tmp_path / "here")) for word in case]
        assert prep.main(here) == code, said
        assert sentence in said
        assert sentence in capsys.readouterr().err
    assert last[0] == 5
    assert "the use case 'frames' makes its rows with pandas" in last[1]
