"""Our server as a container of Azure ML (or of anything else): `python -m mlops.serving.http.container`.

Environment: `AZUREML_MODEL_DIR` (where the model is mounted), `MLOPS_MODEL_DIGEST` and `MLOPS_MODEL_VERSION`
of the release, `MLOPS_CAPTURE` (see `mlops.spec.capture`), `MLOPS_PORT` (5001), `MLOPS_HOST`. Who stands in
front authenticates and routes, as Azure ML does. Probes: GET /livez and /readyz; scoring: POST /score.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import InvalidInput, MlopsError
from mlops.serving.capture.recorder import settings_from
from mlops.serving.http import server
from mlops.serving.http.state import DeploymentState, ServerState, write_state
from mlops.serving.score.core import find_artifact, load
from mlops.serving.score.signing import signed_from, verify_apart
from mlops.spec.digest import tree_digest

PORT = 5001
LIVENESS, READINESS, SCORING = "/livez", "/readyz", "/score"

log = logging.getLogger("mlops.serving")


def main() -> int:
    """Serve the mounted model until SIGTERM; the exit code says why not."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    # Inside a container all addresses are its own; what reaches them is decided outside.
    host = os.environ.get("MLOPS_HOST", "0.0.0.0")  # noqa: S104
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        try:
            write_state(Path(folder), _state())
        except MlopsError as error:
            # Checked here and not when the server loads: a refused model must end the container at once.
            log.critical("%s", error)
            return error.exit_code
        # Who probes and routes knows this port only.
        return server.main(["--state", folder, "--host", host, "--keep-port"])


def _state() -> ServerState:
    mounted = os.environ.get("AZUREML_MODEL_DIR", "")
    if not mounted:
        raise InvalidInput("AZUREML_MODEL_DIR is not set; it says where the model is mounted")
    artifact = find_artifact(Path(mounted))
    digest = os.environ.get("MLOPS_MODEL_DIGEST") or tree_digest(artifact)
    if (signed := signed_from()) is not None:
        verify_apart(artifact, signed)
    load(artifact, digest=digest)
    version = os.environ.get("MLOPS_MODEL_VERSION", "")
    deployment = DeploymentState(
        name=os.environ.get("MLOPS_DEPLOYMENT") or "model",
        release=int(version) if version.isdecimal() and int(version) > 0 else 1,
        digest=digest,
        folder=artifact,
        traffic=100,
        created=datetime.now(UTC),
    )
    return ServerState(
        environment=os.environ.get("MLOPS_ENVIRONMENT", "container"),
        model=os.environ.get("MLOPS_MODEL", "model"),
        port=_port(os.environ.get("MLOPS_PORT") or str(PORT)),
        deployments=[deployment],
        capture=settings_from(),
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise InvalidInput(f"MLOPS_PORT is {text!r}; it is a number between 1 and 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
