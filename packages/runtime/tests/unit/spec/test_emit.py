"""What the tool writes, a fork commits: it says what was meant, and the fork's own lint passes it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from yaml_lint import LONG, keys, lint, values

from mlops.spec._emit import dump


@examples(20)
@given(st.dictionaries(keys, values, max_size=5))
@example({"reason": "word " * 40, "list": ["word " * 40, {"a": LONG}, [LONG, [1, 2]]]})
@example({"a": {"b": {"c": [{"d": [LONG + " x"]}]}}})
@example({"gates": [{"name": f"slice {n} roc_auc", "detail": "é" * 140} for n in "abc"]})
def test_any_data_is_read_back_as_it_was_and_is_clean(value: dict[str, Any]):
    text = dump(value)
    assert yaml.safe_load(text) == value
    assert lint(text) == []


def test_it_reads_as_people_write():
    value = {
        "release": 7,
        "hold": None,
        "metrics": {"roc_auc": {"value": 0.7, "low": 0.68, "champion": None}},
        "gates": [{"name": "limit roc_auc", "detail": "at most 1.2 (so far); 12:30"}],
        "empty": {},
        "tiny": 1e-05,
        "canary": [10, 50, 100],
    }
    assert dump(value) == (
        "release: 7\n"
        "hold: null\n"
        "metrics:\n"
        "  roc_auc: {value: 0.7, low: 0.68, champion: null}\n"
        "gates:\n"
        '  - {name: limit roc_auc, detail: "at most 1.2 (so far); 12:30"}\n'
        "empty: {}\n"
        "tiny: 1.0e-05\n"
        "canary: [10, 50, 100]\n"
    )


def test_a_long_sentence_goes_on_where_a_word_ends():
    text = dump({"detail": "one two three " * 12})
    first, *rest = text.splitlines()
    assert first.startswith('detail: "one two three')
    assert all(line.startswith("  ") for line in rest)
    assert max(map(len, text.splitlines())) <= 102


@pytest.mark.parametrize("wrong", ["a:  1\n", "a: {b: 1 }  \n", "a:\n- 1\n", f"a: {'b ' * 80}\n", "a: 1"])
def test_the_lint_blocks(wrong: str):
    assert lint(wrong)


@pytest.mark.parametrize("text", ["1e5", "12e34", "0o17", "08", "1_000", "1:30", "010", "+.5", "0b1"])
def test_a_text_that_some_reader_takes_for_a_number_is_quoted(text: str):
    assert dump({"run": text}) == f'run: "{text}"\n'
