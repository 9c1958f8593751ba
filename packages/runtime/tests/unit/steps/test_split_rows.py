"""Where time does not split: a row keeps its side, a group stays whole, and nothing is on both sides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy import Toy

from mlops.errors import InvalidInput
from mlops.spec.digest import tree_digest
from mlops.spec.split import Split
from mlops.steps import prep, validate
from mlops.steps.split import sides


def table(rows: int = 2000) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": draw.permutation(rows).astype("float32"),
            "word": draw.choice(["x", "y", None], rows),
            "vector": [draw.random(3) for _ in range(rows)],
            "patient": draw.integers(0, 200, rows),
            "fold": draw.choice(["1", "2", "3"], rows),
            "y": draw.integers(0, 2, rows),
        }
    )


INPUTS = ["a", "word", "vector"]


def test_a_random_share_is_about_what_was_asked_for_and_depends_on_the_seed():
    frame = table()
    found = {
        seed: sides(frame, Split.parse(f"random:test=0.2,seed={seed}"), INPUTS)["test"] for seed in (1, 2)
    }
    assert all(abs(len(test) / len(frame) - 0.2) < 0.03 for test in found.values())
    assert not found[1]["a"].equals(found[2]["a"])
    numbers = {s: sides(frame, Split.parse(f"random:test=0.2,seed={s}"), ["a"])["test"] for s in (1, 2)}
    assert not numbers[1]["a"].equals(numbers[2]["a"]), "also of numbers alone"


def test_a_row_keeps_its_side_in_every_version_of_the_data():
    """Otherwise a champion would be tested on what it has learned from, and would look better than it is."""
    frame, split = table(), Split.parse("random:test=0.2,seed=1")
    before = sides(frame, split, INPUTS)
    later = pd.concat(
        [table(500).assign(a=lambda f: f["a"] + 1e6), frame.sample(frac=1, random_state=3), frame]
    )
    after = sides(later, split, INPUTS)
    assert set(before["test"]["a"]) <= set(after["test"]["a"])
    assert not set(after["test"]["a"]) & set(after["train"]["a"]), "two equal rows are on one side"


def test_a_group_is_never_on_both_sides():
    found = sides(table(), Split.parse("group:patient,test=0.3,seed=5"), INPUTS)
    train, test = (set(found[side]["patient"]) for side in ("train", "test"))  # type: ignore[index]
    assert train and test and not train & test


def test_a_column_of_the_data_says_it():
    found = sides(table(), Split.parse("column:fold,test=3"), INPUTS)
    assert (set(found["train"]["fold"]), set(found["test"]["fold"])) == ({"1", "2"}, {"3"})
    found = sides(table(), Split.parse("column:fold,train=1,test=3"), INPUTS)
    assert (set(found["train"]["fold"]), set(found["test"]["fold"])) == ({"1"}, {"3"})


@pytest.mark.parametrize(
    ("split", "why"),
    [
        ("group:ward,test=0.3", "does not return; it returns a, word"),
        ("column:fold,test=9", "names 9; the column has 1, 2, 3"),
        ("group:word,test=0.3", "rows have none"),
        ("column:fold,test=1+2+3", "leaves no row to learn from"),
        ("random:test=0.000001", "leaves no row to test on"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(split: str, why: str):
    with pytest.raises(InvalidInput, match=why):
        sides(table(), Split.parse(split), INPUTS)


# --- the step -----------------------------------------------------------------------------------------------


class Clockless(Toy):
    time = None
    beside = ("patient", "fold")

    def features(self, raw: Path) -> pd.DataFrame:  # type: ignore[override]
        return pd.read_parquet(raw / "rows.parquet")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    usecase = Clockless("binary", {"a": "float32"})
    monkeypatch.setattr("mlops.usecase.load_usecase", lambda *_: usecase)
    folder = tmp_path / "raw"
    folder.mkdir()
    table()[["a", "patient", "fold", "y"]].to_parquet(folder / "rows.parquet")
    manifest = {"name": "toy", "version": "1", "digest": tree_digest(folder)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def run(raw: Path, *options: str) -> int:
    out = raw.parent
    given = ["--raw", str(raw), "--usecase", "toy", "--train", f"{out}/train", "--test", f"{out}/test"]
    return prep.main([*given, *options])


def test_rows_without_a_clock_are_dealt_and_say_so(raw: Path):
    assert run(raw, "--split", "group:patient,test=0.3,seed=1") == 0
    manifests = [json.loads((raw.parent / side / "manifest.json").read_text()) for side in ("train", "test")]
    assert [m["window"] for m in manifests] == [
        "train by group:patient,test=0.3,seed=1",
        "test by group:patient,test=0.3,seed=1",
    ]
    assert sum(m["rows"] for m in manifests) == 2000
    out = str(raw.parent)
    given = [
        "--usecase",
        "toy",
        "--train",
        f"{out}/train",
        "--test",
        f"{out}/test",
        "--report",
        f"{out}/report",
    ]
    assert validate.main(given) == 0, "what is beside the inputs breaks no contract"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "has no time column, and nothing says which rows to test on"),
        (("--window", "2013-01", "--test-window", "2013-02"), "so the window 2013-01 chooses no rows"),
        (("--split", "random:test=0.2", "--test-window", "2013-02"), "take one of them away"),
    ],
)
def test_one_way_of_splitting_is_asked_for(
    raw: Path, options: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
):
    assert run(raw, *options) == 5
    assert why in capsys.readouterr().err
