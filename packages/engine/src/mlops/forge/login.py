"""Whom the forge sees when a person sets it up: a variable, or the login of its own command line."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from typing import Any, Final

from mlops.errors import TargetError

AZURE_DEVOPS: Final = "499b84ac-1321-427f-aa17-267ca6975798/.default"
"""The scope of Azure DevOps in Entra ID, the same in every tenant."""
_SECONDS = 20.0


def github_token() -> str:
    """GH_TOKEN, GITHUB_TOKEN, or the login of `gh`; raises `TargetError` when there is none."""
    for name in ("GH_TOKEN", "GITHUB_TOKEN"):
        if token := os.environ.get(name, ""):
            return token
    if gh := shutil.which("gh"):
        done = subprocess.run(
            [gh, "auth", "token"], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    raise TargetError("nobody is logged in to GitHub; run: gh auth login, or set GH_TOKEN")


def azure_devops_header(credential: Any) -> str:
    """The Authorization header: a personal access token of AZURE_DEVOPS_EXT_PAT, or the login to Azure."""
    if token := os.environ.get("AZURE_DEVOPS_EXT_PAT", ""):
        return "Basic " + base64.b64encode(f":{token}".encode()).decode()
    from mlops.tracking.azure_errors import azure_sentences

    with azure_sentences("log in to Azure DevOps"):
        return f"Bearer {credential.get_token(AZURE_DEVOPS).token}"
