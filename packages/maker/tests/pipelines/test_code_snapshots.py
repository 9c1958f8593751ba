"""A step finds the same files here and on Azure ML: its client packs what our runner packs.

The client holds what a component includes to the ignore file of its code: one line may leave the engine out.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlops.pipeline.run.snapshot import take_snapshot
from mlops.spec.engine import export

ROOT = Path(__file__).parents[4]
COMPONENTS = sorted((ROOT / "pipelines" / "flights" / "components").glob("*.yml"))
PACKED = [path for path in COMPONENTS if "additional_includes:" in path.read_text(encoding="utf-8")]
_IGNORES = (".amlignore", ".gitignore")
"""Azure ML uploads them too; nothing reads them there."""

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    export(ROOT)


def _files(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.endswith(_IGNORES) and "__pycache__" not in name}


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.stem)
def test_a_step_has_the_same_files_on_azure_ml(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.ai.ml import load_component

    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    code = (path.parent / read["code"]).resolve() if "code" in read else None
    includes = [(path.parent / name).resolve() for name in read["additional_includes"]]
    take_snapshot(code, tmp_path / "here", includes)
    with load_component(path)._build_code() as there:
        assert _files(Path(there.path)) == _files(tmp_path / "here")
    assert "mlops/errors.py" in _files(tmp_path / "here"), "the engine is there"


def test_the_job_of_a_verb_has_the_parts_of_the_repository_that_it_works_in(tmp_path: Path) -> None:
    path = ROOT / "pipelines/flights/components/monitor.yml"
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    take_snapshot(
        None, tmp_path / "here", [(path.parent / name).resolve() for name in read["additional_includes"]]
    )
    assert {"mlops.toml", "mlops/cli/__main__.py", "pipelines/flights/monitor.yml"} <= _files(
        tmp_path / "here"
    )
    assert (tmp_path / "here/environments").is_dir()
    assert (tmp_path / "here/src").is_dir()
