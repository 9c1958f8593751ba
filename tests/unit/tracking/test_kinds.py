"""Which tracking stores are accepted: a typing error must be a sentence at once, not minutes of retries."""

from __future__ import annotations

import pytest

from mlops.errors import TargetError
from mlops.tracking import _connection


@pytest.mark.parametrize(
    "uri", ["databricks", "databricks://team", "azureml://westeurope.api.azureml.ms/mlflow/x"]
)
def test_stores_that_are_looked_up_by_a_login_are_accepted(uri: str):
    _connection._check(uri)


@pytest.mark.parametrize("uri", ["databrick", "ftp://server/mlflow", "./mlruns", ""])
def test_other_kinds_are_refused_with_what_is_allowed(uri: str):
    with pytest.raises(TargetError, match=r"not supported; give sqlite:///<file>, .*databricks://<profile>"):
        _connection._check(uri)
