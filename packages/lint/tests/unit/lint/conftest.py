"""A folder with a good Azure ML file of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from azure_shelf import put_on_shelf

from mlops.lint import Finding, Options, examine


@dataclass
class Shelf:
    root: Path

    def edit(self, file: str, old: str, new: str) -> int:
        """Replace text that is there once; the line (1-based) where it stands."""
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def write(self, file: str, text: str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def findings(self, file: str = "", *, house: bool = True) -> tuple[Finding, ...]:
        """What is found in a file, or in all, without `azure-ai-ml`."""
        options = Options(house=(self.root,) if house else (), azure=False)
        return examine([self.root / file], options).findings


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    put_on_shelf(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Shelf(tmp_path)


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shelf, written once: for tests that change no file."""
    root = tmp_path_factory.mktemp("stand")
    put_on_shelf(root)
    return root
