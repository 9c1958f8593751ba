"""Privileges of Unity Catalog that the target `databricks` needs, by what somebody does. The one list: the
Asset Bundle and the Pulumi program grant from it.

Source: docs.databricks.com, "Unity Catalog privileges and securable objects".
"""

from __future__ import annotations

from typing import Final

WORKS: Final = (
    "USE_SCHEMA",
    "CREATE_MODEL",
    "CREATE_MODEL_VERSION",
    "APPLY_TAG",
    "READ_VOLUME",
    "WRITE_VOLUME",
)
"""On a schema: of who trains there, or applies to its environment."""
TAKES: Final = ("USE_SCHEMA", "EXECUTE", "APPLY_TAG")
"""On the schema that numbers the versions: of who applies to another environment. Tags there say what is
live."""
CAPTURES: Final = ("CREATE_TABLE",)
"""On a schema whose endpoints log to inference tables: of who applies."""
MONITORS: Final = ("USE_SCHEMA", "SELECT", "READ_VOLUME", "WRITE_VOLUME")
"""On a schema: of who compares captured traffic, and keeps labels and verdicts in the volume."""
EVERYBODY: Final = ("account users", "users")
"""Groups that hold everybody; nothing is granted to them."""
