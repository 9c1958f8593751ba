"""The Dockerfile's steps, carried out in a folder, for want of an engine: what is copied, installed and run
is what the file says, with its paths moved below the folder. The base image is not proven by this, and the
user only where this machine's Python may be read by others."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.serving import testing
from mlops.serving.http.client import Unreachable, call
from mlops.spec.engine import FOLDER, export

ROOT = Path(__file__).parents[4]
DOCKERFILE = ROOT / "container" / "Dockerfile"

pytestmark = pytest.mark.slow


class Image:
    """Instructions of the file, carried out below `root`; `context` has what `build.py engine` makes."""

    def __init__(self, root: Path, context: Path) -> None:
        self.root, self.context = root, context
        export(context)
        self.environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
        self.user = self.command = self.health = ""
        text = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE))
        for line in filter(None, text.splitlines()):
            name, _, rest = line.partition(" ")
            getattr(self, f"do_{name.lower()}")(rest.strip())

    def moved(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(opt/venv|app|tmp/requirements)", rf"{self.root}/\1", text)

    def do_from(self, rest: str) -> None:
        pass

    do_label = do_expose = do_workdir = do_from

    def do_env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.environment[name] = self.moved(value).replace("$PATH", self.environment["PATH"])

    def do_copy(self, rest: str) -> None:
        *sources, target = rest.split()
        if sources[0].startswith("--from"):
            return  # stages share the folder
        for source in sources:
            to = Path(self.moved(target))
            found = (self.context if source.startswith(FOLDER) else ROOT) / source
            if found.is_dir():
                shutil.copytree(found, to, ignore=shutil.ignore_patterns("__pycache__", "testing.py"))
            else:
                to = to / Path(source).name if target.endswith("/") else to
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, to)

    def do_run(self, rest: str) -> None:
        # Users are the engine's matter: the process below runs as the same number.
        steps = [step for step in rest.split(" && ") if not step.strip().startswith("useradd")]
        command = self.moved(" && ".join(steps))
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout}{done.stderr}"

    def do_user(self, rest: str) -> None:
        self.user = rest

    def do_healthcheck(self, rest: str) -> None:
        self.health = rest.partition(" CMD ")[2] or rest.partition("CMD ")[2]

    def do_cmd(self, rest: str) -> None:
        self.command = rest

    def program(self, name: str) -> str:
        found = shutil.which(name, path=self.environment["PATH"])
        assert found is not None, f"{name} is not on the image's PATH"
        return found

    def uid(self) -> int | None:
        """The image's user, where this process may become another and that one can start Python."""
        if os.geteuid() != 0:
            return None
        user = int(self.user.partition(":")[0])
        try:
            done = subprocess.run(
                [self.program("python"), "-c", ""], user=user, group=user, extra_groups=[], check=False
            )
        except PermissionError:
            return None
        return user if done.returncode == 0 else None

    def start(self, text: str, extra: dict[str, str]) -> subprocess.Popen[bytes]:
        user = self.uid()
        name, *arguments = json.loads(text)
        return subprocess.Popen(
            [self.program(name), *arguments], cwd=self.root / "app", env={**self.environment, **extra},
            user=user, group=user, extra_groups=[] if user else None, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = tmp_path_factory.mktemp("image")
    for folder in [root, *root.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (root / "tmp").mkdir()
    return Image(root, tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("mounted")
    digest = testing.write_onnx(folder / "freight" / "1")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder, digest


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def running(image: Image, model: tuple[Path, str]) -> Iterator[tuple[int, dict[str, str]]]:
    port = free_port()
    extra = {
        "AZUREML_MODEL_DIR": str(model[0]), "MLOPS_MODEL_DIGEST": model[1], "MLOPS_MODEL_VERSION": "7",
        "MLOPS_PORT": str(port),
    }  # fmt: skip
    process = image.start(image.command, extra)
    deadline = time.monotonic() + 20
    while True:
        try:
            status, _ = call(port, "GET", "/readyz", timeout=2)
            if status == 200:
                break
        except Unreachable:
            pass
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.05)
    yield port, extra
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0, process.stderr.read().decode() if process.stderr else ""


def test_the_command_serves_the_mounted_model_as_another_user(
    image: Image, running: tuple[int, dict[str, str]]
) -> None:
    port, extra = running
    status, answer = call(port, "POST", "/score", testing.body(2))
    assert status == 200
    assert answer["predictions"] == pytest.approx([testing.expected("AA", 500)] * 2, abs=1e-6)
    assert image.user == "10001:10001"
    assert image.start(image.health, extra).wait(10) == 0
    assert image.start(image.health, {**extra, "MLOPS_PORT": str(free_port())}).wait(10) != 0


def test_a_changed_model_ends_the_container_with_the_code_of_integrity(
    image: Image, model: tuple[Path, str]
) -> None:
    extra = {"AZUREML_MODEL_DIR": str(model[0]), "MLOPS_MODEL_DIGEST": "sha256:" + "0" * 64}
    process = image.start(image.command, {**extra, "MLOPS_PORT": str(free_port())})
    _, said = process.communicate(timeout=20)
    assert process.returncode == 7
    assert b"was released; nothing was loaded" in said


def test_a_model_without_a_graph_answers_there_by_its_own_library(image: Image, tmp_path: Path) -> None:
    """The image has scikit-learn and no MLflow: a file of skops is read, and nothing else is needed."""
    import numpy as np
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

    from mlops.spec.digest import tree_digest
    from mlops.steps import artifact
    from tests.unit.steps.toy import toy_of

    rows = pd.DataFrame(np.random.default_rng(0).random((80, 2)), columns=["a", "b"]).astype("float32")
    model = RandomForestRegressor(5, random_state=0).fit(rows, rows["a"] + rows["b"])
    schema = artifact.save(tmp_path / "model", toy_of("regression", rows, ["b"]), model, rows)
    assert schema.onnx is None
    code = (
        "import sys, pathlib; from mlops.serving.score.core import load\n"
        "print(*load(pathlib.Path(sys.argv[1]), digest=sys.argv[2]).predict_rows([(0.25, None), (0.75, 0)]))"
    )
    command = [image.program("python"), "-c", code, str(tmp_path / "model"), tree_digest(tmp_path / "model")]
    done = subprocess.run(command, env=image.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    truth = model.predict(pd.DataFrame({"a": [0.25, 0.75], "b": [np.nan, 0.0]}, dtype="float32"))
    np.testing.assert_allclose([float(v) for v in done.stdout.split()], truth)


@pytest.fixture(scope="module")
def build() -> Any:
    spec = importlib.util.spec_from_file_location("container_build", ROOT / "container" / "build.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def grown(image: Image, build: Any, group: str, folder: Path) -> dict[str, str]:
    """The image's environment with what `group` in `image` of pyproject.toml brings more."""
    before = set(re.findall(r"^([a-z0-9-]+)==", build.REQUIREMENTS.read_text(), re.MULTILINE))
    groups = build.groups
    build.groups = lambda: [*groups(), group]
    try:
        blocks = re.split(r"\n(?=[a-z0-9-]+==)", build.requirements())
    finally:
        build.groups = groups
    named = {block.partition("==")[0]: block for block in blocks if "==" in block.split()[0]}
    more = [block for name, block in named.items() if name not in before]
    assert more, f"the group {group} brings nothing"
    (folder / "more.txt").write_text("\n".join(more) + "\n")
    command = [build.tool("uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--python", image.program("python"), "--only-binary", ":all:"]
    command += ["--target", str(folder / "more"), "--requirement", str(folder / "more.txt")]
    subprocess.run(command, check=True)
    return {**image.environment, "PYTHONPATH": f"{image.environment['PYTHONPATH']}:{folder / 'more'}"}


ASK = """
import json, pathlib, sys
from mlops.serving.score.core import SAMPLE, load
from mlops.serving.score.request import RequestParser
folder = pathlib.Path(sys.argv[1])
served = load(folder, digest=sys.argv[2])
rows = RequestParser(served.schema).parse((folder / SAMPLE).read_bytes(), "score")
print(json.dumps({"answers": served.predict_rows(rows).tolist(), "by": type(served).__name__}))
"""


@pytest.mark.parametrize(("kind", "group"), [("lightgbm", "lightgbm"), ("image", "pillow")])
def test_what_a_kind_of_model_adds_to_the_image_suffices_to_answer(
    image: Image, build: Any, kind: str, group: str, tmp_path: Path
) -> None:
    """Beside it there is only what every image has: no MLflow, no code of training."""
    import numpy as np
    import pandas as pd

    from mlops import columns
    from mlops.spec.digest import tree_digest
    from mlops.steps import artifact
    from tests.unit.steps.toy import Toy, toy_of

    model: Any
    usecase: Any
    if kind == "lightgbm":
        from lightgbm import LGBMRegressor

        # Seconds since 1970: float32 loses their last digits, so that no graph answers.
        at = 1.7e9 + np.random.default_rng(0).integers(0, 900, 200).astype(float)
        rows = pd.DataFrame({"at": at, "b": at % 7})
        model = LGBMRegressor(n_estimators=20, min_child_samples=2, verbose=-1).fit(rows, at % 11)
        usecase = toy_of("regression", rows)
    else:
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline

        from mlops.pictures import Pixels
        from tests.unit.steps.test_pictures import picture

        rows = pd.DataFrame({"picture": [picture(seed=seed) for seed in range(40)]}, dtype=object)
        model = make_pipeline(Pixels(width=6, height=4), Ridge()).fit(rows, np.arange(40) / 7)
        usecase = Toy("regression", {"picture": columns.image(width=6, height=4, mode="L")})
    schema = artifact.save(tmp_path / "model", usecase, model, rows)
    assert schema.onnx is None
    digest = tree_digest(tmp_path / "model")
    command = [image.program("python"), "-c", ASK, str(tmp_path / "model"), digest]
    done = subprocess.run(command, env=image.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0, "without the group nothing can answer"
    done = subprocess.run(
        command, env=grown(image, build, group, tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["by"] == "LibraryScorer"
    truth = model.predict(rows.iloc[:: max(1, len(rows) // 50)].head(50).reset_index(drop=True))
    np.testing.assert_allclose(said["answers"], truth[: len(said["answers"])], rtol=1e-5, atol=1e-6)


def test_what_is_installed_is_what_is_locked_and_no_more(image: Image) -> None:
    python = image.root / "opt" / "venv" / "bin" / "python"
    code = "import importlib.metadata as m; print(*(d.metadata['Name'].lower() for d in m.distributions()))"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    found = {name.replace("_", "-") for name in done.stdout.split()}
    text = (ROOT / "container" / "requirements.txt").read_text()
    assert found == set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert not list((image.root / "opt").rglob("*.h")) or shutil.which("gcc", path=str(python.parent)) is None


def test_a_wrong_hash_installs_nothing(tmp_path: Path) -> None:
    text = (ROOT / "container" / "requirements.txt").read_text()
    (tmp_path / "requirements.txt").write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", text))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    command = [
        str(tmp_path / "venv" / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
    ]
    command += ["--only-binary", ":all:", "--requirement", str(tmp_path / "requirements.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr.upper()


def test_the_bill_of_materials_names_every_package_and_is_the_same_twice(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        command = [
            sys.executable,
            str(ROOT / "container" / "build.py"),
            "sbom",
            "--output",
            str(tmp_path / name),
        ]
        subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    found = json.loads((tmp_path / "one.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    listed = {c["name"].lower().replace("_", "-"): c for c in found["components"]}
    text = (ROOT / "container" / "requirements.txt").read_text()
    assert listed.keys() == set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert all(c["purl"].startswith("pkg:pypi/") and c["version"] for c in listed.values())
    needs = {d["ref"]: d.get("dependsOn", []) for d in found["dependencies"]}
    (pydantic,) = (ref for ref in needs if ref.startswith("pydantic=="))
    assert any(ref.startswith("pydantic_core==") for ref in needs[pydantic])
