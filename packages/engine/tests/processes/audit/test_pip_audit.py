"""pip-audit asks our dump as it asks OSV: what the dump knows is found by the real program."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mlops.audit import run
from mlops.audit.database import Database
from mlops.errors import TargetError


def test_the_real_program_finds_what_the_dump_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("Some_Package==1.5\nother==1.5\n")
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"fixed": "1.6"}]}]
    package = {"ecosystem": "PyPI", "name": "some-package"}
    known = {"id": "PYSEC-7", "aliases": ["CVE-7"], "modified": "2026-11-27T00:00:00Z", "summary": "s",
             "affected": [{"package": package, "ranges": ranges, "versions": ["1.5"]}]}  # fmt: skip
    names = ["requirements.txt"]
    found = run.audit(tmp_path, names, (), date(2026, 11, 29), Database(iter([known])))
    assert [(f.package, f.id, f.aliases, f.fixed) for f in found.findings] == [
        ("some-package", "PYSEC-7", ("CVE-7",), ("1.6",))
    ]
    monkeypatch.setattr(run, "OSV", "http://127.0.0.1:1/v1/query")
    with pytest.raises(TargetError, match="give a dump"):
        run.audit(tmp_path, names, (), date(2026, 11, 29), None)
    # CI goes on, says that nothing was judged, and still stops for what needs no network.
    today = date(2026, 11, 29)
    unasked = run.audit(tmp_path, names, (), today, None, if_reachable=True)
    assert "could not ask http://127.0.0.1:1" in unasked.unasked and not unasked.stops
    (tmp_path / "requirements.txt").write_text("some-package>=1.5\n")
    assert run.audit(tmp_path, names, (), today, None, if_reachable=True).stops
    (tmp_path / "requirements.txt").write_text("some-package==1.5\n")
    known_here = run.audit(tmp_path, names, (), today, Database(iter([known])), if_reachable=True)
    assert known_here.stops and not known_here.unasked, "it hides nothing that is known"
