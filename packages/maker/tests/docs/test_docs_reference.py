"""The reference is what the code says: a page that lags behind tells its reader of options that are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doc_pages import ROOT

from mlops.lifecycle.decide.gates import GATES
from mlops.lifecycle.decide.journal import Facts
from mlops.lifecycle.decide.transitions import Move, verdicts
from mlops.reference import gates, pages, variables, verbs
from mlops.reference.fields import TITLES, kind
from mlops.reference.markdown import cell, literal
from mlops.spec.desired import DesiredState
from mlops.spec.gatepolicy import GatePolicy
from mlops.spec.gates import GateResult, Interval
from mlops.spec.policy import EnvironmentPolicy, Freeze, Policy
from mlops.spec.release import Data, Release, Source

DIGEST = f"sha256:{'0' * 64}"


def test_the_pages_in_git_are_what_the_code_says() -> None:
    assert pages.stale(ROOT) == [], "run: make reference"


def test_a_stale_page_is_found_and_a_forgotten_one_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pages, "pages", lambda root: {f"{pages.FOLDER}/a.md": "a\n", f"{pages.FOLDER}/b.md": "b\n"}
    )
    folder = tmp_path / pages.FOLDER
    assert pages.write(tmp_path) == ["docs/reference/a.md", "docs/reference/b.md"]
    assert pages.stale(tmp_path) == []
    (folder / "a.md").write_text("edited by hand\n", encoding="utf-8")
    (folder / "old.md").write_text("of a verb that is gone\n", encoding="utf-8")
    assert pages.write(tmp_path) == ["docs/reference/a.md", "docs/reference/old.md"]
    assert not (folder / "old.md").exists()


def test_every_field_says_what_it_means() -> None:
    """A name and a type leave a reader to guess the unit, or what happens without it."""
    reference = pages.pages(ROOT)
    assert len(list(_silent("a.md", f"{FIELDS}\n|---|---|---|---|\n| `x` | text \\| y | none |  |\n"))) == 1
    assert sum(text.count(FIELDS) for text in reference.values()) > 60
    silent = [place for name, text in reference.items() for place in _silent(name, text)]
    assert silent == [], "write a docstring below the field, or of the model that it refers to"


FIELDS = f"| {' | '.join(TITLES)} |"


def _silent(page: str, text: str) -> Iterator[str]:
    """Rows of tables of fields whose meaning is empty."""
    inside = False
    for line in text.splitlines():
        inside = line == FIELDS or (inside and line.startswith("|"))
        if inside and not re.split(r"(?<!\\)\|", line)[-2].strip():
            yield f"{page}: {line}"


def test_every_verb_has_a_section_with_its_options() -> None:
    text = "\n".join(verbs.pages().values())
    found = verbs.verbs()
    assert len(found) > 40
    for verb in found:
        assert f"## mlops {verb.path}\n" in text
        assert verb.summary, f"mlops {verb.path} says nothing about itself"
        for option in verb.command.params:
            if option.param_type_name == "option" and not option.hidden:
                assert option.help, f"mlops {verb.path} {option.opts[0]} has no help"


def test_every_gate_and_every_rule_is_explained() -> None:
    page = gates.gates()
    # A gate without a section of its own goes by another one's limits, and has its words all the same.
    assert set(gates.SECTIONS) <= set(GATES)
    assert [name for name in set(GATES) - set(gates.SECTIONS) if f"### {name}\n" not in page] == []
    assert {section for section, _ in gates.SECTIONS.values()} == set(GatePolicy.model_fields) - {
        "monitoring"
    }
    assert set(gates.RULES) == {result.name for result in verdicts(_move())}


def _move() -> Move:
    source = Source(commit="a" * 40, actor="ada", run_id="r", pipeline="p", pipeline_digest=DIGEST)
    data = Data(name="d", version="1", digest=DIGEST, window="2013-01", test_window="2013-02")
    passed = GateResult(name="a", verdict="pass", observed="1", limit="1")
    release = Release(
        model="freight", version=1, digest=DIGEST, created=datetime(2026, 1, 1, tzinfo=UTC), source=source,
        data=data, environment=DIGEST, metrics={"m": Interval(value=1, low=1, high=1)}, gates=[passed],
    )  # fmt: skip
    return Move(
        env="prod", model="freight", desired=DesiredState(release=1), release=release, lineage=frozenset({1}),
        served=None, facts=Facts(), upstream=None, freeze=Freeze(), now=datetime(2026, 1, 2, tzinfo=UTC),
        policy=Policy(order=["prod"], environments={"prod": EnvironmentPolicy()}),
    )  # fmt: skip


def test_every_variable_that_the_sources_read_is_listed() -> None:
    listed = {*variables.PERSON, *variables.DEPLOYMENT, *variables.FORGE}
    folders = [ROOT / "packages", ROOT / "infra"]
    sources = [
        p for folder in folders for p in folder.rglob("*.py") if not {"reference", "tests"} & {*p.parts}
    ]
    read = {
        name
        for path in sources
        for name in re.findall(r'"(MLOPS_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    on_the_forge = {
        "MLOPS_BOARD",
        "MLOPS_BOOTSTRAP",
    }  # variables of a repository on GitHub, no environment has them
    assert read - on_the_forge == listed


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number, at least 1"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "list of text, not empty"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or nothing"),
        ({"enum": ["a", "b"], "type": "string"}, "`a` or `b`"),
        ({"type": ["string", "number"]}, "duration"),
        ({"$ref": "#/$defs/Volume"}, "[Volume](#volume)"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "name → whole number"),
    ],
)
def test_types_in_words(schema: dict[str, object], words: str) -> None:
    assert kind(schema) == words


def test_text_of_the_code_stays_text() -> None:
    assert literal("pipelines/<model>/*.yml, `a<b>*`") == "pipelines/\\<model>/\\*.yml, `a<b>*`"
    assert cell("a | b\n c") == "a \\| b c"
