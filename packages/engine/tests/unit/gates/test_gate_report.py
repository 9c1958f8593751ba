"""A reviewer decides by the pull request's table: text of a model must not break it or hide a verdict."""

from __future__ import annotations

import io
from dataclasses import replace

from gate_cases import CANDIDATE, CHAMPION, POLICY, SCHEMA, measured
from rich.console import Console

from mlops.lifecycle.decide.gates import decide
from mlops.lifecycle.decide.report import headline, markdown, table
from mlops.spec.gates import GateReport

PASSED = decide(CANDIDATE, CHAMPION, POLICY, SCHEMA)
EVIL = "a | b\n| ❌ | <img src=x> [x](javascript:1) @team #1"
BLOCKED = decide(measured(contract_violations=[EVIL]).candidate, CHAMPION, POLICY, SCHEMA)


def columns(line: str) -> int:
    return line.replace("\\|", "").count("|") - 1


def test_markdown_lists_every_gate_and_both_models():
    text = markdown(PASSED)
    assert text.startswith("**freight version 8, against version 7 on 600 test rows, passes all gates.**")
    for gate in PASSED.gates:
        assert f"| {gate.name} |" in text
    row = next(line for line in text.splitlines() if line.startswith("| roc_auc"))
    metric = PASSED.metrics["roc_auc"]
    assert row.count(f"{metric.value:.4f}") == 2, "the champion's value on the same rows is missing"


def test_foreign_text_stays_inside_its_cell():
    text = markdown(BLOCKED)
    gates = text.split("\n\n")[1].splitlines()
    assert {columns(line) for line in gates} == {5}
    assert "<img" not in text and "@team" not in text
    assert "\\[x\\](javascript" in text


def test_the_headline_says_what_blocks_and_by_how_much():
    text = headline(BLOCKED)
    assert text.startswith(
        "freight version 8 is blocked by data contract: 1, asked is at most 0 violations: "
    )
    assert text.endswith("(against version 7 on 600 test rows)")
    assert "with no champion yet" in headline(decide(CANDIDATE, None, POLICY, None))


def test_the_table_shows_verdict_and_reason():
    stream = io.StringIO()
    Console(file=stream, width=400).print(table(BLOCKED))
    text = stream.getvalue()
    line = next(line for line in text.splitlines() if "data contract" in line)
    assert "blocked" in line
    assert "[x](javascript:1)" in text, "markup swallowed the reason"


def test_json_holds_all_of_it_and_no_nan():
    text = BLOCKED.model_dump_json()
    assert GateReport.model_validate_json(text) == BLOCKED
    unknown = decide(replace(CANDIDATE, latency=float("nan")), None, POLICY, None)
    assert "NaN" not in unknown.model_dump_json()
