"""`python -m tests.mutation [MODULE …] [--since REV]`: what the nearest fast tests do not notice.

Exit codes: 0 every edit is noticed or harmless for a reason; 3 some are not, or a reason is about nothing;
5 there is no such module; 6 the tests fail without any edit.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutation import reasons as harmless
from tests.mutation import report
from tests.mutation.anew import Place
from tests.mutation.edits import MODULE_LEVEL, Edit, edits
from tests.mutation.nearest import NEAREST
from tests.mutation.state import State, files
from tests.mutation.trial import BaselineFailed, Wrong, try_edits

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "mutants.md"
_SAVE_EVERY = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, and write the page after a run over whole modules."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="paths of modules that decide; none: all")
    parser.add_argument("--since", default="", help="only functions that differ from this commit")
    parser.add_argument(
        "--longest",
        type=float,
        default=math.inf,
        help="a first run with tests of at most so many seconds; what they do not notice stays untried",
    )
    parser.add_argument(
        "--page", action="store_true", help="write docs/mutants.md from what is known; try nothing"
    )
    given = parser.parse_args(argv)
    strange = [m for m in given.modules if m not in NEAREST]
    if strange:
        print(f"{strange[0]} is none of the modules that decide:\n  " + "\n  ".join(NEAREST), file=sys.stderr)
        return 5
    reasons, code = harmless.load(), 0
    wanted = [] if given.page else (given.modules or NEAREST)
    lines = {m: _changed(given.since, m) if given.since else None for m in wanted}
    groups: dict[tuple[str, ...], dict[str, set[int] | None]] = {}
    for module, some in lines.items():
        if some is None or some:
            groups.setdefault(NEAREST[module], {})[module] = some
    for tests, modules in groups.items():
        try:
            found = run(ROOT, modules, tests, reasons, given.longest)
        except BaselineFailed as error:
            print(f"{', '.join(modules)}: the nearest tests fail without any edit: {error}", file=sys.stderr)
            return 6
        for judged in found:
            code = max(code, _tell(judged, whole=modules[judged.module] is None))
    if not given.since:
        before = report.read(PAGE.read_text("utf-8")) if PAGE.exists() else {}
        here = [report.part(known(ROOT, m, NEAREST[m], reasons)) for m in NEAREST]
        PAGE.write_text(report.page([report.better(one, before.get(one.module)) for one in here]), "utf-8")
    return code


def run(
    root: Path,
    modules: Mapping[str, set[int] | None],
    tests: Sequence[str],
    reasons: Sequence[harmless.Reason],
    longest: float = math.inf,
) -> list[report.Judged]:
    """Try every edit that is not known yet of modules with the same tests; where lines are given, only in
    functions that have one of them."""
    wanted: dict[str, list[Edit]] = {}
    states: dict[str, tuple[State, list[Edit]]] = {}
    todo: list[Wrong] = []
    for module, lines in modules.items():
        found, state, there = _prepared(root, module, tests)
        source = (root / module).read_text("utf-8")
        wanted[module] = found if lines is None else _touched(found, source, lines)
        states[module] = state, found
        new = [edit for edit in wanted[module] if state.known(edit, short=longest < math.inf) is None]
        todo += [(Place(root, module), edit) for edit in new]
        print(f"{module}: {len(wanted[module])} edits, {len(new)} to try", flush=True)
    count = 0

    def told(wrong: Wrong, result: str) -> None:
        nonlocal count
        states[wrong[0].path][0].put(wrong[1], result)
        count += 1
        if count % _SAVE_EVERY == 0:
            save()

    def save() -> None:
        for state, found in states.values():
            state.save(found)

    if todo:
        try:
            try_edits(root, there, todo, told, longest)
        finally:
            save()
    return [
        report.Judged(module, [(edit, states[module][0].known(edit)) for edit in found], reasons)
        for module, found in wanted.items()
    ]


def known(root: Path, module: str, tests: Sequence[str], reasons: Sequence[harmless.Reason]) -> report.Judged:
    """What earlier runs found."""
    found, state, _ = _prepared(root, module, tests)
    return report.Judged(module, [(edit, state.known(edit)) for edit in found], reasons)


def _prepared(root: Path, module: str, tests: Sequence[str]) -> tuple[list[Edit], State, list[str]]:
    there = [str(p.relative_to(root)) for test in tests for p in sorted(root.glob(test))]
    return (
        list(edits((root / module).read_text("utf-8"))),
        State.load(root, module, files(root, tests)),
        there,
    )


def _tell(judged: report.Judged, *, whole: bool) -> int:
    for edit in judged.open:
        print(f"{judged.module}:{edit.line}: {edit.function}\n    " + edit.diff.replace("\n", "\n    "))
    stale = harmless.unused(judged.reasons, judged.module, judged.survivors) if whole else []
    for reason in stale:
        print(f"{judged.module}: {reason.function}: its reason is about no survivor:\n    {reason.edit}")
    print(f"{judged.module}: {len(judged.survivors)} of {judged.tried} survived, {len(judged.open)} are open")
    return 3 if judged.open or stale else 0


def _changed(rev: str, module: str) -> set[int]:
    command = ["git", "-C", str(ROOT), "diff", "-U0", "--merge-base", rev, "--", module]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: set[int] = set()
    for start, count in re.findall(r"(?m)^@@ -\S+ \+(\d+)(?:,(\d+))? @@", done.stdout):
        found |= set(range(int(start), int(start) + max(1, int(count or 1))))
    return found


def _touched(found: Sequence[Edit], source: str, lines: set[int]) -> list[Edit]:
    import ast

    spans: dict[str, list[range]] = {}

    def walk(body: Sequence[ast.stmt], names: tuple[str, ...]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                walk(node.body, (*names, node.name))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                whole = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                spans.setdefault(".".join((*names, node.name)), []).append(whole)

    walk(ast.parse(source).body, ())
    changed = {name for name, ranges in spans.items() if any(not lines.isdisjoint(r) for r in ranges)}
    return [e for e in found if e.function in changed or (e.function == MODULE_LEVEL and e.line in lines)]


if __name__ == "__main__":
    sys.exit(main())
