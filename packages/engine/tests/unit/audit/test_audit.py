"""A package with a known flaw that nobody is told of is served for months: each file that locks is read, each
advisory that applies is found, and an exception ends by itself."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from mlops.audit import run
from mlops.audit.database import Database
from mlops.audit.pins import Pin, locks, pins
from mlops.errors import InvalidInput, TargetError
from mlops.spec.settings import Accepted

TODAY = date(2026, 11, 29)
LOCK = """
[[package]]
name = "Zope.Interface"
version = "5.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "ours"
version = "0.1.0"
source = { editable = "." }
"""
REQUIREMENTS = """\
# a comment
-r other.txt
anyio==4.1 \\
    --hash=sha256:00
uvicorn[standard]==0.30 ; python_version > "3.11"
loose>=1
"""
CONDA = "dependencies: [python=3.11, {pip: [numpy==1.0, pandas]}]\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in {"uv.lock": LOCK, "a-requirements-b.txt": REQUIREMENTS, "env/conda.yml": CONDA}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_file_that_locks_is_read_and_what_it_does_not_lock_is_told(repository: Path) -> None:
    files = locks(["README.md", "uv.lock", "a-requirements-b.txt", "env/conda.yml", "env/environment.yml"])
    assert files == ["a-requirements-b.txt", "env/conda.yml", "uv.lock"]
    assert pins(repository, "uv.lock") == ([Pin("zope-interface", "5.0")], [])
    found, problems = pins(repository, "a-requirements-b.txt")
    assert found == [Pin("anyio", "4.1"), Pin("uvicorn", "0.30")]
    assert [p.where for p in problems] == ["a-requirements-b.txt:6"] and "'loose>=1'" in problems[0].message
    found, problems = pins(repository, "env/conda.yml")
    assert found == [Pin("numpy", "1.0")] and "'pandas' names no one version" in problems[0].message


@pytest.mark.parametrize("listed", ["[pip: null]", "[{pip: 7}]", "[null]", "{pip: []}", "7"])
def test_a_conda_file_that_lists_nothing_locks_nothing(tmp_path: Path, listed: str) -> None:
    (tmp_path / "conda.yml").write_text(f"dependencies: {listed}\n")
    assert pins(tmp_path, "conda.yml") == ([], [])


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.lock", "["), ("conda.yml", "a: ["), ("conda.yml", "a: 2026-13-45"), ("README.md", "")],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput, match=name):
        pins(tmp_path, name)


def advisory(name: str = "Some.Package", **affected: Any) -> dict[str, Any]:
    return {
        "id": "PYSEC-1",
        "modified": "2026-11-27T10:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": name}, **affected}],
    }


def events(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{kind: at} for kind, at in pairs]}]}


@pytest.mark.parametrize(
    ("affected", "version", "hit"),
    [
        ({"versions": ["1.0"]}, "1.0", True),
        ({"versions": ["1.0"]}, "1.1", False),
        (events(("introduced", "0")), "7", True),
        (events(("introduced", "1.0"), ("fixed", "1.10")), "1.9", True),
        (events(("introduced", "1.0"), ("fixed", "1.10")), "1.10", False),
        (events(("introduced", "1.0"), ("fixed", "1.10")), "0.9", False),
        (events(("fixed", "1.10"), ("introduced", "2.0"), ("introduced", "0")), "1.11", False),
        (events(("fixed", "1.10"), ("introduced", "2.0"), ("introduced", "0")), "2.0", True),
        (events(("introduced", "0"), ("last_affected", "1.5")), "1.5", True),
        (events(("introduced", "0"), ("last_affected", "1.5")), "1.5.1", False),
        (events(("introduced", "0")), "not a version", False),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "1.0", False),
    ],
)
def test_an_advisory_applies_to_the_versions_that_it_names(
    affected: dict[str, Any], version: str, hit: bool
) -> None:
    known = Database(iter([advisory(**affected)]))
    assert bool(known.about("some-package", version)) is hit
    assert known.about("another", version) == []


def test_what_was_withdrawn_or_is_of_another_index_is_not_known_here() -> None:
    gone = {**advisory(versions=["1"]), "withdrawn": "2026-01-01T00:00:00Z"}
    other = advisory(versions=["1"])
    other["affected"][0]["package"]["ecosystem"] = "npm"
    assert Database(iter([gone, other])).about("some-package", "1") == []


def test_a_database_is_as_old_as_its_newest_advisory(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", json.dumps(advisory()))
        archive.writestr("b.json", json.dumps({**advisory(), "modified": "2025-01-01T00:00:00Z"}))
    known = Database.read(path)
    known.fresh(datetime(2026, 12, 11, 9, tzinfo=UTC), 14)
    with pytest.raises(TargetError, match="is of 2026-11-27, 14 days old, allowed 14"):
        known.fresh(datetime(2026, 12, 11, 11, tzinfo=UTC), 14)


def test_what_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    for name, data in {"text": b"x", "empty.zip": b"PK\x05\x06" + bytes(18)}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match=r"no dump of OSV|is empty"):
            Database.read(tmp_path / name)
    with pytest.raises(InvalidInput, match="there is no advisory database"):
        Database.read(tmp_path / "none")


def judged(
    repository: Path, monkeypatch: pytest.MonkeyPatch, *accepted: Accepted, skip: str = ""
) -> run.Audit:
    """With one thing known against numpy."""

    def asked(group: list[Pin], address: str) -> list[dict[str, Any]]:
        assert len({pin.name for pin in group}) == len(group), "pip-audit takes two for a contradiction"
        known = [{"id": "PYSEC-9", "aliases": ["CVE-9"], "fix_versions": ["1.1"]}]
        rows = [
            {"name": p.name, "version": p.version, "vulns": known if p.name == "numpy" else []} for p in group
        ]
        return [*rows, {"name": skip, "skip_reason": "not found"}] if skip else rows

    monkeypatch.setattr(run, "_asked", asked)
    return run.audit(repository, ["uv.lock", "env/conda.yml"], accepted, TODAY, None)


def test_what_is_known_stops_and_says_where_and_what_cures(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(repository, monkeypatch)
    assert found.stops and found.packages == 2
    assert [f.sentence for f in found.findings] == [
        "numpy 1.0: PYSEC-9 (CVE-9); fixed in 1.1; locked in env/conda.yml"
    ]


@pytest.mark.parametrize("name", ["PYSEC-9", "CVE-9"])
def test_an_exception_has_a_reason_and_ends(
    repository: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (repository / "env/conda.yml").write_text(CONDA.replace(", pandas", ""))
    (last,) = judged(repository, monkeypatch, Accepted(id=name, reason="not called", until=TODAY)).findings
    assert last.accepted == "not called"
    ended = judged(repository, monkeypatch, Accepted(id=name, reason="not called", until=date(2026, 11, 28)))
    assert ended.stops and "was accepted until 2026-11-28" in str(ended.problems[0])
    idle = judged(repository, monkeypatch, Accepted(id="CVE-1", reason="x", until=TODAY))
    assert "nothing here has CVE-1 any more" in str(idle.problems[0])


def test_a_package_that_nobody_judged_is_no_pass(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "env/conda.yml").write_text("dependencies: []\n")
    found = judged(repository, monkeypatch, skip="strange")
    assert found.stops and "was not judged: not found" in str(found.problems[0])


def test_two_versions_of_one_package_are_asked_one_after_the_other() -> None:
    groups = run._rounds([Pin("a", "1"), Pin("b", "1"), Pin("a", "2")])
    assert groups == [[Pin("a", "1"), Pin("b", "1")], [Pin("a", "2")]]
