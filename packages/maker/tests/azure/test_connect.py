"""Names, logins and refusals. A wrong sentence costs a person an hour: Azure's own rarely says what to do."""

from __future__ import annotations

import pytest

from mlops.errors import NotFound, TargetError
from mlops.targets.azure.connect import Connection
from tests.azure.emulator import Answer, Emulator


def test_names_are_those_of_infra(connection: Connection):
    place = connection.place("prod")
    assert (place.resource_group, place.workspace) == ("rg-flights-mlops-prd-we", "mlw-flights-mlops-prd-we")
    assert place.endpoint("online_endpoint", "flights").startswith("flights-prd-")
    assert (connection.registry or "").startswith("mlr-flights-mlops-shr-we-")


def test_a_federated_login_finds_the_workspace(connection: Connection, logged_in: Emulator):
    uri = connection.tracking_uri()
    assert uri.startswith("azureml://westeurope.api.azureml.ms/mlflow/")
    assert uri.endswith("/workspaces/mlw-flights-mlops-dev-we")
    assert logged_in.calls("POST", "login.microsoftonline.com"), "the login did not go through Entra ID"


def test_a_workspace_that_is_not_there(connection: Connection, logged_in: Emulator):
    logged_in.arm.remove(f"/subscriptions/{connection.subscription('dev')}")
    with pytest.raises(
        NotFound, match="cannot find the workspace mlw-flights-mlops-dev-we in rg-flights-mlops-dev-we"
    ):
        connection.tracking_uri()


def test_no_permission(connection: Connection, logged_in: Emulator):
    logged_in.arm.deny("/workspaces/mlw-flights-mlops-dev-we")
    with pytest.raises(
        TargetError, match=r"lacks the right Microsoft\.MachineLearningServices/workspaces/read"
    ):
        connection.tracking_uri()


def test_entra_refuses_the_identity(connection: Connection, logged_in: Emulator):
    logged_in.entra.unknown = True
    with pytest.raises(TargetError, match="Microsoft Entra ID refuses the login: AADSTS700016"):
        connection.tracking_uri()


def test_the_assertion_has_expired(connection: Connection, logged_in: Emulator):
    logged_in.entra.renew_assertion(seconds=-1)
    with pytest.raises(TargetError, match=r"the login of this job has expired.*AADSTS700024"):
        connection.tracking_uri()


def test_nobody_is_logged_in(logged_in: Emulator, connection: Connection, monkeypatch: pytest.MonkeyPatch):
    for name in logged_in.entra.login:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TargetError, match="nobody is logged in to Azure; log in with `az login`"):
        connection.tracking_uri()


def test_no_subscription(logged_in: Emulator, connection: Connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(TargetError, match="no Azure subscription is chosen; set AZURE_SUBSCRIPTION_ID"):
        connection.tracking_uri()


def test_azure_is_down(connection: Connection, logged_in: Emulator):
    logged_in.fail(
        "GET", "/workspaces/", Answer(503, {"error": {"code": "Busy", "message": "try later"}}), times=9
    )
    with pytest.raises(TargetError, match=r"Azure failed with 503 .*try later.*run the same command again"):
        connection.tracking_uri()
