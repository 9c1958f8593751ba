"""A drift verdict is right as often as it says: rarely wrong on quiet windows, awake on true ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.monitoring.distance import CORRECTIONS
from mlops.monitoring.judge import compare, drift
from mlops.monitoring.profile import ColumnProfile, Counter, Profile, groups, profile_file, profile_values
from mlops.monitoring.scan import ColumnFacts
from mlops.monitoring.thresholds import Rules
from mlops.spec.schema import Column

LEVEL = 0.05
TESTS = {
    "numerical": {"two_sample_kolmogorov_smirnov_test": LEVEL},
    "categorical": {"pearsons_chi_squared_test": LEVEL},
}
BOTH = {
    "numerical": {"population_stability_index": 0.2, "two_sample_kolmogorov_smirnov_test": LEVEL},
    "categorical": {"population_stability_index": 0.2, "pearsons_chi_squared_test": LEVEL},
}
NUMBERS = [f"n{i}" for i in range(6)]
COLUMNS = [*(Column(name=n, type="number") for n in NUMBERS), Column(name="text", type="string"),
           Column(name="hour", type="integer")]  # fmt: skip


def draw(
    generator: np.random.Generator, rows: int, shift: float = 0.0, column: str = "n0"
) -> dict[str, object]:
    """Six continuous columns, one of text with a rare value, one of few whole numbers."""
    made: dict[str, object] = {n: generator.normal(size=rows) for n in NUMBERS}
    if column in made:
        made[column] = generator.normal(loc=shift, size=rows)
    weights = np.array([0.5, 0.3, 0.15, 0.045, 0.005])
    if column == "text" and shift:
        weights = weights + np.array([-shift, 0, 0, shift, 0])
    made["text"] = generator.choice(list("abcde"), size=rows, p=weights)
    made["hour"] = generator.integers(0, 24, size=rows)
    return made


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("reference") / "train.parquet"
    pq.write_table(pa.table(draw(np.random.default_rng(1), 20_000)), path, row_group_size=3_000)
    return profile_file(path, COLUMNS, "training rows")


def facts(reference: Profile, data: Mapping[str, object]) -> dict[str, ColumnFacts]:
    found = {}
    for column in COLUMNS:
        bins = reference.column(column.name)
        assert bins is not None
        counter = Counter(bins.model_copy(update={"counts": [0] * len(bins.counts), "nulls": 0}))
        counter.add(pa.array(data[column.name]), column.type)
        found[column.name] = ColumnFacts(counter.result())
    return found


def alarms(reference: Profile, data: Mapping[str, object], rules: Rules, correction: str) -> list[str]:
    made = drift(reference, facts(reference, data), rules, CORRECTIONS[correction])
    return [s.name for s in made if s.verdict == "breach"]


def none(p_values: list[float]) -> list[float]:
    return p_values


@pytest.mark.parametrize("windows", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_correction_keeps_false_alarms_at_its_level(reference: Profile, windows: int):
    """Without it one window in four would be a false alarm; the same windows prove both."""
    generator = np.random.default_rng(2)
    rules = Rules(TESTS)
    corrected = raw = 0
    for _ in range(windows):
        found = facts(reference, draw(generator, 500))
        corrected += any(s.verdict == "breach" for s in drift(reference, found, rules, CORRECTIONS["holm"]))
        raw += any(s.verdict == "breach" for s in drift(reference, found, rules, none))
    allowed = LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / windows)
    assert corrected / windows <= allowed, f"{corrected} false alarms in {windows} quiet windows"
    assert raw / windows > 2 * allowed, "the simulation must be one that needs a correction"


def test_effect_and_test_together_are_silent_on_quiet_windows(reference: Profile):
    generator = np.random.default_rng(3)
    found = [alarms(reference, draw(generator, 500), Rules(BOTH), "holm") for _ in range(60)]
    assert not any(found)


@pytest.mark.parametrize(("column", "shift", "rows"), [("n0", 0.3, 1000), ("text", 0.05, 2000)])
@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg"])
def test_a_true_drift_is_found_and_named(
    reference: Profile, column: str, shift: float, rows: int, correction: str
):
    generator = np.random.default_rng(4)
    found = [
        alarms(reference, draw(generator, rows, shift, column), Rules(TESTS), correction) for _ in range(20)
    ]
    assert sum(column in names for names in found) >= 19
    assert sum(names == [column] for names in found) >= 17, "and little else is blamed"


def test_a_large_shift_is_beyond_both_limits(reference: Profile):
    data = draw(np.random.default_rng(5), 500, 1.0)
    assert alarms(reference, data, Rules(BOTH), "holm") == ["n0"]


def test_a_shift_too_small_to_matter_does_not_alarm_however_sure(reference: Profile):
    data = draw(np.random.default_rng(6), 100_000, 0.1)
    (signal,) = [
        s
        for s in drift(reference, facts(reference, data), Rules(BOTH), CORRECTIONS["holm"])
        if s.name == "n0"
    ]
    assert signal.p_value is not None and signal.p_value < 1e-6
    assert signal.verdict == "pass"


def test_a_large_effect_in_few_rows_is_left_to_chance(reference: Profile):
    data = draw(np.random.default_rng(7), 12)
    signals = drift(reference, facts(reference, data), Rules(BOTH), CORRECTIONS["holm"])
    moved = [s for s in signals if (s.observed or 0) > 0.2]
    assert moved, "twelve rows cannot fill ten bins"
    assert all(s.verdict == "pass" and "chance" in s.detail for s in moved)


def test_columns_that_are_not_named_are_measured_only(reference: Profile):
    data = draw(np.random.default_rng(8), 500, 3.0)
    signals = drift(reference, facts(reference, data), Rules(BOTH, ("text",)), CORRECTIONS["holm"])
    (left,) = [s for s in signals if s.name == "n0"]
    assert left.verdict == "skipped" and left.observed is not None and left.observed > 1


def test_a_column_that_is_gone_is_said(reference: Profile):
    found = facts(reference, draw(np.random.default_rng(9), 500))
    del found["text"]
    (gone,) = [s for s in drift(reference, found, Rules(BOTH), CORRECTIONS["holm"]) if s.name == "text"]
    assert (gone.verdict, gone.detail) == ("skipped", "the captured rows do not have this column")


# --- bins ----------------------------------------------------------------------------------------------


def test_effects_are_those_of_the_raw_values(reference: Profile):
    """Counting in the reference's bins gives what deciles of the raw values give, but for ties at edges."""
    generator = np.random.default_rng(10)
    old, new = generator.normal(size=50_000), generator.normal(0.5, 1.2, size=50_000)
    profile = profile_values("x", pa.array(old), "number")
    counter = Counter(profile.model_copy(update={"counts": [0] * len(profile.counts)}))
    counter.add(pa.array(new), "number")
    found = compare(profile, counter.result())
    edges = np.quantile(old, np.linspace(0, 1, 11))[1:-1]
    p, q = (np.bincount(np.searchsorted(edges, v), minlength=10) / len(v) for v in (old, new))
    assert found.values["psi"] == pytest.approx(float(np.sum((p - q) * np.log(p / q))), rel=0.02)
    from scipy import stats

    assert found.values["ks"] == pytest.approx(stats.ks_2samp(old, new).statistic, abs=1 / 200)


