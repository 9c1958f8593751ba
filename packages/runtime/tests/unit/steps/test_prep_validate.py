"""Rows are split by time, carry their origin, and stop the pipeline when they break the contract."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mlops.steps import prep, validate


def _prep(raw: Path, out: Path, window: str = "2013-01..2013-03", test: str = "2013-04") -> int:
    given = ["--raw", str(raw), "--usecase", "flights", "--window", window, "--test-window", test]
    return prep.main([*given, "--train", str(out / "train"), "--test", str(out / "test")])


def _validate(prepared: Path, report: Path) -> int:
    given = ["--usecase", "flights", "--train", f"{prepared}/train", "--test", f"{prepared}/test"]
    return validate.main([*given, "--report", str(report)])


def test_manifests_name_the_raw_data_the_window_and_the_rows(prepared: Path, raw_sample: Path) -> None:
    raw = json.loads((raw_sample / "manifest.json").read_text())
    for part, window in (("train", "2013-01..2013-03"), ("test", "2013-04")):
        manifest = json.loads((prepared / part / "manifest.json").read_text())
        rows = pd.read_parquet(prepared / part / "data.parquet")
        assert manifest == {**raw, "window": window, "rows": len(rows)}
        assert len(rows) > 500


def test_every_test_row_is_later_than_every_training_row(prepared: Path) -> None:
    train, test = (pd.read_parquet(prepared / p / "data.parquet") for p in ("train", "test"))
    assert train["scheduled_departure"].max() < test["scheduled_departure"].min()


def test_a_test_window_that_is_not_later_is_refused(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for window in ("2013-03", "2012-12", "2013-01..2013-06"):
        assert _prep(raw_sample, tmp_path, test=window) == 5
        assert f"the test window {window} starts before the training window" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_say_what_is_allowed(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for window, sentence in (
        ("spring", "a window is written 2013-01..2013-03"),
        ("2013-13", "month must be in 1..12"),
    ):
        with pytest.raises(SystemExit) as left:
            _prep(raw_sample, tmp_path, window=window)
        assert left.value.code == 2
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit):
        _prep(tmp_path / "absent", tmp_path)
    assert "absent does not exist" in capsys.readouterr().err


def test_an_empty_window_is_refused(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _prep(raw_sample, tmp_path, test="2015-04") == 5
    assert "is in the window 2015-04; the data cover" in capsys.readouterr().err


def test_raw_data_that_changed_since_their_manifest_are_refused(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = Path(shutil.copytree(raw_sample, tmp_path / "raw"))
    with (raw / "planes.parquet").open("ab") as stream:
        stream.write(b"x")
    assert _prep(raw, tmp_path / "out") == 7
    assert "the raw data have changed since they were made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "manifest.json: does not exist"),
        ("{", "not valid JSON"),
        ('{"name": "n", "version": "1", "digest": "md5:1"}', "digest: "),
    ],
)
def test_raw_data_without_a_valid_manifest_are_refused(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    raw = Path(shutil.copytree(raw_sample, tmp_path / "raw"))
    manifest = raw / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text)
    assert _prep(raw, tmp_path / "out") == 5
    assert sentence in capsys.readouterr().err


def test_months_without_labels_are_refused(
    raw_sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlops.spec.digest import tree_digest

    raw = tmp_path / "raw"
    shutil.copytree(raw_sample, raw, ignore=shutil.ignore_patterns("manifest.json"))
    flights = pd.read_parquet(raw / "flights.parquet").drop(columns="arr_delay")
    flights.to_parquet(raw / "flights.parquet", index=False)
    manifest = {"name": "nycflights", "version": "2", "digest": tree_digest(raw)}
    (raw / "manifest.json").write_text(json.dumps(manifest))
    assert _prep(raw, tmp_path / "out") == 5
    assert "have no labels for 2013-01..2013-03 ('late' is absent)" in capsys.readouterr().err


def test_clean_rows_pass_and_the_report_says_how_many(prepared: Path, contract_report: Path) -> None:
    report = json.loads((contract_report / "contract.json").read_text())
    assert report["violations"] == []
    assert report["rows"]["test"] == len(pd.read_parquet(prepared / "test" / "data.parquet"))


def test_violations_stop_the_pipeline_with_every_sentence_and_a_report(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    train, test = (pd.read_parquet(data / p / "data.parquet") for p in ("train", "test"))
    train.loc[:4, "weekday"] = 8
    train.loc[0, "origin"] = "SFO"
    train.to_parquet(data / "train" / "data.parquet")
    test.drop(columns="seats").assign(late=None).to_parquet(data / "test" / "data.parquet")

    assert _validate(data, tmp_path / "report") == 5

    said = capsys.readouterr().err
    assert "train (2013-01..2013-03): column 'weekday': 5 rows broke the rule in_range(0, 6)" in said
    assert "train (2013-01..2013-03): column 'origin': 1 row broke the rule" in said
    assert "test (2013-04): column 'seats': the column broke the rule column present" in said
    assert "test (2013-04): column 'late' is absent or has nulls" in said
    report = json.loads((tmp_path / "report" / "contract.json").read_text())
    assert [(v["data"], v["column"]) for v in report["violations"]] == [
        ("train", "origin"),
        ("train", "weekday"),
        ("test", "seats"),
        ("test", "late"),
    ]


def test_what_no_request_is_held_to_is_told_and_recorded(
    prepared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pandera.pandas import Check

    from flights import usecase

    contract = usecase.contract()
    contract.columns["seats"].checks.append(Check(lambda s: s > 0, name="some"))
    monkeypatch.setattr(type(usecase), "contract", lambda _: contract)
    assert _validate(prepared, tmp_path / "report") == 0
    (sentence,) = json.loads((tmp_path / "report" / "contract.json").read_text())["unchecked"]
    assert "column 'seats': the rule some" in sentence
    assert sentence in caplog.text


def test_a_contract_that_cannot_be_served_stops_before_the_fit(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pandera.pandas import Column, DataFrameSchema

    from flights import usecase

    monkeypatch.setattr(type(usecase), "contract", lambda _: DataFrameSchema({"_row": Column("float32")}))
    assert _validate(prepared, tmp_path / "report") == 5
    assert "'_row' has a name that is taken" in capsys.readouterr().err


def test_data_that_prep_did_not_write_are_refused(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    (data / "train" / "data.parquet").write_bytes(b"not parquet")
    assert _validate(data, tmp_path / "report") == 5
    assert "data.parquet: cannot be read as Parquet" in capsys.readouterr().err
    (data / "train" / "data.parquet").unlink()
    assert _validate(data, tmp_path / "report") == 5
    assert "the step `prep` writes it" in capsys.readouterr().err
