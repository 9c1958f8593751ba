"""Who this process is for Azure. Nothing here is a long-lived secret, and no token outlives its use.

A federated assertion lives five to ten minutes, an access token an hour. `az login` in a CI job exchanges the
assertion once, and after an hour nothing can renew it (AADSTS700024). So a job asks its CI system for a new
assertion whenever an access token has to be renewed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from mlops.errors import TargetError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_AUDIENCE = "api://AzureADTokenExchange"
_SECONDS = 30.0
_SUBSCRIPTION = ("AZURE_SUBSCRIPTION_ID", "ARM_SUBSCRIPTION_ID", "AZUREML_ARM_SUBSCRIPTION")
"""The last is set in every job of Azure ML."""


def credential() -> TokenCredential:
    """The first that fits: GitHub's OIDC, Azure Pipelines' service connection, DefaultAzureCredential.

    The last takes a workload identity, a managed identity, `az login` and what else azure-identity knows.
    """
    from azure.identity import AzurePipelinesCredential, ClientAssertionCredential, DefaultAzureCredential

    env = os.environ
    tenant, client = env.get("AZURE_TENANT_ID", ""), env.get("AZURE_CLIENT_ID", "")
    if env.get("ACTIONS_ID_TOKEN_REQUEST_URL") and tenant and client:
        return ClientAssertionCredential(tenant, client, github_assertion)
    if env.get("SYSTEM_OIDCREQUESTURI") and env.get("SYSTEM_ACCESSTOKEN"):
        connection = env.get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "")
        tenant = env.get("AZURESUBSCRIPTION_TENANT_ID", tenant)
        client = env.get("AZURESUBSCRIPTION_CLIENT_ID", client)
        if connection and tenant and client:
            return AzurePipelinesCredential(
                tenant_id=tenant,
                client_id=client,
                service_connection_id=connection,
                system_access_token=env["SYSTEM_ACCESSTOKEN"],
            )
    # A cluster's identity is one that a user assigned; without its id nobody is found in a job of Azure ML.
    cluster = env.get("DEFAULT_IDENTITY_CLIENT_ID", "")
    named = {"managed_identity_client_id": cluster} if cluster else {}
    return DefaultAzureCredential(exclude_interactive_browser_credential=True, **named)


def github_assertion() -> str:
    """A fresh OIDC token of this GitHub job; raises `TargetError` when GitHub does not give one."""
    url = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"]
    join = "&" if urllib.parse.urlsplit(url).query else "?"
    request = urllib.request.Request(  # noqa: S310  GitHub's runner sets the URL
        f"{url}{join}audience={urllib.parse.quote(_AUDIENCE, safe='')}",
        headers={"Authorization": f"Bearer {os.environ.get('ACTIONS_ID_TOKEN_REQUEST_TOKEN', '')}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["value"])
    except (OSError, ValueError, KeyError) as error:
        raise TargetError(
            f"GitHub gives this job no OIDC token ({error}); the job needs `permissions: id-token: write`"
        ) from None


def subscription() -> str:
    """The subscription of the environment or of `az login`; raises `TargetError` when there is none."""
    for name in _SUBSCRIPTION:
        if chosen := os.environ.get(name, ""):
            return chosen
    if az := shutil.which("az"):
        done = subprocess.run(
            [az, "account", "show", "--query", "id", "--output", "tsv"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    raise TargetError(
        "no Azure subscription is chosen; set AZURE_SUBSCRIPTION_ID, or subscription_id in [azure] of "
        "mlops.toml, or choose one with: az account set --subscription <id>"
    )
