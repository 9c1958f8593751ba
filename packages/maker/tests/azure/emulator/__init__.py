"""Azure on 127.0.0.1: unmodified clients talk to production host names, and nothing leaves this machine.

`server.py` is a CONNECT proxy that ends TLS itself, with a certificate of a CA of its own (`certs.py`), and
hands each request to a route (`http.py`). `arm.py` keeps resources; `types.py` holds their bodies to Azure's
official types. Every other module adds routes or kinds of resources for one service, in a function
`install(emulator)`.
"""

from __future__ import annotations

from .http import Answer, Refused, Request
from .server import Emulator

ONNX_TELEMETRY = "mobile.events.data.microsoft.com"
"""ONNX Runtime tells Microsoft that it was used; here it is refused like any other host."""
MLFLOW_TELEMETRY = "config.mlflow-telemetry.io"
"""MLflow asks it in scripts of others; our own steps turn that off."""

__all__ = ["MLFLOW_TELEMETRY", "ONNX_TELEMETRY", "Answer", "Emulator", "Refused", "Request"]
