"""`yamllint --strict` as a fork runs it, and data that YAML finds hard."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from yamllint import linter
from yamllint.config import YamlLintConfig

_FILE = Path(__file__).parents[4] / ".yamllint.yaml"
CONFIG = YamlLintConfig(_FILE.read_text(encoding="utf-8"))
LONG = "a-" * 80


def lint(text: str, name: str = "releases/freight/7.yaml") -> list[str]:
    """What it says with the repository's configuration; a warning counts, as with `--strict`."""
    return [f"{p.line}:{p.column} {p.message}" for p in linter.run(text, CONFIG, name)]


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.text(alphabet="ab :#\"\\'-?*&!%@`{}[],\n\t/.0é語\U0001f600\u2028\x85\xa0", max_size=200),
    st.sampled_from(
        ["null", "yes", "No", "~", "1e3", "0x1", "12:30", "2026-01-01", "", " ", ".inf", "=", "<<"]
    ),
    st.sampled_from(
        [LONG, f"{LONG} {LONG}", "word " * 60, " lead", "trail ", "a  b" * 60, "\\" * 150, '"' * 150]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
keys = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["on", "a b", "a:b"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