def test_a_group_holds_about_a_tenth(reference: Profile):
    column = reference.column("n1")
    assert column is not None
    old, _ = groups(column, column)
    assert len(old) == 10
    assert np.all(np.abs(old / old.sum() - 0.1) < 0.02)


def test_few_whole_numbers_have_a_bin_each(reference: Profile):
    column = reference.column("hour")
    assert column is not None and column.edges == list(range(24))


def test_unseen_values_and_nulls_are_counted():
    profile = profile_values("x", pa.array(["a", "b", "a", None]), "string")
    assert (profile.values, profile.counts, profile.nulls) == (["a", "b"], [2, 1, 0], 1)
    counter = Counter(profile.model_copy(update={"counts": [0, 0, 0], "nulls": 0}))
    counter.add(pa.array(["c", "a", None, None]), "string")
    counter.add(pa.array([], pa.string()), "string")
    made = counter.result()
    assert (made.counts, made.nulls, made.rows) == ([1, 0, 1], 2, 4)
    assert compare(profile, made).values["unseen"] == 0.5


def test_nan_is_null_and_infinity_a_value():
    profile = profile_values("x", pa.array([1.0, 2.0, float("nan"), None, float("inf")]), "number")
    assert profile.nulls == 2 and sum(profile.counts) == 3


def test_booleans_and_constants_have_profiles():
    assert profile_values("x", pa.array([True, False, True]), "boolean").counts == [1, 2, 0]
    constant = profile_values("x", pa.array([3.0] * 50), "number")
    assert compare(constant, constant).values["psi"] == 0


def test_an_all_null_column_can_be_compared():
    empty = profile_values("x", pa.array([None, None], pa.float64()), "number")
    found = compare(empty, empty)
    assert found.p_value == 1 and found.values["null_rate"] == 1


def test_row_groups_and_samples_do_not_change_the_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Bins come from a sample, counts from every row."""
    values = np.arange(10_000) % 37
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet", row_group_size=700)
    monkeypatch.setattr("mlops.monitoring.profile.SAMPLE", 1_000)
    monkeypatch.setattr("mlops.monitoring.profile.BATCH", 512)
    (made,) = profile_file(tmp_path / "a.parquet", [Column(name="x", type="integer")], "rows").columns
    assert made.counts[:-1] == np.bincount(values).tolist() and made.rows == 10_000


def test_a_profile_survives_its_file(reference: Profile, tmp_path: Path):
    from mlops.monitoring.profile import read_profile

    path = tmp_path / "profile.json"
    path.write_text(reference.model_dump_json())
    assert read_profile(path) == reference
    assert isinstance(reference.columns[0], ColumnProfile)
    assert path.stat().st_size < 50_000
