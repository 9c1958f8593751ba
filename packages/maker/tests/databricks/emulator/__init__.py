"""A Databricks workspace on 127.0.0.1: unmodified clients (`databricks-sdk`, MLflow's `databricks-uc`)
talk to it.

`server.py` answers by routes and refuses what none is for; every other module adds those of one service, in a
function `install(emulator)`. Bodies are parsed by the clients' own types (`typed.py`): dataclasses of the
SDK, messages of MLflow's protocol. What does not come out as it went in is refused.
"""

from __future__ import annotations

from .http import Answer, Refused, Request
from .server import Emulator

__all__ = ["Answer", "Emulator", "Refused", "Request"]
