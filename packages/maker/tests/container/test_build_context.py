"""What Azure ML's own client uploads to build the image: all that the Dockerfile copies, and nothing else.

An image that lacks a room starts nowhere. A hash that leaves a file out keeps the old context there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mlops.spec.engine import FOLDER, export
from mlops.spec.settings import OnlineSettings
from mlops.targets.azure._online import _server

ROOT = Path(__file__).parents[4]
COPIED = re.findall(r"^COPY ([^-]\S*) \S+$", (ROOT / "container/Dockerfile").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with what an image is made from, and with what must not get into one."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "container", root / "container")
    shutil.copyfile(ROOT / ".amlignore", root / ".amlignore")
    for name in ("src/flights/features.py", ".mlops/data/rows.csv", ".env", "container/key.pem"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("not for the image")
    return root


@pytest.fixture(scope="module")
def context(checkout: Path) -> Path:
    """The checkout once the engine is beside it."""
    export(checkout)
    return checkout


def _uploaded(root: Path) -> set[str]:
    from azure.ai.ml import load_environment
    from azure.ai.ml._utils._asset_utils import get_ignore_file, get_upload_files_from_folder

    path = load_environment(root / "container/environment.yml").path
    return {name for _, name in get_upload_files_from_folder(path, ignore_file=get_ignore_file(path))}


def _hash(root: Path) -> str:
    from azure.ai.ml._utils._asset_utils import get_ignore_file, get_object_hash

    return str(get_object_hash(root, get_ignore_file(root)))


def test_whoever_deploys_the_container_needs_no_other_verb_before(checkout: Path) -> None:
    """A checkout of a pipeline of CI is fresh: nothing has brought the engine there."""
    shutil.rmtree(checkout / FOLDER, ignore_errors=True)
    server = _server(checkout, "flights", OnlineSettings(container=True))
    assert set(server) == {"environment"}, "the image needs no code"
    assert (Path(server["environment"].path) / COPIED[-1]).is_dir()


def test_the_upload_is_what_the_dockerfile_copies(context: Path) -> None:
    assert len(COPIED) > 3, "the file copies requirements and rooms"
    wanted = {"container/Dockerfile"}
    for name in COPIED:
        found = [context / name] if (context / name).is_file() else list((context / name).rglob("*"))
        files = {path.relative_to(context).as_posix() for path in found if path.is_file()}
        assert files, f"{name} is not there"
        wanted |= files
    assert _uploaded(context) == wanted


@pytest.mark.parametrize("name", ["container/Dockerfile", *COPIED])
def test_the_hash_tells_every_part_apart(context: Path, name: str) -> None:
    """Azure ML's client uploads to a place that the hash names, and not again where something lies there."""
    place = context / name
    changed = place if place.is_file() else max(place.rglob("*.py"), key=lambda path: len(path.parts))
    before, text = _hash(context), changed.read_bytes()
    changed.write_bytes(text + b"\n#")
    try:
        assert _hash(context) != before
    finally:
        changed.write_bytes(text)


def test_the_hash_does_not_mind_what_the_image_lacks(context: Path) -> None:
    before = _hash(context)
    (context / "src/flights/features.py").write_text("another use case")
    (context / "README.md").write_text("another page")
    assert _hash(context) == before
