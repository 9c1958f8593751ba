"""The image's recipe: linted, locked, and as small as the import rule allows. Each lint is shown to fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops.infra.policy import checkov
from mlops.serving import formats
from mlops.spec.engine import export

STARTS = '["python", "-m", "mlops.serving.http.container"]'
ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "container"
DOCKERFILE = FOLDER / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")

WRONG = [
    # kind, pattern, replacement, hadolint rule
    ("a floating base", "python:3.11.14-slim-bookworm", "python:latest", "DL3007"),
    ("a base without tag", "python:3.11.14-slim-bookworm", "python", "DL3006"),
    ("apt without version", "RUN python -m comp", "RUN apt-get install -y gcc && python -m comp", "DL3008"),
    ("a shell form of CMD", f"CMD {STARTS}", "CMD python -m x", "DL3025"),
    ("a foreign registry", "FROM python:3.11.14-slim-bookworm\n", "FROM evil.example/python:3\n", "DL3026"),
    ("a relative WORKDIR", "WORKDIR /app", "WORKDIR app", "DL3000"),
]  # fmt: skip


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(HADOLINT), "--config", str(FOLDER / "hadolint.yaml"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(checkov.environment()),
        "-m",
        "checkov.main",
        "--framework",
        "dockerfile",
        "--file",
        str(path),
    ]
    command += ["--compact", "--quiet", "--skip-download"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hadolint_is_content() -> None:
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("old", "new", "rule"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_hadolint_refuses_a_wrong_edit(tmp_path: Path, old: str, new: str, rule: str) -> None:
    text = DOCKERFILE.read_text()
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new))
    done = hadolint(tmp_path / "Dockerfile")
    assert done.returncode != 0
    assert rule in done.stdout


@pytest.mark.slow
def test_checkov_is_content_and_refuses_root_and_a_missing_healthcheck(tmp_path: Path) -> None:
    done = checked(DOCKERFILE)
    assert done.returncode == 0, done.stdout
    text = DOCKERFILE.read_text().replace("USER 10001:10001\n", "")
    broken, times = re.subn(r"HEALTHCHECK.*?\n    CMD.*?\n", "", text, flags=re.DOTALL)
    assert times == 1
    (tmp_path / "Dockerfile").write_text(broken)
    done = checked(tmp_path / "Dockerfile")
    assert done.returncode == 1
    assert {"CKV_DOCKER_2", "CKV_DOCKER_3"} <= set(re.findall(r"CKV_DOCKER_\d+", done.stdout))


def test_requirements_are_those_of_the_lock_every_one_with_hashes() -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        import build
    finally:
        sys.path.remove(str(FOLDER))
    text = build.REQUIREMENTS.read_text()
    assert text == build.requirements(), "run: python container/build.py requirements"
    pins = re.findall(r"^([a-z0-9-]+)==\S+.*?(?=^[a-z0-9-]+==|\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(pins) == len(blocks) > 15
    for block in blocks:
        assert "--hash=sha256:" in block, block
    assert not {"mlflow", "mlflow-skinny", "onnx", "skl2onnx", "matplotlib", "azure-ai-ml", "gcc"} & set(pins)
    # A model without a graph answers by its library, which reads its own file: MLflow has written it.
    wanted = set(formats.find("sklearn").REQUIREMENTS) - {"mlflow-skinny"}
    assert wanted <= {block.partition("==")[0] for block in blocks}


def test_the_image_holds_the_rooms_that_serving_imports_and_no_others(tmp_path: Path) -> None:
    """`packages/maker/tests/unit/test_import_rule.py` keeps serving to spec and errors; models may be made of
    classes of the other three."""
    copied = re.findall(r"^COPY \.mlops/engine/steps/(.*) /app", DOCKERFILE.read_text(), re.MULTILINE)
    modules = [f"mlops/{name}.py" for name in ("errors", "networks", "pictures", "pretrained")]
    assert copied == [*modules, "mlops/spec", "mlops/serving"]
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored, "what is not named stays out"
    kept = [line[1:] for line in ignored if line.startswith("!")]
    (tmp_path / "src").mkdir()
    export(tmp_path)
    assert all((ROOT / path).exists() or (tmp_path / path).exists() for path in kept)
    assert (tmp_path / ".mlops/engine/steps/mlops/serving/http/container.py").is_file()


def test_azure_ml_takes_the_environment_and_its_routes_are_the_servers() -> None:
    from azure.ai.ml import load_environment

    from mlops.serving.http.container import LIVENESS, PORT, READINESS, SCORING

    environment = load_environment(FOLDER / "environment.yml")
    assert environment.build.dockerfile_path == "container/Dockerfile"
    assert environment.path == ROOT, "the build context"
    routes = yaml.safe_load((FOLDER / "environment.yml").read_text())["inference_config"]
    assert {name: (r["port"], r["path"]) for name, r in routes.items()} == {
        "liveness_route": (PORT, LIVENESS),
        "readiness_route": (PORT, READINESS),
        "scoring_route": (PORT, SCORING),
    }
    assert f"MLOPS_PORT={PORT}\n" in DOCKERFILE.read_text()
