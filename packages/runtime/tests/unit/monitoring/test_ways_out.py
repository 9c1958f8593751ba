"""Drift is seen where values leave what training had: below it, above it, into null, into unknown words.

Each of these passed once, because the test of the whole distribution does not look there.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mlops.monitoring import texts
from mlops.monitoring.distance import holm, rates, together
from mlops.monitoring.judge import compare, drift, prediction_drift
from mlops.monitoring.profile import ColumnProfile, Counter, Profile, groups, profile_values, unfamiliar
from mlops.monitoring.scan import ColumnFacts
from mlops.monitoring.thresholds import PREDICTIONS, Rules, load_thresholds
from mlops.spec.monitoring import Signal
from mlops.spec.schema import ColumnType

ROWS = 5_000
RULES = Rules(
    {
        "numerical": {"population_stability_index": 0.3, "two_sample_kolmogorov_smirnov_test": 0.01},
        "categorical": {"population_stability_index": 0.2, "pearsons_chi_squared_test": 0.01},
    }
)
RNG = np.random.default_rng(0)


def counted(profile: ColumnProfile, values: Any, kind: ColumnType) -> ColumnProfile:
    counter = Counter(profile)
    counter.add(values, kind)
    return counter.result()


def judged(old: Any, new: Any, kind: ColumnType = "number", rules: Rules = RULES) -> dict[str, Signal]:
    plain = {"string": pa.string(), "boolean": pa.bool_()}.get(kind, pa.float64())
    before, after = pa.array(old, plain), pa.array(new, plain)
    profile = profile_values("c", before, kind)
    facts = {"c": ColumnFacts(counted(profile, after, kind), rows=len(after))}
    made = drift(Profile(source="test", rows=len(before), columns=[profile]), facts, rules, holm)
    return {signal.name: signal for signal in made}


FLAG = RNG.integers(0, 2, ROWS).astype(float)
NORMAL = RNG.normal(size=ROWS)
SOME_NULL = [None if lost else v for v, lost in zip(NORMAL, RNG.random(ROWS) < 0.6, strict=True)]
CASES: list[tuple[str, Any, Any, str]] = [
    ("constant same", [100.0] * ROWS, [100.0] * ROWS, "pass"),
    ("constant falls", [100.0] * ROWS, [1.0] * ROWS, "breach"),
    ("constant rises", [100.0] * ROWS, [250.0] * ROWS, "breach"),
    ("flag becomes -1", FLAG, np.where(FLAG == 0, -1.0, 1.0), "breach"),
    ("flag becomes -999", FLAG, np.where(FLAG == 0, -999.0, 1.0), "breach"),
    ("flag becomes 2", FLAG, np.where(FLAG == 1, 2.0, 0.0), "breach"),
    ("flag becomes a half", FLAG, np.where(FLAG == 1, 0.5, 0.0), "breach"),
    ("flag becomes a share", FLAG, np.where(FLAG == 1, 0.75, 0.25), "breach"),
    ("flag as it was", FLAG, FLAG[::-1], "pass"),
    ("null appears", NORMAL, SOME_NULL, "breach"),
    ("all null", NORMAL, [None] * ROWS, "breach"),
    ("null goes", SOME_NULL, NORMAL, "breach"),
    ("was all null", [None] * ROWS, NORMAL, "breach"),
    ("still all null", [None] * ROWS, [None] * ROWS, "pass"),
    ("a few below", NORMAL, np.where(RNG.random(ROWS) < 0.001, -1e6, NORMAL), "pass"),
    ("many below", NORMAL, np.where(RNG.random(ROWS) < 0.1, -1e6, NORMAL), "breach"),
    ("between few values", RNG.integers(0, 10, ROWS) * 1.0, RNG.random(ROWS) * 9, "breach"),
    ("any value", NORMAL, NORMAL.round(1), "pass"),
    ("many above", NORMAL, np.where(RNG.random(ROWS) < 0.1, 1e6, NORMAL), "breach"),
]


@pytest.mark.parametrize(("old", "new", "verdict"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_numbers(old: Any, new: Any, verdict: str) -> None:
    assert judged(old, new)["c"].verdict == verdict


def test_a_null_rate_that_rises_a_little_in_few_rows_is_no_chance() -> None:
    """20 of 500 rows: a chi-squared test would put so few expected nulls together with something else."""
    new = [*NORMAL[:480], *[None] * 20]
    signal = judged(NORMAL, new, rules=Rules({"numerical": {"two_sample_kolmogorov_smirnov_test": 0.01}}))[
        "c"
    ]
    assert signal.verdict == "breach"
    assert signal.p_value is not None and signal.p_value < 1e-9


def test_categories_that_training_had_not_are_no_chance() -> None:
    old = RNG.choice(list("abc"), ROWS)
    new = [*RNG.choice(list("abc"), 470), *["d"] * 30]
    assert judged(old, new, "string")["c"].verdict == "breach"
    assert judged(old, RNG.choice(list("abc"), 500), "string")["c"].verdict == "pass"


def test_a_long_tail_of_rare_categories_is_no_news() -> None:
    """Every tenth row has a category of its own: as many new rows do again."""

    def tail(rows: int, start: int) -> list[str]:
        return [f"{i}" if i % 10 == 0 else "a" for i in range(start, start + rows)]

    old = profile_values("c", pa.array(tail(2_000, 0)), "string")
    assert old.text is None
    quiet = compare(old, counted(old, pa.array(tail(500, 10**6)), "string"))
    assert quiet.p_value > 0.05
    assert quiet.values["psi"] < 0.01
    assert compare(old, counted(old, pa.array(["b"] * 200 + ["a"] * 300), "string")).p_value < 1e-9


@pytest.mark.parametrize(("often", "alone"), [(9, False), (10, True)])
def test_a_category_is_compared_by_itself_when_it_is_familiar(often: int, alone: bool) -> None:
    old = profile_values("c", pa.array(["a"] * 90 + ["b"] * often), "string")
    assert len(groups(old, old)[0]) == 2 + alone
    assert unfamiliar(old, counted(old, pa.array(["a", "b", "z"]), "string")) == 2 - alone


def test_what_lies_outside_has_groups_of_its_own() -> None:
    profile = profile_values("c", pa.array(FLAG), "number")
    same = groups(profile, profile)
    assert [len(side) for side in same] == [2, 2]
    after = counted(profile, pa.array([-1.0, 0.0, 1.0, 1.0, 2.0, None]), "number")
    assert (after.below, after.counts, after.nulls, after.rows) == (1, [1, 2, 1], 1, 6)
    assert groups(profile, after)[1].tolist() == [1, 2, 1, 1, 1]
    low = counted(profile, pa.array([-1.0, 0.0]), "number")
    assert groups(profile, low)[1].tolist() == [1, 0, 1], "and none where there is nothing"
    assert compare(profile, after).values["outside"] == pytest.approx(2 / 5)


def test_values_between_are_told_apart_only_where_all_values_are_known() -> None:
    some = profile_values("c", pa.array([0.0] * 500 + [1.0] * 19), "number")
    assert not some.discrete, "one of the values came 19 times only"
    often = profile_values("c", pa.array([0.0, 1.0] * 20), "number")
    assert often.discrete
    after = counted(often, pa.array([0.0, 0.5, 0.5, 2.0]), "number")
    assert (after.counts, after.between, after.rows) == ([1, 0, 1], 2, 4)
    assert counted(some, pa.array([0.5]), "number").counts == [0, 1, 0]


def test_a_profile_of_an_earlier_version_sees_below_its_lowest_value_too() -> None:
    profile = profile_values("c", pa.array(FLAG), "number")
    earlier = ColumnProfile.model_validate(
        profile.model_dump(exclude={"below", "between", "discrete", "text"})
    )
    after = counted(earlier, pa.array(np.where(FLAG == 0, -1.0, 1.0)), "number")
    assert compare(earlier, after).values["psi"] > 1


# --- free text ---------------------------------------------------------------------------------------------

WORDS = np.array([f"word{i}" for i in range(400)])
WEIGHTS = 1 / np.arange(1, 401)
WEIGHTS /= WEIGHTS.sum()


def prose(generator: np.random.Generator, rows: int) -> list[str]:
    return [" ".join(generator.choice(WORDS, size=generator.integers(5, 30), p=WEIGHTS)) for _ in range(rows)]


def gibberish(generator: np.random.Generator, rows: int, low: int, high: int) -> list[str]:
    return [
        " ".join(
            "".join(map(chr, generator.integers(low, high, 6))) for _ in range(generator.integers(5, 30))
        )
        for _ in range(rows)
    ]


TRAINING = prose(RNG, 2_000)


@pytest.mark.parametrize(("low", "high"), [(0x430, 0x44F), (ord("a"), ord("z"))], ids=["cyrillic", "latin"])
def test_gibberish_is_seen_by_its_words_and_told_by_name(low: int, high: int) -> None:
    found = judged(TRAINING, gibberish(RNG, 700, low, high), "string")
    assert found["c (unknown words)"].verdict == "breach"
    assert found["c (unknown words)"].observed is not None
    assert set(found) == {"c", "c (length)", "c (unknown words)", "c (classifier)"}


def test_text_that_became_short_is_seen_by_its_length() -> None:
    found = judged(TRAINING, [text[:12] for text in prose(RNG, 700)], "string")
    assert found["c (length)"].verdict == "breach"


def test_text_that_became_empty_or_null_is_seen() -> None:
    assert judged(TRAINING, [""] * 700, "string")["c (length)"].verdict == "breach"
    assert judged(TRAINING, [None] * 700, "string")["c"].verdict == "breach"


def test_more_of_the_same_text_is_quiet_although_no_value_was_seen_before() -> None:
    found = judged(TRAINING, prose(np.random.default_rng(9), 700), "string")
    assert {signal.verdict for signal in found.values()} == {"pass"}


def test_a_text_column_that_is_not_named_never_alarms() -> None:
    found = judged(
        TRAINING, gibberish(RNG, 700, 97, 122), "string", rules=Rules(RULES.limits, features=("other",))
    )
    assert {signal.verdict for signal in found.values()} == {"skipped"}


@pytest.mark.parametrize(
    ("rows", "different", "expected"),
    [(49, 49, False), (50, 50, True), (100, 50, False), (100, 51, True), (1_000, 3, False)],
)
def test_free_text_is_many_different_texts(rows: int, different: int, expected: bool) -> None:
    sample = np.array([f"t{i % different}" for i in range(rows)], dtype=object)
    assert texts.free(sample) is expected


def test_a_vocabulary_has_words_of_several_texts_and_names_none() -> None:
    made = texts.vocabulary(["Red apple", "red pear", "apple!"])
    assert made == sorted(texts.words("red apple"))
    assert texts.unknown(["red RED kiwi", "", "pear fig", "apple"], made).tolist() == [0.5, 0, 1, 0]


def test_halves_are_different_texts() -> None:
    known, counted_on = texts.halves(np.array([str(i) for i in range(30_000)], dtype=object))
    assert len(known) == len(counted_on) == texts.ROWS
    assert not set(known) & set(counted_on)


# --- predicted classes -------------------------------------------------------------------------------------


def test_predicted_classes_have_limits_where_the_file_gives_none(tmp_path: Path) -> None:
    folder = tmp_path / "pipelines" / "topics"
    folder.mkdir(parents=True)
    signal = (
        "create_monitor:\n  monitoring_signals:\n    predictions:\n      type: prediction_drift\n"
        "      metric_thresholds: {numerical: {population_stability_index: 0.4}}\n"
    )
    (folder / "monitor.yml").write_text(signal, encoding="utf-8")
    rules = load_thresholds(tmp_path, "topics").prediction
    assert rules is not None
    assert rules.limits["numerical"] == {"population_stability_index": 0.4}
    assert rules.limits["categorical"] == PREDICTIONS["categorical"]
    before = profile_values("prediction", pa.array(RNG.choice(list("abcd"), ROWS)), "string")
    after = counted(before, pa.array(["a"] * 700), "string")
    (found,) = prediction_drift(before, after, rules, holm)
    assert found.verdict == "breach"


# --- the test of two rates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table", [(0, 5000, 20, 500), (3, 100, 0, 40), (1, 9, 4, 9), (0, 1, 1, 1), (40, 40, 35, 40)]
)
def test_small_counts_are_judged_exactly(table: tuple[int, int, int, int]) -> None:
    marked, of_reference, found, drawn = table
    law = stats.hypergeom(of_reference + drawn, marked + found, drawn)
    expected = min(1.0, 2 * min(law.sf(found - 1), law.cdf(found)))
    assert rates(*table) == pytest.approx(expected, rel=1e-6)


def test_large_counts_are_judged_by_chi_squared() -> None:
    expected = stats.chi2_contingency([[50, 950], [90, 910]], correction=False).pvalue
    assert rates(50, 1000, 90, 1000) == pytest.approx(expected)


@pytest.mark.parametrize("table", [(0, 0, 1, 5), (1, 5, 0, 0), (0, 5, 0, 5), (5, 5, 5, 5)])
def test_nothing_can_be_said_of_nothing(table: tuple[int, int, int, int]) -> None:
    assert rates(*table) == 1


def test_several_tests_of_a_column_share_its_chance() -> None:
    assert together([0.01, 0.5]) == 0.02
    assert together([0.6, 0.9]) == 1.0


# --- false alarms ------------------------------------------------------------------------------------------

LEVEL = 0.05
TESTS = Rules(
    {
        "numerical": {"two_sample_kolmogorov_smirnov_test": LEVEL},
        "categorical": {"pearsons_chi_squared_test": LEVEL},
    }
)


def quiet(generator: np.random.Generator, rows: int) -> dict[str, tuple[Any, ColumnType]]:
    """Every kind of column, with nulls, ties, a rare category, and free text of few words."""
    number = generator.normal(size=rows)
    holes = np.where(generator.random(rows) < 0.1, np.nan, generator.exponential(size=rows))
    return {
        "number": (pa.array(number), "number"),
        "holes": (pa.array(holes, from_pandas=True), "number"),
        "count": (pa.array(generator.geometric(0.05, rows).astype(float)), "integer"),
        "flag": (pa.array((generator.random(rows) < 0.02).astype(float)), "integer"),
        "kind": (pa.array(generator.choice(list("abcd"), rows, p=[0.6, 0.3, 0.098, 0.002])), "string"),
        "tail": (pa.array([f"t{n}" for n in generator.zipf(1.6, rows)]), "string"),
        "text": (pa.array([" ".join(generator.choice(WORDS[:50], size=4)) for _ in range(rows)]), "string"),
    }  # fmt: skip


def quiet_rich(generator: np.random.Generator, rows: int) -> dict[str, tuple[Any, ColumnType]]:
    """What a classifier is asked about: embeddings of a few topics, pictures, baskets, prose."""
    centres = np.random.default_rng(5).normal(size=(6, 48))
    vectors = centres[generator.integers(0, 6, rows)] + generator.normal(size=(rows, 48))
    shades = generator.normal(generator.normal(140, 30, (rows, 1, 1)), 25, (rows, 8, 8)).clip(0, 255)
    baskets = [generator.choice(WORDS, generator.integers(1, 8), p=WEIGHTS).tolist() for _ in range(rows)]
    return {
        "vector": (pa.array(vectors.round(4).tolist()), "vector"),
        "image": (pa.array([_png(one) for one in shades.astype(np.uint8)], pa.binary()), "image"),
        "list": (pa.array(baskets), "list"),
        "text": (pa.array(prose(generator, rows)), "string"),
    }


def _png(shades: Any) -> bytes:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.fromarray(shades).save(file, "PNG")
    return file.getvalue()


Drawn = Callable[[np.random.Generator, int], dict[str, tuple[Any, ColumnType]]]


def false_alarms(windows: int, training: int, rows: int, draw: Drawn = quiet) -> tuple[int, int]:
    """Quiet windows that alarm by the tests alone, and by effects and tests as a scaffold has them.

    Each window has a reference of its own: one that is unusual by chance would make all alike.
    """
    generator = np.random.default_rng(17)
    by_tests = by_both = 0
    for _ in range(windows):
        old, new = draw(generator, training), draw(generator, rows)
        columns = [profile_values(name, values, kind) for name, (values, kind) in old.items()]
        reference = Profile(source="quiet", rows=training, columns=columns)
        facts = {c.name: ColumnFacts(counted(c, *new[c.name]), rows=rows) for c in columns}
        by_tests += any(s.verdict == "breach" for s in drift(reference, facts, TESTS, holm))
        by_both += any(s.verdict == "breach" for s in drift(reference, facts, RULES, holm))
    return by_tests, by_both


@pytest.mark.parametrize(
    ("windows", "training", "rows"),
    [
        (20, 1_000, 300),
        pytest.param(300, 2_000, 500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(300, 500, 2_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_quiet_windows_alarm_no_more_often_than_stated(windows: int, training: int, rows: int) -> None:
    by_tests, by_both = false_alarms(windows, training, rows)
    allowed = LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / windows)
    assert by_tests / windows <= allowed, f"{by_tests} false alarms in {windows} quiet windows"
    assert by_both <= windows * 0.002, f"{by_both} of {windows} beyond effect and test"


@pytest.mark.parametrize(
    ("windows", "training", "rows"),
    [
        (6, 500, 200),
        pytest.param(300, 600, 200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
        pytest.param(300, 200, 600, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_a_classifier_takes_quiet_windows_for_change_no_more_often_than_stated(
    windows: int, training: int, rows: int
) -> None:
    """Vectors, images, lists and prose: thirteen signals a window, corrected together."""
    by_tests, by_both = false_alarms(windows, training, rows, quiet_rich)
    allowed = LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / windows)
    assert by_tests / windows <= allowed, f"{by_tests} false alarms in {windows} quiet windows"
    assert by_both <= windows * 0.01, f"{by_both} of {windows} beyond effect and test"
