"""One environment, component by component: what `infra/environment.py` of a repository calls in order."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TypeVar

import pulumi
from pulumi_azure_native import authorization
from pydantic import BaseModel, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.infra import exports, roles
from mlops.infra.components.access import Access, AccessProps
from mlops.infra.components.alerts import Alerts, AlertsProps
from mlops.infra.components.base import Place
from mlops.infra.components.budget import Budget, BudgetProps
from mlops.infra.components.compute import ClusterProps, Compute, ComputeProps
from mlops.infra.components.container_registry import ContainerRegistry, ContainerRegistryProps
from mlops.infra.components.diagnostics import Diagnostics, DiagnosticsProps, Watched
from mlops.infra.components.encryption import Encryption
from mlops.infra.components.endpoints import EndpointProps, Endpoints, EndpointsProps
from mlops.infra.components.foundation import Foundation, FoundationProps
from mlops.infra.components.identities import Identities, IdentitiesProps
from mlops.infra.components.storage import CONTAINERS, UNDELIVERED, Storage, StorageProps
from mlops.infra.components.storage_account import LetIn
from mlops.infra.components.vault import Vault, VaultProps
from mlops.infra.components.workspace import Reached, Workspace, WorkspaceProps
from mlops.infra.config import EnvironmentStack, rule_name
from mlops.infra.load import StackFile, located
from mlops.infra.naming import JOURNAL, Names
from mlops.infra.private_access import open_private_access
from mlops.infra.program import Stack
from mlops.infra.tags import tags_of
from mlops.infra.trust import federations
from mlops.infra.wanted import (
    check_apart,
    check_endpoints,
    check_readers,
    check_sizes,
    check_training,
    granted,
    served_models,
    stack_before,
    trains_privately,
)
from mlops.spec._yaml import problems_of

Settings = TypeVar("Settings", bound=BaseModel)

DUTIES = ("plan", "apply", "train", "promote", "serve")


class Environment:
    """Each `add_…` makes one group of resources; later ones read the attributes of earlier ones."""

    def __init__(self, stack: Stack, config: EnvironmentStack) -> None:
        """Raises `InvalidInput` when `endpoints` names a model that mlops.toml lacks, when `training_stack`
        is not the stack that it trains in, when a VM size cannot be had, when another stack trusts the same
        workflow, or when no legal name can be made."""
        self.root, self.config, self.secrets = stack.root, config, stack.secrets
        self.scopes: dict[str, pulumi.Input[str]] = {}
        self.custom_roles: dict[str, pulumi.Input[str]] = {}
        with located(stack.root):
            self.models = served_models(config, stack.settings, stack.name)
            check_training(config, stack.settings, stack.name)
            check_readers(config, stack.settings, stack.name)
            check_sizes(config, stack.settings, stack.name)
            check_apart(stack.root, config, stack.settings, stack.name)
        self.trains_privately = trains_privately(stack.root, config)
        self.grants = granted(
            config, privately=self.trains_privately, before=stack_before(stack.root, stack.name)
        )
        self.names = Names(stack.settings.project.name, stack.name, config.location, config.salt)
        check_endpoints(self.names, self.models)
        self.tags = tags_of(config, self.names)
        self.private = config.network.private_endpoints
        self.stack = stack
        self._own_read = False
        self.watched: dict[str, Watched] = {}
        """What `add_governance` gives diagnostic settings, by a label."""
        self.databricks: dict[str, pulumi.Input[str]] = {}
        """What `[databricks]` of mlops.toml is told of the workspace; empty without one."""
        self.client = authorization.get_client_config_output()
        self.shared = pulumi.StackReference("shared", stack_name=config.shared_stack)
        trains = config.training_stack
        self.training = pulumi.StackReference("training", stack_name=trains) if trains else None
        project = config.shared_stack.rpartition("/")[0]
        self.before = (
            pulumi.StackReference("before", stack_name=f"{project}/{before}")
            if (before := stack_before(stack.root, stack.name))
            else None
        )

    def own(self, model: type[Settings]) -> Settings:
        """`mlops:own` of the stack file as `model`. Raises `InvalidInput` with file, line and field."""
        self._own_read = True
        file = StackFile.of(self.stack.root, self.stack.name)
        try:
            return model.model_validate(self.config.own)
        except ValidationError as error:
            problems = [
                Problem(p.where, p.message, ".".join(w for w in ("own", p.field) if w))
                for p in problems_of(error, model, file.name)
            ]
            raise InvalidInput([file.locate(p) for p in problems]) from None

    def add_foundation(self) -> None:
        config = self.config
        self.foundation = Foundation(
            "foundation",
            FoundationProps(
                names=self.names,
                location=config.location,
                tags=self.tags,
                protect=config.protect,
                retention_days=config.logs.retention_days,
                daily_quota_gb=config.logs.daily_quota_gb,
            ),
        )
        self.watched["logs"] = Watched(resource_id=self.foundation.logs.id)
        self.place = Place(
            names=self.names,
            location=config.location,
            tags=self.tags,
            protect=config.protect,
            resource_group=self.foundation.group.name,
        )

    def add_identities(self) -> None:
        duties = [*DUTIES, "workspace"]
        if self.config.customer_managed_keys:
            duties.append("encryption")
        if self.config.options.aks:
            duties.append("kubernetes")
        self.identities = Identities(
            "identities",
            IdentitiesProps(
                place=self.place,
                group=self.foundation.group,
                duties=duties,
                federations=federations(self.config),
            ),
        )

    def add_vault(self) -> None:
        self.vault = Vault(
            "vault",
            VaultProps(
                place=self.place,
                tenant_id=self.client.tenant_id,
                private=self.private,
                customer_managed_key=self.config.customer_managed_keys,
            ),
        )
        self.scopes["key vault"] = self.vault.vault.id
        self.encryption = self._encryption()

    def _encryption(self) -> Encryption | None:
        key = self.vault.key
        if key is None:
            return None
        identity = self.identities.by_duty["encryption"]
        ready = self.allow("encryption", identity.principal_id)
        return Encryption(
            identity_id=identity.id,
            client_id=identity.client_id,
            vault_id=self.vault.vault.id,
            vault_uri=self.vault.vault.properties.apply(lambda p: p.vault_uri),
            key_name=key.name,
            key_uri=key.key_uri_with_version,
            ready=[key, *ready],
        )

    def _journal_id(self) -> str:
        """Where the container of the journal is, from names alone: an id to import must be known at once."""
        names, subscription = self.place.names, authorization.get_client_config().subscription_id
        group = f"/subscriptions/{subscription}/resourceGroups/{names('resource_group')}"
        account = f"{group}/providers/Microsoft.Storage/storageAccounts/{names('storage_account')}"
        return f"{account}/blobServices/default/containers/{JOURNAL}"

    def _registry(self) -> LetIn:
        """Azure copies models to the registry itself, and cannot from an account without any public side
        (learn.microsoft.com, Network isolation with Azure Machine Learning registries)."""
        return LetIn(
            resource_id=self.shared.require_output("registry_id"),
            tenant_id=self.client.tenant_id,
            why="models are shared to the registry, which alone is let in beside the private endpoints",
        )

    def add_data(self) -> None:
        config = self.config
        self.storage = Storage(
            "storage",
            StorageProps(
                place=self.place,
                redundancy=config.storage.redundancy,
                deleted_days=config.storage.deleted_days,
                captured_days=config.storage.captured_days,
                versions_days=config.storage.versions_days,
                queues=sorted(config.events),
                private=self.private,
                encryption=self.encryption,
                read_by=self._registry() if self.stack.settings.azure.train == self.stack.name else None,
                adopted={JOURNAL: self._journal_id()} if config.storage.adopt_journal else {},
            ),
        )
        self.images = ContainerRegistry(
            "images",
            ContainerRegistryProps(place=self.place, private=self.private, encryption=self.encryption),
        )
        account = self.storage.account.id
        self.watched |= {
            "vault": Watched(resource_id=self.vault.vault.id),
            "images": Watched(resource_id=self.images.registry.id),
            "blobs": Watched(
                resource_id=pulumi.Output.concat(account, "/blobServices/default"), metrics="Transaction"
            ),
            "queues": Watched(
                resource_id=pulumi.Output.concat(account, "/queueServices/default"), metrics="Transaction"
            ),
        }
        undelivered = self.storage.containers.get(UNDELIVERED)
        self.scopes |= {
            "resource group": self.foundation.group.id,
            "storage account": account,
            "data container": self.storage.containers["data"].id,
            "captured container": self.storage.containers["captured"].id,
            **({"undelivered container": undelivered.id} if undelivered is not None else {}),
            "container registry": self.images.registry.id,
            "application insights": self.foundation.insights.id,
            "log analytics": self.foundation.logs.id,
            "model registry": self.shared.require_output("registry_id"),
        }
        if self.training:
            self.scopes |= {
                "training workspace": self.training.require_output("workspace_id"),
                "training storage account": self.training.require_output("storage_account_id"),
            }
        if self.before:
            self.scopes |= {
                "journal of the environment before": self.before.require_output("journal_id"),
                "workspace of the environment before": self.before.require_output("workspace_id"),
            }

    def add_network(self) -> None:
        """Private access to what the workspace needs, before the workspace."""
        self.network = open_private_access(
            self.place, self.config.network, databricks=self.config.options.databricks is not None
        )
        self.reachable: list[pulumi.Resource] = []
        if self.network:
            self.watched["security-group"] = Watched(resource_id=self.network.security_group.id, metrics=None)
            self.reachable = self.network.reach_data(
                storage_id=self.storage.account.id,
                vault_id=self.vault.vault.id,
                images_id=self.images.registry.id,
                after=[self.storage],
            )

    def add_workspace(self) -> None:
        config = self.config
        allowed = self._access("access-workspace", self._first_grants())
        self.workspace = Workspace(
            "workspace",
            WorkspaceProps(
                place=self.place,
                identity_id=self.identities.by_duty["workspace"].id,
                storage_id=self.storage.account.id,
                storage_name=self.storage.account.name,
                vault_id=self.vault.vault.id,
                insights_id=self.foundation.insights.id,
                images_id=self.images.registry.id,
                containers={name: self.storage.containers[name].name for name in CONTAINERS},
                isolation=config.network.isolation,
                outbound=self._outbound(),
                reached=self._reached(),
                private=self.private,
                image_builds=config.builder,
                encryption=self.encryption,
                after=[*allowed.assignments.values(), *self.reachable],
            ),
        )
        workspace = self.workspace.workspace
        self.watched["workspace"] = Watched(resource_id=workspace.id)
        self.scopes["workspace"] = workspace.id
        self.ready: list[pulumi.Resource] = [*self.workspace.rules]
        """What must be there before nodes and endpoints are."""
        if self.network:
            self.ready += self.network.reach_workspace(workspace.id, after=self.workspace.rules)

    def add_compute(self) -> None:
        config = self.config
        self.compute = Compute(
            "compute",
            ComputeProps(
                place=self.place,
                workspace=self.workspace.workspace.name,
                identity_id=self.identities.by_duty["train"].id,
                clusters={
                    name: ClusterProps(
                        vm_size=c.vm_size,
                        min_nodes=c.min_nodes,
                        max_nodes=c.max_nodes,
                        priority=c.priority,
                        idle_minutes=c.idle_minutes,
                    )
                    for name, c in config.clusters.items()
                },
                public_ip=config.network.isolation == "open",
                after=[*self.ready, *self.assigned("train")],
            ),
        )

    def add_endpoints(self) -> None:
        self.endpoints = Endpoints(
            "endpoints",
            EndpointsProps(
                place=self.place,
                workspace=self.workspace.workspace.name,
                identity_id=self.identities.by_duty["serve"].id,
                models={
                    name: EndpointProps(online=m.online, batch=m.batch, auth=m.auth)
                    for name, m in self.models.items()
                },
                private=self.private,
                after=[*self.ready, *self.assigned("serve")],
            ),
        )
        for model, endpoint in self.endpoints.online.items():
            self.watched[f"online-{model}"] = Watched(resource_id=endpoint.id)

    def _reached(self) -> dict[str, Reached]:
        """What the managed network reaches by private endpoints of its own, beside those that Azure makes.

        Batch jobs divide their work by queues and tables of the workspace's storage (learn.microsoft.com,
        "Workspace managed virtual network isolation", use batch endpoints). Where the release was trained:
        behind private endpoints that stack answers no address of the internet, and a domain leads nowhere."""
        network = self.config.network
        if network.isolation == "open":
            return {}
        reached: dict[str, Reached] = {}
        closed = self.private or network.isolation == "approved_outbound"
        if closed and any(m.batch for m in self.models.values()):
            reached |= {f"storage-{g}": Reached(self.storage.account.id, g) for g in ("queue", "table")}
        if self.training and self.trains_privately:
            reached |= {
                "training-blob": Reached(self.scopes["training storage account"], "blob"),
                "training-workspace": Reached(self.scopes["training workspace"], "amlworkspace"),
            }
        return reached

    def _outbound(self) -> dict[str, pulumi.Input[str]]:
        """Approved domains by their label; a job that monitors reads from where the release was trained, and
        a batch job reads the model where the registry keeps it."""
        network = self.config.network
        domains: dict[str, pulumi.Input[str]] = {rule_name(domain): domain for domain in network.outbound}
        if network.isolation == "approved_outbound":
            hosts = self.shared.require_output("registry_hosts")
            domains["registry-storage"] = hosts.apply(
                lambda by_region: by_region.get(self.config.location) or next(iter(by_region.values()))
            )
        if self.training and not self.trains_privately and network.isolation == "approved_outbound":
            account = self.training.require_output("storage_account")
            domains["training-storage"] = pulumi.Output.concat(account, ".blob.core.windows.net")
        return domains

    def _first_grants(self) -> list[roles.Grant]:
        """What the workspace's identity must hold before the workspace is made."""
        return [g for g in self.grants if g.identity == "workspace" and g.scope != "workspace"]

    def add_access(self) -> None:
        """Every assignment that is not made yet and whose holder exists."""
        defined = self.shared.require_output("environment_role_ids")
        own = [role.name for role in roles.CUSTOM if role.where == "environments"]
        self.custom_roles = {
            **{name: defined.apply(operator.itemgetter(name)) for name in own},
            roles.REGISTRY_READER: self.shared.require_output("reader_role_id"),
            roles.REGISTRY_PUBLISHER: self.shared.require_output("publisher_role_id"),
        }
        done = self._first_grants()
        wanted = [g for g in self.grants if g.identity in (*DUTIES, "workspace") and g not in done]
        self.access = self._access("access", wanted)

    def add_events(self) -> None:
        if not self.config.events:
            return
        from mlops.infra.components.events import Events, EventsProps, SubscriptionProps

        events = Events(
            "events",
            EventsProps(
                place=self.place,
                workspace_id=self.workspace.workspace.id,
                storage_id=self.storage.account.id,
                undelivered=self.storage.containers[UNDELIVERED].name,
                subscriptions={
                    name: SubscriptionProps(queue=self.storage.queues[name].name, types=s.types)
                    for name, s in self.config.events.items()
                },
            ),
            lambda principal: self.allow("events", principal),
        )
        self.watched["topic"] = Watched(resource_id=events.topic.id)

    def add_governance(self) -> None:
        config = self.config
        diagnostics = Diagnostics(
            "diagnostics", DiagnosticsProps(logs_id=self.foundation.logs.id, watched=self.watched)
        )
        alerts = Alerts(
            "alerts",
            AlertsProps(
                place=self.place,
                logs_id=self.foundation.logs.id,
                emails=config.alerts.emails,
                webhook=self.secrets["alert_webhook"],
                endpoints={m: e.id for m, e in self.endpoints.online.items()},
                endpoint_names={m: e.name for m, e in self.endpoints.online.items()},
                latency_ms=config.alerts.latency_ms,
                errors_percent=config.alerts.errors_percent,
                failed_jobs=config.alerts.failed_jobs,
                after=list(diagnostics.settings.values()),
            ),
        )
        Budget(
            "budget",
            BudgetProps(
                place=self.place,
                scope=self.foundation.group.id,
                amount=config.budget.amount,
                start=config.budget.start,
                contacts=config.budget.contacts,
                action_group_id=alerts.action_group.id,
                thresholds=config.budget.thresholds,
                forecast=config.budget.forecast,
            ),
        )

    def export(self) -> None:
        """Raises `InvalidInput` when the stack file has settings in `own` that nothing has read."""
        if self.config.own and not self._own_read:
            file = StackFile.of(self.stack.root, self.stack.name)
            said = "nothing in infra/environment.py reads it: call env.own there, or leave it out"
            raise InvalidInput(file.locate(Problem(file.name, said, "own")))
        online, workspace = self.endpoints.online, self.workspace.workspace
        exports.export(
            exports.EnvironmentExports(
                subscription_id=self.client.subscription_id,
                tenant_id=self.client.tenant_id,
                resource_group=self.foundation.group.name,
                location=self.config.location,
                workspace=workspace.name,
                workspace_id=workspace.id,
                registry=self.shared.require_output("registry"),
                storage_account=self.storage.account.name,
                storage_account_id=self.storage.account.id,
                journal_id=self.storage.containers[JOURNAL].id,
                container_registry=self.images.registry.login_server,
                key_vault=self.vault.vault.name,
                log_analytics_id=self.foundation.logs.id,
                clusters={name: c.name for name, c in self.compute.clusters.items()},
                online_endpoints={m: e.name for m, e in online.items()},
                scoring_uris={m: e.properties.apply(lambda p: p.scoring_uri) for m, e in online.items()},
                batch_endpoints={m: e.name for m, e in self.endpoints.batch.items()},
                client_ids={d: self.identities.by_duty[d].client_id for d in DUTIES},
                event_queues={n: q.name for n, q in self.storage.queues.items()},
                databricks=self.databricks,
                ttl=self.config.ttl or "",
            )
        )

    def allow(self, identity: str, principal: pulumi.Input[str]) -> list[pulumi.Resource]:
        """Make the assignments of an identity that exists only now, such as the one of a system topic."""
        wanted = [g for g in self.grants if g.identity == identity]
        access = self._access(f"access-{identity.replace(' ', '-')}", wanted, {identity: principal})
        return list(access.assignments.values())

    def assigned(self, identity: str) -> list[pulumi.Resource]:
        """The assignments of a duty."""
        return [a for label, a in self.access.assignments.items() if label.startswith(f"{identity}-")]

    def _access(
        self,
        name: str,
        grants: Sequence[roles.Grant],
        principals: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> Access:
        own = {duty: identity.principal_id for duty, identity in self.identities.by_duty.items()}
        return Access(
            name,
            AccessProps(
                names=self.names,
                shared=self.config.shared_stack.rpartition("/")[2],
                group=self.foundation.group,
                subscription_id=self.client.subscription_id,
                grants=grants,
                principals={**own, **(principals or {})},
                scopes=self.scopes,
                custom_roles=self.custom_roles,
            ),
        )
