"""A delivery becomes one new version or none: rows that break a rule are set aside with the reason, the same
delivery twice is one, a version is never touched. Otherwise nobody can say what a model saw."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import Blocked, IntegrityError, InvalidInput, NotFound
from mlops.lifecycle.train.fetch import fetched
from mlops.lifecycle.train.ingest import Ingested, ingest, newest
from mlops.spec.settings import load_settings
from mlops.spec.window import Window
from mlops.steps import dataset
from mlops.steps import ingest as step
from mlops.targets.base import Target
from mlops.targets.local import open_local

JULY = Window.parse("2013-07")
NAME = "nycflights"

Run = Callable[..., Ingested]


@pytest.fixture(scope="module")
def half_year(raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw data that end with June."""
    folder = tmp_path_factory.mktemp("half-year")
    for table in ("flights", "weather", "planes"):
        frame = pd.read_parquet(raw_sample / f"{table}.parquet")
        frame = frame if table == "planes" else frame[frame["month"] <= 6]
        frame.to_parquet(folder / f"{table}.parquet", index=False)
    step.write_manifest(folder, NAME, "1", step.source_digest(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path, half_year: Path) -> Path:
    (tmp_path / "mlops.toml").write_text('[project]\nname = "toy"\n[models.flights]\nusecase = "flights"\n')
    (tmp_path / "pipelines/flights").mkdir(parents=True)
    (tmp_path / "pipelines/flights/data.yml").write_text(f'name: {NAME}\nversion: "1"\n')
    place = tmp_path / ".mlops/data" / NAME / "1"
    place.mkdir(parents=True)
    for path in half_year.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def target(root: Path) -> Target:
    return open_local(root, load_settings(root))


@pytest.fixture
def delivered(tmp_path: Path, raw_sample: Path) -> Path:
    """July, as CSV."""
    folder = tmp_path / "delivered"
    folder.mkdir()
    for table in ("flights", "weather"):
        frame = pd.read_parquet(raw_sample / f"{table}.parquet")
        frame[frame["month"] == 7].to_csv(folder / f"{table}.csv", index=False)
    return folder


@pytest.fixture
def run(root: Path, target: Target) -> Run:
    return functools.partial(_run, root, target)


def _run(root: Path, target: Target, source: object, window: Window = JULY, **options: float) -> Ingested:
    return ingest(root, target, "flights", str(source), window, actor="Ann", **options)


def edit(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder / "flights.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)


def test_a_delivery_is_the_next_version_and_training_reads_it(
    run: Run, target: Target, delivered: Path, raw_sample: Path
) -> None:
    from flights import usecase

    made = run(delivered)
    assert (made.name, made.version, made.new, made.rejected_rows) == (NAME, "2", True, 0)
    folder = Path(target.data.resolve(NAME, "2"))
    assert dataset.read_raw(folder).digest == made.digest, "prep accepts it"
    ours, whole = usecase.features(folder, JULY), usecase.features(raw_sample, JULY)
    keys = ["scheduled_departure", "carrier", "origin", "dest", "distance", "departure_minute"]
    pd.testing.assert_frame_equal(
        ours.sort_values(keys, ignore_index=True), whole.sort_values(keys, ignore_index=True)
    )
    assert len(usecase.features(folder, Window.parse("2013-01..2013-06"))) == len(
        usecase.features(Path(target.data.resolve(NAME, "1")), Window.parse("2013-01..2013-06"))
    ), "the months before are as they were"
    with pytest.raises(InvalidInput, match=r"no row of .* is in the window"):
        usecase.features(Path(target.data.resolve(NAME, "1")), JULY)
    assert newest(target, NAME) == "2"


def test_the_same_delivery_again_is_nothing_new(run: Run, target: Target, delivered: Path) -> None:
    first = run(delivered)
    again = run(delivered)
    assert (again.version, again.new, again.digest, again.accepted) == (
        "2",
        False,
        first.digest,
        first.accepted,
    )
    assert target.data.versions(NAME) == ["1", "2"]  # type: ignore[attr-defined]


def test_a_corrected_delivery_replaces_its_months(run: Run, target: Target, delivered: Path) -> None:
    first = run(delivered)
    edit(delivered, lambda f: f.assign(arr_delay=f["arr_delay"] + 1))
    second = run(delivered)
    assert (second.version, second.new, second.accepted) == ("3", True, first.accepted)
    two, three = (pd.read_parquet(Path(target.data.resolve(NAME, v)) / "flights.parquet") for v in "23")
    assert len(two) == len(three)
    assert (three["arr_delay"].sum() > two["arr_delay"].sum()) and two.columns.equals(three.columns)
    assert two.dtypes.equals(three.dtypes)


def test_a_correction_that_is_taken_back_is_a_version_again(run: Run, delivered: Path) -> None:
    before = (delivered / "flights.csv").read_bytes()
    run(delivered)
    edit(delivered, lambda f: f.iloc[:-1])
    run(delivered)
    (delivered / "flights.csv").write_bytes(before)
    again = run(delivered)
    assert (again.version, again.new) == ("4", True), "version 3 has replaced the window of version 2 since"


def test_wrong_rows_and_files_are_set_aside_with_their_reasons(
    run: Run, target: Target, delivered: Path
) -> None:
    def break_some(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({"carrier": object, "sched_arr_time": object})
        frame.loc[0, "month"] = 8
        frame.loc[1, "origin"] = "BER"
        frame.loc[2, "sched_arr_time"] = "soon"
        frame.loc[3, "distance"] = 0
        frame.loc[4, "carrier"] = "delta"
        frame.loc[5, "day"] = 32
        return pd.concat([frame, frame.iloc[[10]]])

    edit(delivered, break_some)
    (delivered / "notes.txt").write_text("hello")
    (delivered / "weather-2.csv").write_text("a,b\n1,2\n")
    (delivered / "planes.parquet").write_bytes(b"not parquet")
    rows = len(pd.read_csv(delivered / "flights.csv"))
    made = run(delivered)
    assert (made.rejected_rows, made.rejected_files) == (7, 3)
    report = json.loads((Path(made.quarantine) / "quarantine.json").read_text())
    reasons = {(r["file"], r["reason"].split(":")[0]): r["rows"] for r in report["rejected"]}
    assert reasons == {
        ("flights.csv", "has no valid date"): 1,
        ("flights.csv", "is outside the window 2013-07"): 1,
        ("flights.csv", "has an origin that is none of EWR, JFK, LGA"): 1,
        ("flights.csv", "has no IATA carrier"): 1,
        ("flights.csv", "has no scheduled arrival (HHMM)"): 1,
        ("flights.csv", "has a distance that is not above 0"): 1,
        ("flights.csv", "is there twice"): 1,
        ("notes.txt", "is none of flights, weather, planes as .csv, .zip, .parquet"): 0,
        ("weather-2.csv", "cannot be read"): 0,
        ("planes.parquet", "cannot be read"): 0,
    }
    (kept,) = [r["kept"] for r in report["rejected"] if "an origin" in r["reason"]]
    row = pd.read_csv(Path(made.quarantine) / kept).iloc[0]
    assert (row["origin"], row["_reason"]) == ("BER", "has an origin that is none of EWR, JFK, LGA")
    taken = pd.read_parquet(Path(target.data.resolve(NAME, "2")) / "flights.parquet").query("month == 7")
    assert len(taken) == rows - 7


def test_a_delivery_with_too_much_wrong_is_refused_whole(run: Run, target: Target, delivered: Path) -> None:
    edit(delivered, lambda f: f.assign(origin=["BER"] * 100 + list(f["origin"][100:])))
    with pytest.raises(Blocked, match=r"100 rows .* at most 10\.0% may; nothing was taken") as refused:
        run(delivered)
    report = Path(str(refused.value).rpartition(". ")[2].removesuffix(" has the reasons"))
    assert json.loads(report.read_text())["rejected"][0]["rows"] == 100
    assert newest(target, NAME) == "1"
    assert run(delivered, max_rejected=0.5).version == "2", "a person may decide otherwise"


@pytest.mark.parametrize("month", ["2013-08", "2014-01"])
def test_a_window_that_the_delivery_does_not_have_is_refused(
    run: Run, target: Target, delivered: Path, month: str
) -> None:
    with pytest.raises(InvalidInput, match=f"no flight of {month} .* is outside the window"):
        run(delivered, Window.parse(month))
    assert newest(target, NAME) == "1"


def test_no_version_is_changed(run: Run, target: Target, delivered: Path, tmp_path: Path) -> None:
    run(delivered)
    with pytest.raises(Blocked, match="never changed"):
        target.data.add(NAME, "2", tmp_path)  # type: ignore[attr-defined]
    path = Path(target.data.resolve(NAME, "2")) / "flights.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        target.data.resolve(NAME, "2")


def test_a_version_that_is_not_here_is_named_with_those_that_are(
    run: Run, target: Target, delivered: Path
) -> None:
    run(delivered)
    with pytest.raises(NotFound, match=r"nycflights:7; declared: nycflights:1; ingested here: nycflights:2"):
        target.data.resolve(NAME, "7")


def test_a_use_case_without_deliveries_says_so(root: Path, target: Target, delivered: Path) -> None:
    from flights import Flights

    class Plain(Flights):
        ingest = None  # type: ignore[assignment]

        def __init_subclass__(cls) -> None: ...

    plain = Plain()
    del Plain.ingest
    plain_type = type(
        "Plain", (), {k: getattr(plain, k) for k in ("name", "task", "target", "time", "slices")}
    )
    with pytest.raises(InvalidInput, match="takes no windows of raw data"):
        step.take(
            plain_type(),
            delivered,
            JULY,
            root,
            root,
            base_version="1",
            max_rejected=0.1,
            quarantine=root / "q",
        )


# --- the step, as Data Factory and Azure ML run it -------------------------------------------------------


def options(half_year: Path, delivered: Path, out: Path, window: str = "2013-07") -> list[str]:
    fixed = ["--usecase", "flights", "--name", NAME, "--asset-version", "2", "--window", window]
    places = ["--source", str(delivered), "--base", str(half_year)]
    return [*fixed, *places, "--output", str(out / "data"), "--quarantine", str(out / "quarantine")]


def test_the_step_makes_what_the_verb_makes(
    run: Run, half_year: Path, delivered: Path, tmp_path: Path
) -> None:
    assert step.main(options(half_year, delivered, tmp_path / "out")) == 0
    assert dataset.read_raw(tmp_path / "out/data").digest == run(delivered).digest
    assert json.loads((tmp_path / "out/quarantine/quarantine.json").read_text())["rejected"] == []


def test_the_step_takes_one_file_and_not_its_neighbours(
    half_year: Path, delivered: Path, tmp_path: Path
) -> None:
    (delivered / "flights-old.csv").write_text("broken")
    assert step.main(options(half_year, delivered / "flights.csv", tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out/quarantine/quarantine.json").read_text())["rejected"] == []


def test_the_step_refuses_a_changed_base(half_year: Path, delivered: Path, tmp_path: Path, capsys) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for path in half_year.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    (base / "more.txt").write_text("x")
    assert step.main(options(base, delivered, tmp_path / "out")) == 7
    assert "the raw data have changed" in capsys.readouterr().err


def test_the_step_ends_with_a_sentence_for_an_empty_delivery(half_year: Path, tmp_path: Path, capsys) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert step.main(options(half_year, empty, tmp_path / "out")) == 5
    assert "it is empty" in capsys.readouterr().err


# --- sources ------------------------------------------------------------------------------------------


@pytest.fixture
def server(delivered: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(delivered))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path == "/elsewhere.csv":
            self.send_response(302)
            self.send_header("location", "ftp://example.com/flights.csv")
            self.end_headers()
            return
        super().do_GET()


def test_an_address_of_a_folder_gives_the_same_version(run: Run, delivered: Path, server: str) -> None:
    made = run(server)
    assert (made.version, made.new) == ("2", True)
    assert run(delivered).new is False, "the same files, whatever way they came"


def test_an_address_of_a_file_is_a_file(run: Run, server: str) -> None:
    assert run(f"{server}flights.csv").accepted > 100


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("http://example.com/flights.csv", "by https only"),
        ("ftp://example.com/flights.csv", "by https only"),
        ("file:///etc/passwd", "by https only"),
        ("nowhere", "does not exist"),
    ],
)
def test_other_sources_are_refused(source: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence), fetched(source, ("flights.csv",)):
        pass


def test_a_missing_address_and_a_bad_redirect_are_sentences(server: str) -> None:
    from mlops.errors import MlopsError

    for name, sentence in (("none.csv", "does not exist"), ("elsewhere.csv", "ftp://.* by https only")):
        with pytest.raises(MlopsError, match=sentence), fetched(f"{server}{name}", ()):
            pass
