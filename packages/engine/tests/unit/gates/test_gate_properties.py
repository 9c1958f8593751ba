"""What holds for any models: the champion gate is not a matter of luck for models that do not differ, never
lets a clearly worse one through, and a looser policy never blocks what a stricter one lets pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from examples import examples
from gate_cases import CANDIDATE, CHAMPION, ROWS, policy
from hypothesis import given
from hypothesis import strategies as st

from mlops.lifecycle.decide.gates import decide
from mlops.spec.gates import GateResult

seeds = st.integers(0, 2**32 - 1)
drops = st.floats(0, 0.2)


def verdict(candidate: np.ndarray, champion: np.ndarray, truth: np.ndarray, max_drop: float) -> GateResult:
    gates = policy(
        slices=[],
        champion={"metric": "roc_auc", "direction": "higher", "max_drop": max_drop, "resamples": 200},
    )
    report = decide(
        replace(CANDIDATE, prediction=candidate, truth=truth),
        replace(CHAMPION, prediction=champion, truth=truth),
        gates,
        None,
    )
    return next(gate for gate in report.gates if gate.name == "champion roc_auc")


def world(seed: int, quality: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that tell them apart the better the higher `quality` is."""
    generator = np.random.default_rng(seed)
    truth = (generator.random(ROWS) < 0.4).astype(float)
    raw = quality * (truth - 0.4) + generator.normal(0, 1, ROWS)
    return truth, 1 / (1 + np.exp(-raw))


@examples(8)
@given(seed=seeds, quality=st.floats(0, 3), max_drop=drops)
def test_an_identical_model_is_never_blocked(seed: int, quality: float, max_drop: float):
    truth, score = world(seed, quality)
    assert verdict(score, score, truth, max_drop).verdict == "pass"


@examples(8)
@given(seed=seeds, quality=st.floats(0.5, 3), max_drop=drops)
def test_the_same_ranking_is_never_blocked(seed: int, quality: float, max_drop: float):
    """ROC AUC sees ranks only: a monotone transform of the scores is the same model to this gate."""
    truth, score = world(seed, quality)
    assert verdict(score / 2, score, truth, max_drop).verdict == "pass"


@examples(8)
@given(seed=seeds, max_drop=drops)
def test_a_model_without_knowledge_never_beats_a_good_champion(seed: int, max_drop: float):
    """The champion's AUC is about 0.98, the candidate's 0.5: beyond any allowed drop and noise."""
    truth, champion = world(seed, 3.0)
    blind = np.random.default_rng(seed + 1).random(ROWS)
    assert verdict(blind, champion, truth, max_drop).verdict == "blocked"


@examples(8)
@given(seed=seeds, noise=st.floats(0, 0.5), one=drops, two=drops)
def test_a_looser_policy_never_blocks_more(seed: int, noise: float, one: float, two: float):
    truth, champion = world(seed, 1.5)
    candidate = champion + np.random.default_rng(seed).normal(0, noise, ROWS)
    strict, loose = sorted((one, two))
    if verdict(candidate, champion, truth, strict).verdict == "pass":
        assert verdict(candidate, champion, truth, loose).verdict == "pass"


def test_the_gate_holds_the_error_that_it_states():
    """A candidate at the limit of what is allowed passes in at most 1 - confidence of many worlds."""
    passed, worlds = 0, 200
    for seed in range(worlds):
        truth, champion = world(seed, 1.5)
        generator = np.random.default_rng(seed + 10_000)
        # The population AUC of quality q is Phi(q / sqrt 2): 0.856 for 1.5, 0.806 for 1.22.
        candidate = 1.22 * (truth - 0.4) + generator.normal(0, 1, ROWS)
        passed += verdict(candidate, champion, truth, 0.05).verdict == "pass"
    assert passed / worlds <= 0.10, f"{passed} of {worlds} passed; 5 % are allowed, 10 % is beyond chance"
