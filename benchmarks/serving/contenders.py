"""The servers that are compared: how each is started with the same model, and what it is asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from mlops.serving.azure import score
from mlops.serving.http.client import Unreachable, call
from mlops.serving.http.state import DeploymentState, ServerState, ensure_keys, write_state
from mlops.serving.score.core import read_schema
from mlops.serving.score.request import RequestParser
from mlops.spec.digest import tree_digest
from mlops.spec.schema import FILE

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


@dataclass
class Contender:
    """One running server."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: str
    bodies: dict[int, list[bytes]]
    """Request bodies by number of rows; they differ, as those of real callers do."""
    key: str | None = None
    traced: bool = False
    """Whether each request has a trace id of its own, so that no two heads are the same."""
    start_seconds: float = 0.0

    def wait(self, begun: float) -> None:
        """Until it answers a prediction."""
        while True:
            try:
                status, _ = call(
                    self.port, "POST", self.path, msgspec.json.decode(self.bodies[1][0]), self.key, timeout=10
                )
                if status == 200:
                    break
                raise RuntimeError(f"{self.name} answered {status}")
            except Unreachable:
                if self.process.poll() is not None or time.monotonic() - begun > 300:
                    raise RuntimeError(f"{self.name} did not start; see its log") from None
                time.sleep(0.02)
        self.start_seconds = time.monotonic() - begun

    def memory(self) -> float:
        """PSS of the process and its descendants, in MB (Linux)."""
        total = 0.0
        for pid in _family(self.process.pid):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(x.split()[1]) / 1024 for x in text.splitlines() if x.startswith("Pss:"))
        return total

    def cpu(self) -> float:
        """CPU seconds that the process and its descendants have used."""
        ticks = 0
        for pid in _family(self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def start_all(model: Path, work: Path, names: list[str]) -> list[Contender]:
    """Start the named contenders one after the other; each is ready when this returns."""
    made: list[Contender] = []
    try:
        for name in names:
            begun = time.monotonic()
            contender = STARTERS[name](model, work / name)
            contender.wait(begun)
            made.append(contender)
    except BaseException:
        for contender in made:
            contender.stop()
        raise
    return made


def _ours(model: Path, work: Path) -> Contender:
    work.mkdir(parents=True)
    port, digest = free_port(), tree_digest(model)
    blue = DeploymentState(
        name="blue", release=1, digest=digest, folder=model, traffic=100, created="2026-01-01T00:00:00Z"
    )  # type: ignore[arg-type]
    schema = read_schema(model)
    write_state(work, ServerState(environment="bench", model=schema.model, port=port, deployments=[blue]))
    key = ensure_keys(work).primary
    process = launch(work, [sys.executable, "-m", "mlops.serving.http.server", "--state", str(work)])
    return Contender("ours", process, port, "/score", score_bodies(model), key)


def _ours_library(model: Path, work: Path) -> Contender:
    """Our server without the graph: what a model costs that only its own library can answer for."""
    plain = work.with_name(f"{work.name} model")
    shutil.copytree(model, plain)
    schema = read_schema(plain).model_copy(update={"onnx": None})
    (plain / FILE).write_text(schema.model_dump_json())
    return replace(_ours(plain, work), name="ours, library")


def _ours_traced(model: Path, work: Path) -> Contender:
    return replace(_ours(model, work), name="ours, traced", traced=True)


def _noop(model: Path, work: Path) -> Contender:
    return _start_noop("no-op app", "app", model, work)


def _noop_lane(model: Path, work: Path) -> Contender:
    return _start_noop("no-op scorer", "scorer", model, work)


def _start_noop(name: str, kind: str, model: Path, work: Path) -> Contender:
    work.mkdir(parents=True)
    port = free_port()
    process = launch(work, [sys.executable, str(HERE / "noop.py"), kind, str(port)])
    return Contender(name, process, port, "/score", score_bodies(model))


def _azml(name: str, model: Path, work: Path) -> Contender:
    port = free_port()
    environment = {
        "AZUREML_MODEL_DIR": str(model),
        "MLOPS_MODEL_DIGEST": tree_digest(model),
        "WORKER_COUNT": "1",
    }
    command = [str(BIN / "azmlinfsrv"), "--entry_script", str(Path(score.__file__)), "--port", str(port)]
    return Contender(name, launch(work, command, environment), port, "/score", score_bodies(model))


def _azml_onnx(model: Path, work: Path) -> Contender:
    work.mkdir(parents=True)
    return _azml("azmlinfsrv+onnx", model, work)


def _azml_sklearn(model: Path, work: Path) -> Contender:
    plain = work / "model"
    shutil.copytree(model, plain)
    schema = read_schema(plain).model_copy(update={"onnx": None})
    (plain / FILE).write_text(schema.model_dump_json())
    return _azml("azmlinfsrv+sklearn", plain, work)


def _mlflow(model: Path, work: Path) -> Contender:
    work.mkdir(parents=True)
    bodies = {n: [_mlflow_body(b) for b in several] for n, several in score_bodies(model).items()}
    return _serve_mlflow("mlflow", model, work, bodies)


def _mlflow_onnx(model: Path, work: Path) -> Contender:
    """mlflow's server with the ONNX graph: shows what the server contributes."""
    import mlflow.onnx
    import onnx

    schema = read_schema(model)
    if schema.onnx is None:
        raise RuntimeError("the model has no ONNX export")
    work.mkdir(parents=True)
    graph = onnx.load(str(model / schema.onnx.file))
    mlflow.onnx.save_model(graph, str(work / "model"), pip_requirements=["onnxruntime"])

    def tensors(body: bytes) -> bytes:
        rows = RequestParser(schema).parse(body, "score")
        texts = [[r[i] for i, c in enumerate(schema.columns) if c.type == "string"] for r in rows]
        numbers = [[r[i] or 0.0 for i, c in enumerate(schema.columns) if c.type != "string"] for r in rows]
        return json.dumps({"inputs": {"strings": texts, "floats": numbers}}).encode()

    bodies = {n: [tensors(b) for b in several] for n, several in score_bodies(model).items()}
    return _serve_mlflow("mlflow+onnx", work / "model", work, bodies)


def _serve_mlflow(name: str, model: Path, work: Path, bodies: dict[int, list[bytes]]) -> Contender:
    port = free_port()
    command = [str(BIN / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local"]
    command += ["-p", str(port), "-h", "127.0.0.1", "-w", "1"]
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return Contender(name, launch(work, command, environment), port, "/invocations", bodies)


STARTERS = {
    "ours": _ours,
    "ours, library": _ours_library,
    "ours, traced": _ours_traced,
    "no-op app": _noop,
    "no-op scorer": _noop_lane,
    "azmlinfsrv+onnx": _azml_onnx,
    "azmlinfsrv+sklearn": _azml_sklearn,
    "mlflow": _mlflow,
    "mlflow+onnx": _mlflow_onnx,
}


def launch(work: Path, command: list[str], extra: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own; its output goes to `log` in `work`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **(extra or {})}
    with (work / "log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=work, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def score_bodies(model: Path) -> dict[int, list[bytes]]:
    """Azure ML bodies of 1 and of 100 rows, from the artifact's sample; each starts at another row."""
    sample: Any = json.loads((model / "sample.json").read_text())["input_data"]
    several: dict[int, list[bytes]] = {}
    for n in (1, 100):
        several[n] = []
        for first in range(len(sample["data"])):
            turned = sample["data"][first:] + sample["data"][:first]
            data = (turned * (n // len(turned) + 1))[:n]
            split = {"columns": sample["columns"], "index": list(range(n)), "data": data}
            several[n].append(json.dumps({"input_data": split}).encode())
    return several


def _mlflow_body(body: bytes) -> bytes:
    return json.dumps({"dataframe_split": json.loads(body)["input_data"]}).encode()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += _family(int(child))
    return found
