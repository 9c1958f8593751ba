"""A call of the lint parses each file once, however many others name it: models share their files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from azure_shelf import SHELF, put_on_shelf

from mlops.lint import Options, examine, oracle
from mlops.spec import _yaml


def test_each_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put_on_shelf(tmp_path)
    monkeypatch.setattr(oracle, "installed", lambda: "1")
    monkeypatch.setattr(oracle, "ask", lambda top, kind, own: [])
    read: Counter[str] = Counter()
    real = _yaml.Document.__init__

    def counted(self: _yaml.Document, text: str, name: str) -> None:
        read[text] += 1
        real(self, text, name)

    monkeypatch.setattr(_yaml.Document, "__init__", counted)
    verdict = examine([tmp_path], Options(memory=tmp_path / "memory"))
    assert len(verdict.files) >= len(SHELF)
    # Some files of the shelf say the same; none is read more often than it is there.
    there = Counter(p.read_text() for p in tmp_path.rglob("*.y*ml"))
    assert {text: n for text, n in read.items() if n > there[text]} == {}
