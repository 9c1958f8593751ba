"""A run that misses a hole, or calls one a hole that is none, is worse than no run: people believe it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.mutation import __main__ as program
from tests.mutation.edits import MODULE_LEVEL, Edit, edits
from tests.mutation.reasons import Reason, load
from tests.mutation.report import Judged, Part, better, page, part, read
from tests.mutation.trial import KILLED, SURVIVED, BaselineFailed

MODULE = "src/toy.py"
CODE = '''\
"""A toy."""

LIMITS = {"a", "b", "c"}
MOST = 7


class Held:
    """Its limit is of an import alone."""

    limit = 4


def near(now: int, most: int = MOST) -> bool:
    """A default is made at the import."""
    return now < most


def late(now: int, limit: int, held: bool) -> bool:
    """Whether it is."""
    return now > limit and not held
'''
WEAK = (
    "from toy import LIMITS, late\n\n\ndef test_late():\n"
    "    assert late(2, 1, False)\n    assert 'a' in LIMITS\n"
)
GOOD = WEAK + (
    "    assert not late(1, 1, False)\n    assert not late(2, 1, True)\n    assert {'b', 'c'} < LIMITS\n"
    "    assert late(2, 1, False) is True\n    assert len(LIMITS) == 3\n"
    "    from toy import Held, MOST, near\n    assert (MOST, Held.limit) == (7, 4)\n"
    "    assert near(6) is True and near(7) is False\n"
)


def tried(root: Path, tests: str, reasons: list[Reason] | None = None, longest: float = math.inf) -> Judged:
    (root / "src").mkdir(exist_ok=True)
    (root / "tests").mkdir(exist_ok=True)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = src\nmarkers = slow\n")
    (root / MODULE).write_text(CODE)
    (root / "tests/test_toy.py").write_text(tests)
    (judged,) = program.run(root, {MODULE: None}, ["tests/test_toy.py"], reasons or [], longest)
    return judged


def of(judged: Judged, new: str) -> str | None:
    """Of the function `late`, or of what no function holds."""
    there = [(edit, result) for edit, result in judged.results if edit.function in ("late", MODULE_LEVEL)]
    (result,) = {result for edit, result in there if edit.diff.endswith(f"+ {new}")}
    return result


@pytest.mark.slow
def test_what_no_test_notices_is_reported_and_what_one_notices_is_not(tmp_path: Path) -> None:
    weak = tried(tmp_path, WEAK)
    assert of(weak, "return now >= limit and not held") == SURVIVED
    assert of(weak, "return (now > limit)") == SURVIVED
    assert of(weak, "return None") == KILLED
    assert of(weak, 'LIMITS = {"a", "c"}') == SURVIVED
    assert of(weak, 'LIMITS = {"b", "c"}') == KILLED
    assert program._tell(weak, whole=True) == 3
    assert of(weak, "MOST = 8") == SURVIVED and of(weak, "limit = 5") == SURVIVED
    good = tried(tmp_path, GOOD)
    assert good.survivors == [] and good.tried == len(weak.results)
    assert program._tell(good, whole=True) == 0


@pytest.mark.slow
def test_tests_that_fail_anyway_judge_nothing(tmp_path: Path) -> None:
    with pytest.raises(BaselineFailed, match="test_late"):
        tried(tmp_path, WEAK + "    assert False\n")


@pytest.mark.slow
def test_a_test_that_takes_too_long_leaves_nothing_half_done_to_the_next(tmp_path: Path) -> None:
    endless = "def test_endless():\n    half_done.append(1)\n    while True:\n        pass\n\n\n"
    next_ = "def test_next():\n    assert not half_done and late(2, 1, False)\n"
    judged = tried(tmp_path, f"from toy import late\n\nhalf_done = []\n\n\n{endless}{next_}", longest=1)
    assert of(judged, "return None") == KILLED, "the next test was asked"
    assert of(judged, "return now >= limit and not held") is None, "the endless test might notice it"


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tried(tmp_path, WEAK)
    monkeypatch.setattr(program, "try_edits", lambda *_: pytest.fail("it is known already"))
    assert [r for _, r in tried(tmp_path, WEAK).results] == [r for _, r in first.results]


@pytest.mark.slow
def test_a_reason_covers_its_survivor_and_one_about_nothing_is_found(tmp_path: Path) -> None:
    survivors = tried(tmp_path, WEAK).open
    why = "a test of this toy need not notice it"
    reasons = [Reason(MODULE, edit.function, edit.diff, why) for edit in survivors]
    judged = tried(tmp_path, WEAK, reasons)
    assert judged.open == [] and program._tell(judged, whole=True) == 0
    told = page([part(judged)])
    assert why in told and "**open**" not in told and read(told) == {MODULE: part(judged)}
    assert program._tell(tried(tmp_path, GOOD, reasons), whole=True) == 3


def test_a_page_keeps_what_another_machine_found() -> None:
    """Results lie in a cache; a run of one module must not forget the figures of all others."""
    theirs = Part("a.py", (5, 0, 3, 1, 1), "- `f`: **open**\n\n  ```diff\n  - a\n  + b\n  ```")
    mine = Part("b.py", (2, 1, 1, 0, 0), "")
    assert read(page([theirs, mine])) == {"a.py": theirs, "b.py": mine}
    nothing = Part("a.py", (5, 5, 0, 0, 0), "")
    assert better(nothing, theirs) == theirs, "nothing is known here"
    assert better(theirs, nothing) == theirs
    again = Part("a.py", (5, 0, 5, 0, 0), "")
    assert better(again, theirs) == again, "what is found here is newer"
    other = Part("a.py", (6, 6, 0, 0, 0), "")
    assert better(other, theirs) == other, "the module is another one"
    assert better(nothing, None) == nothing


def test_a_reason_says_why(tmp_path: Path) -> None:
    path = tmp_path / "harmless.toml"
    path.write_text('[[harmless]]\nmodule = "m"\nfunction = "f"\nedit = "- a"\nwhy = "fine"\n')
    with pytest.raises(ValueError, match="is no reason"):
        load(path)
    assert load(tmp_path / "none.toml") == []


def test_the_repositorys_reasons_can_be_read() -> None:
    assert isinstance(load(), list)


def lines(found: list[Edit]) -> set[str]:
    return {edit.diff.rpartition("\n+ ")[2] for edit in found}


def test_texts_are_not_edited_and_second_conditions_are() -> None:
    source = '''\
"""A docstring."""
def f(a, b):
    """Another one."""
    log.warning("too late")
    if a and b or len(a) > 3:
        raise ValueError(f"{a} is {b}", 7)
    return Problem("file", "what is wrong here")
'''
    found = list(edits(source))
    assert {edit.function for edit in found} == {"f"}
    assert lines(found) >= {"if (a) or len(a) > 3:", "if (b) or len(a) > 3:", "if (a and b):", "if False:"}
    assert not any("ValueError" in edit.diff or "log" in edit.diff for edit in found)
    for edit in found:
        compile(edit.source, "edit", "exec")


def test_constants_and_defaults_belong_to_the_import() -> None:
    found = list(edits("LIMIT = 3\n\n\ndef f(a=4):\n    return a + 1\n"))
    assert {edit.function for edit in found} == {MODULE_LEVEL, "f"}
    assert lines([e for e in found if e.function == "f"]) == {"return a - 1", "return a + 2", "return None"}


def test_only_changed_functions_are_touched() -> None:
    source = "A = 1\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n"
    found = list(edits(source))
    assert {e.function for e in program._touched(found, source, {9})} == {"g"}
    assert {e.function for e in program._touched(found, source, {1})} == {MODULE_LEVEL}


def test_a_module_that_decides_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["packages/runtime/src/mlops/errors.py"]) == 5
    assert "packages/runtime/src/mlops/errors.py" in capsys.readouterr().err
