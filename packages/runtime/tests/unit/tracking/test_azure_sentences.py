"""azure-ai-ml says that the user is wrong whenever a download stops: what Azure answered decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from mlops.errors import Forbidden, InvalidInput, MlopsError, Unavailable
from mlops.tracking.azure_errors import azure_sentence


class Blaming(AzureError):
    """As azure-ai-ml's `MlException`."""

    error_category = "UserError"


def answered(status: int) -> HttpResponseError:
    response: Any = SimpleNamespace(status_code=status, reason="x", headers={}, text=lambda: "")
    return HttpResponseError("(Code) words", response=response)


@pytest.mark.parametrize(
    ("behind", "kind"),
    [
        (answered(429), Unavailable),
        (answered(503), Unavailable),
        (answered(403), Forbidden),
        (ServiceRequestError("broken"), Unavailable),
        (ValueError("a wrong file"), InvalidInput),
        (None, InvalidInput),
    ],
)
def test_what_azure_answered_is_behind_the_blame(behind: Exception | None, kind: type[MlopsError]) -> None:
    error = Blaming("Saving blob was unsuccessful")
    error.__cause__ = behind
    assert type(azure_sentence(error, "download it")) is kind
