"""A wrong file in git is answered with file, line, field, value and what is allowed: the reader of the error
is somebody with a pull request open, not somebody with a debugger."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.spec._base import Spec
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.spec.window import Window

BOMB = "a: &a0 [1, 2]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
MERGES = "a: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


def refusal(text: str, model: type = DesiredState) -> str:
    with pytest.raises(InvalidInput) as caught:
        Document(text, "file.yaml").parse(model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("release: 7\nreplace: 6\n", ["file.yaml:2: replace: unknown field", "did you mean 'replaces'?"]),
        ("replaces: 6\n", ["file.yaml:1: release: required"]),
        ("release: seven\n", ["file.yaml:1: release: must be a whole number; got 'seven'"]),
        ("release: 7.5\n", ["file.yaml:1: release: must be a whole number; got 7.5"]),
        ("release: 7\nstrategy: fast\n", ["file.yaml:2: strategy: must be a mapping; got 'fast'"]),
        ("release: 7\nstrategy: {canary: 5}\n", ["file.yaml:2: strategy.canary: must be a list; got 5"]),
        ("release: 7\nhold: {since: x}\n", ["file.yaml:2: hold.since: "]),
        ("release: 0\n", ["file.yaml:1: release", "greater than or equal to 1", "got 0"]),
        ("release: 7\nreplaces: 7\n", ["release and replaces are both 7"]),
        ("release: 7\nstrategy:\n  canary: [50, 10, 100]\n", ["file.yaml:3: strategy.canary", "must rise"]),
        (
            "release: 7\nstrategy:\n  analysis: 1 hour\n",
            ["file.yaml:3: strategy.analysis", "60s", "'1 hour'"],
        ),
        *(
            (
                f"release: 7\nstrategy: {{analysis: {given}}}\n",
                ["2: strategy.analysis: must be at most 36500d"],
            )
            for given in ("9" * 400 + "d", "36501d", "99999999999", ".inf", ".nan")
        ),
        ("release: 7\nrelease: 8\n", ["file.yaml:2", "given twice"]),
        ("release: [\n", ["not valid YAML"]),
        ("hold: null\nrelease: 2026-02-30\n", ["file.yaml:2: not valid YAML", "'2026-02-30' is no date"]),
        ("release: 0x_\n", ["file.yaml:1: not valid YAML", "'0x_' is no int"]),
        ("release: 7\n? [a, b]\n: 1\n", ["file.yaml:2: not valid YAML", "name must be a text"]),
        ("release: 7\nhold: a\0b\n", ["file.yaml:2: not valid YAML", "U+0000"]),
        ("release: " + "[" * 3000 + "]" * 3000, ["file.yaml: not valid YAML", "nest too deeply"]),
        (
            "release: 7\n<<<<<<< HEAD\nreplaces: 5\n=======\nreplaces: 6\n>>>>>>> other\n",
            ["file.yaml:2: a merge conflict"],
        ),
        (BOMB, ["file.yaml:1: not valid YAML: aliases", "repeat more than 100,000 values"]),
        (BOMB + "# \t\n", ["file.yaml:1: not valid YAML: aliases"]),
        (MERGES, ["file.yaml:1: not valid YAML: aliases"]),
        ("release: 7\nhold: &a\n  by: *a\n", ["file.yaml:2: not valid YAML", "contains itself"]),
        ("release: &a [1, {b: *a}]\n", ["file.yaml:1: not valid YAML", "contains itself"]),
        ("release: 7\nhold: &a {<<: *a}\n", ["file.yaml:2: not valid YAML", "contains itself"]),
        ("release: '" + "9" * 9000 + "'\n", ["must be a whole number", "999…"]),
        ("release: -" + "9" * 4000 + "\n", ["greater than or equal to 1", "999…"]),
        ("release: " + "9" * 9000 + "\n", ["file.yaml:1: not valid YAML", "999… is no int"]),
        ("- 1\n", ["file.yaml:1: must be a mapping", "list"]),
        ("", ["the file is empty"]),
        ("release: 7\nbypass: {gates: [soak], reason: short, approver: ann}\n", ["bypass.reason", "10"]),
    ],
)
def test_error_says_where_and_what(text: str, expected: list[str]):
    message = refusal(text)
    for part in expected:
        assert part in message


def test_every_problem_is_listed_at_once():
    message = refusal("release: x\nhold: {reason: ''}\nunknown: 1\n")
    assert {"release", "hold.reason", "hold.since", "hold.by", "unknown"} <= {
        line.split(": ")[1] for line in message.splitlines()
    }


def test_of_very_many_problems_the_first_are_told():
    lines = refusal("".join(f"unknown{n}: 1\n" for n in range(5000))).splitlines()
    assert len(lines) == 51 and lines[-1].startswith("file.yaml: 4,951 more")


def test_aliases_are_what_yaml_says():
    document = Document("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: &d {e: 1}, f: *d}\n", "file.yaml")
    assert document.value == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {"e": 1, "f": {"e": 1}}}


def test_python_objects_are_refused():
    message = refusal("release: !!python/object/apply:os.system ['true']\n")
    assert "not valid YAML" in message


def test_missing_file_and_wrong_encoding(tmp_path: Path):
    with pytest.raises(InvalidInput, match="does not exist"):
        Document.read(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("release: é".encode("latin-1"))
    with pytest.raises(InvalidInput, match="not UTF-8"):
        Document.read(latin)


def test_durations_are_seconds():
    state = Document("release: 7\nstrategy: {analysis: 1500ms, cool_down: 2h}\n", "file.yaml").parse(
        DesiredState
    )
    assert (state.strategy.analysis, state.strategy.cool_down) == (1.5, 7200.0)


def test_policy_names_each_environment_once():
    assert "exactly once" in refusal("order: [staging, staging]\nenvironments: {staging: {}}\n", Policy)
    assert "exactly once" in refusal("order: [staging]\nenvironments: {staging: {}, prod: {}}\n", Policy)


FREEZE = "windows: [{{environments: [prod], start: {0}, end: {1}, timezone: {2}, reason: audit, by: ann}}]"


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        ("2026-12-20T00:00:00", "2026-12-19T00:00:00", "UTC", "end must be after start"),
        ("2026-12-20T00:00:00", "2026-12-21T00:00:00", "CET+1", "IANA time zone"),
        ("2026-12-20T00:00:00Z", "2026-12-21T00:00:00", "UTC", "no offset"),
    ],
)
def test_freeze_windows_are_checked(start: str, end: str, zone: str, expected: str):
    assert expected in refusal(FREEZE.format(start, end, zone), Freeze)


def test_a_freeze_covers_local_time():
    from datetime import datetime

    freeze = Document(
        FREEZE.format("2026-12-20T00:00:00", "2026-12-27T00:00:00", "Europe/Berlin"), "freeze.yaml"
    ).parse(Freeze)
    window = freeze.windows[0]
    at = lambda hour, minute: datetime(2026, 12, 19, hour, minute, tzinfo=UTC)  # noqa: E731
    assert not window.covers(at(22, 59), "prod", "freight")
    assert window.covers(at(23, 0), "prod", "freight"), "midnight in Berlin is 23:00 UTC in winter"
    assert not window.covers(at(23, 0), "staging", "freight")


def test_a_release_needs_full_provenance():
    message = refusal("model: freight\nversion: 1\ndigest: md5:1\n", Release)
    assert "'sha256:' and 64" in message
    assert "source: required" in message


@pytest.mark.parametrize("text", ["2013", "2013-13", "2013-03..2013-01", "2013-1", "2013-01...2013-02"])
def test_wrong_windows(text: str):
    with pytest.raises(ValueError, match="window"):
        Window.parse(text)


def test_windows():
    window = Window.parse("2012-11..2013-01")
    assert (window.count, str(window.end), str(window)) == (3, "2013-02-01", "2012-11..2013-01")
    assert str(Window.parse("2013-12")) == "2013-12"
    assert str(Window.parse("2013-12").end) == "2014-01-01"


AMBIGUOUS = ("010", "1_000", "1:30", "0b11", "0o14", "08", "+010", "1_0.5", "1:30.5", "-0x1F")


@pytest.mark.parametrize("tail", ["", "# \t\n"], ids=["by the parser in C", "by PyYAML's own"])
@pytest.mark.parametrize("number", AMBIGUOUS)
def test_a_number_that_readers_of_two_yamls_take_for_two_is_refused(number: str, tail: str):
    with pytest.raises(InvalidInput) as caught:
        Document(f"a: b\nrelease: {number}\n{tail}", "file.yaml")
    (problem,) = caught.value.problems
    assert problem.where == "file.yaml:2" and repr(number) in problem.message


@pytest.mark.parametrize("text", [f"'{n}'" for n in AMBIGUOUS])
def test_in_quotes_it_is_a_text(text: str):
    assert Document(f"a: {text}\n", "file.yaml").value == {"a": text[1:-1]}


@pytest.mark.parametrize("tail", ["", "# \t\n"], ids=["by the parser in C", "by PyYAML's own"])
@pytest.mark.parametrize(
    "number", ["1e-05", "1.5e3", "2E+4", "-3e2", "1.e2", ".5e1", "-.5", "0", "0x1F", ".inf"]
)
def test_a_number_of_either_yaml_is_a_number(number: str, tail: str):
    value = Document(f"a: {number}\n{tail}", "file.yaml").value["a"]
    assert value == (31 if number == "0x1F" else float(number.lstrip(".") if "inf" in number else number))
    assert not isinstance(value, str)


@pytest.mark.parametrize(
    ("model", "text", "field"),
    [
        (DesiredState, "release: '7'\n", "release"),
        (DesiredState, "release: true\n", "release"),
        (DesiredState, "release: 7\nreplaces: '6'\n", "replaces"),
        (DesiredState, "release: 7\nstrategy: {canary: ['50', 100]}\n", "strategy.canary.0"),
        (DesiredState, "release: 7\nstrategy: {max_error_rate: '1e-2'}\n", "strategy.max_error_rate"),
        (DesiredState, "release: 7\nstrategy: {detectable_shift: '0.4'}\n", "strategy.detectable_shift"),
        (Policy, "order: [a1]\nenvironments: {a1: {auto_merge: 'true'}}\n", "environments.a1.auto_merge"),
        (Policy, "order: [a1]\nenvironments: {a1: {auto_merge: 1}}\n", "environments.a1.auto_merge"),
    ],
)
def test_a_text_is_no_number_and_no_truth_value(model: type[Spec], text: str, field: str):
    with pytest.raises(InvalidInput) as caught:
        Document(text, "file.yaml").parse(model)
    (problem,) = caught.value.problems
    assert (problem.field, problem.where) == (field, f"file.yaml:{text.count(chr(10))}")


def test_a_limit_with_an_exponent_is_what_it_says():
    text = "release: 7\nstrategy: {max_error_rate: 1e-05}\n"
    assert Document(text, "file.yaml").parse(DesiredState).strategy.max_error_rate == 1e-05
