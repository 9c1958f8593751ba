"""A pretend Azure: answers each registration with the outputs that the program reads, computed from names
alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pulumi.runtime import mocks, rpc

from mlops.errors import InvalidInput

from ..arm_types import arm_type
from ..model import AZURE

SUBSCRIPTION = "00000000-0000-0000-0000-0000000000aa"
TENANT = "00000000-0000-0000-0000-0000000000bb"
_DATABRICKS = "databricks:"
_STACK_REFERENCE = "pulumi:pulumi:StackReference"
_NAMESPACE = uuid.UUID("5a1c2a52-6b1c-4b43-9d0d-7d3c6d0c3f51")


def guid(*parts: str) -> str:
    """A UUID that stands for one that Azure would choose: the same for the same parts."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def _place(stack: str) -> str:
    """Project and stack, without the organization."""
    return stack.partition("/")[2]


def _stored(region: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The storage accounts that Azure makes for a region of a registry, under a name that it chooses."""
    kind = "systemCreatedStorageAccount"
    given = region.get("storageAccountDetails", [])
    return [{**details, kind: {**details.get(kind, {}), "storageAccountName": name}} for details in given]


class PretendAzure(mocks.Mocks):
    """`stack_outputs` maps full stack names to what they export; with `preview` computed outputs stay
    unknown."""

    def __init__(self, stack_outputs: Mapping[str, Mapping[str, Any]], *, preview: bool = False) -> None:
        self._stack_outputs = stack_outputs
        self._preview = preview

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == _STACK_REFERENCE:
            return self._reference(args)
        if args.typ.startswith(_DATABRICKS):
            return self._of_databricks(args)
        if not args.typ.startswith(AZURE):
            return "", dict(args.inputs)
        identity = arm_type(args.typ).id(args.inputs, SUBSCRIPTION)
        outputs = {**args.inputs, "name": identity.rsplit("/", 1)[1]}
        outputs |= self.computed(args.typ.removeprefix(AZURE), identity, args.inputs)
        return identity, outputs

    def _of_databricks(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Ids are numbers there, which only Databricks chooses."""
        number = str(int(guid(args.typ, args.name).replace("-", "")[:12], 16))
        return "" if self._preview else number, dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == "azure-native:authorization:getClientConfig":  # noqa: S105  a function's name
            return {
                "clientId": guid("client"), "objectId": guid("object"),
                "subscriptionId": SUBSCRIPTION, "tenantId": TENANT,
            }, []  # fmt: skip
        raise InvalidInput(
            f"the program asks Azure with {args.token}, which the plan cannot answer without a cloud; "
            "take the value from the stack's configuration, or teach mlops.infra.plan.mocks"
        )

    def _reference(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        name = str(args.resource_id or args.inputs["name"])
        # Whose organization it is, only the backend knows: Pulumi Cloud has one, a folder none.
        outputs = next((o for n, o in self._stack_outputs.items() if _place(n) == _place(name)), None)
        if outputs is None:
            raise InvalidInput(
                f"the stack refers to {name}, which is not planned before it; known: "
                f"{', '.join(sorted(self._stack_outputs)) or 'none'}"
            )
        return name, {"name": name, "outputs": dict(outputs), "secretOutputNames": []}

    def computed(self, kind: str, identity: str, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: PLR0912  a table
        """The outputs that are no inputs, for a resource of `kind` with the ARM id `identity`."""

        def only_azure_knows(value: str) -> str:
            return str(rpc.UNKNOWN) if self._preview else value

        def principal(of: str) -> dict[str, str]:
            return {
                "principalId": only_azure_knows(guid(of, "principal")),
                "clientId": only_azure_knows(guid(of, "client")),
            }

        computed: dict[str, Any] = {}
        given = inputs.get("identity")
        if isinstance(given, Mapping):
            answer = dict(given)
            if "SystemAssigned" in str(given.get("type")):
                answer |= {"principalId": principal(identity)["principalId"], "tenantId": TENANT}
            if isinstance(given.get("userAssignedIdentities"), list):
                answer["userAssignedIdentities"] = {i: principal(i) for i in given["userAssignedIdentities"]}
            computed["identity"] = answer
        if kind == "managedidentity:UserAssignedIdentity":
            computed |= principal(identity) | {"tenantId": TENANT}
        elif kind == "keyvault:Vault":
            uri = f"https://{inputs['vaultName']}.vault.azure.net/"
            computed["properties"] = {**inputs.get("properties", {}), "vaultUri": uri}
        elif kind == "keyvault:Key":
            uri = f"https://{inputs['vaultName']}.vault.azure.net/keys/{inputs['keyName']}"
            version = only_azure_knows(f"{uri}/{guid(identity).replace('-', '')}")
            computed |= {"keyUri": uri, "keyUriWithVersion": version}
        elif kind == "containerregistry:Registry":
            computed["loginServer"] = f"{str(inputs['registryName']).lower()}.azurecr.io"
        elif kind == "machinelearningservices:Registry":
            made = only_azure_knows(f"st{guid(identity)[:8]}")
            computed["regionDetails"] = [
                {**region, "storageAccountDetails": _stored(region, made)}
                for region in inputs.get("regionDetails", [])
            ]
        elif kind == "applicationinsights:Component":
            computed["connectionString"] = only_azure_knows(f"InstrumentationKey={guid(identity)}")
            computed["instrumentationKey"] = only_azure_knows(guid(identity))
        elif kind == "operationalinsights:Workspace":
            computed["customerId"] = only_azure_knows(guid(identity))
        elif kind == "storage:StorageAccount":
            blob = f"https://{inputs['accountName']}.blob.core.windows.net/"
            computed["primaryEndpoints"] = {"blob": blob, "dfs": blob.replace(".blob.", ".dfs.")}
        elif kind == "machinelearningservices:Workspace":
            computed["workspaceId"] = only_azure_knows(guid(identity))
        elif kind in {"machinelearningservices:OnlineEndpoint", "machinelearningservices:BatchEndpoint"}:
            host = (
                f"https://{inputs['endpointName']}.{inputs.get('location', 'region')}.inference.ml.azure.com"
            )
            path = "score" if kind.endswith("OnlineEndpoint") else "jobs"
            answer = {"scoringUri": f"{host}/{path}", "swaggerUri": f"{host}/swagger.json"}
            computed["properties"] = {**inputs.get("properties", {}), **answer}
        elif kind == "containerinstance:ContainerGroup":
            computed["ipAddress"] = {**inputs.get("ipAddress", {}), "ip": only_azure_knows("10.0.0.4")}
        elif kind == "databricks:Workspace":
            computed["workspaceUrl"] = only_azure_knows("adb-0.0.azuredatabricks.net")
            computed["workspaceId"] = only_azure_knows("0")
        elif kind == "network:PrivateEndpoint":
            computed["networkInterfaces"] = [{"id": only_azure_knows(f"{identity}.nic")}]
        return computed
