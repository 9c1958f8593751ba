"""The copy of the engine that a job of Azure ML takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.spec import engine

RUNTIME = Path(__file__).parents[3] / "src" / "mlops"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_rooms_are_those_of_the_runtime_package() -> None:
    assert {p.name for p in RUNTIME.iterdir()} - {"__pycache__", "py.typed"} == set(engine.ROOMS)


def test_steps_take_the_runtime_and_the_entry_scripts_and_nothing_else(tmp_path: Path) -> None:
    folder = engine.export(tmp_path) / engine.STEPS
    assert folder == tmp_path / engine.FOLDER / engine.STEPS
    wanted = {f"mlops/{n}" for n in files(RUNTIME) if "__pycache__" not in n and n != "py.typed"}
    assert files(folder) == wanted | {"score.py", "batch.py"}


def test_verbs_take_everything(tmp_path: Path) -> None:
    folder = engine.export(tmp_path) / engine.VERBS
    assert {"mlops/cli/_app.py", "mlops/lint/check.py", "mlops/errors.py"} <= files(folder)
    assert "mlops/__init__.py" not in files(folder)


def test_what_is_equal_stays_and_what_is_not_is_brought(tmp_path: Path) -> None:
    folder = engine.export(tmp_path) / engine.STEPS / "mlops"
    (folder / "errors.py").write_text("edited")
    (folder / "gone.py").write_text("")
    kept = (folder / "usecase.py").stat()
    engine.export(tmp_path)
    assert (folder / "errors.py").read_bytes() == (RUNTIME / "errors.py").read_bytes()
    assert not (folder / "gone.py").exists()
    assert (folder / "usecase.py").stat().st_ino == kept.st_ino


def test_one_folder_of_all_packages_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment where the engine was installed from wheels."""
    there = engine.export(tmp_path / "one")
    monkeypatch.setattr(engine, "roots", lambda: [there / engine.VERBS / "mlops"])
    again = engine.export(tmp_path / "two")
    assert files(again) == files(there)


def test_a_trial_gets_the_code_of_the_repository_too(tmp_path: Path) -> None:
    (tmp_path / "src" / "prices").mkdir(parents=True)
    (tmp_path / "src" / "prices" / "model.py").write_text("one")
    folder = engine.export(tmp_path) / engine.SOURCES
    assert {"prices/model.py", "mlops/steps/trial.py"} <= files(folder)
