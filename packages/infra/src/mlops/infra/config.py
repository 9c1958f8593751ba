"""What a stack file says, typed and strict. Components never see `pulumi.Config`, only what is made from
this.

A stack file is `environments/Pulumi.<stack>.yaml`; every key there is `mlops:<field>` of one of the two
models below, chosen by `mlops:kind`. An unknown key, a wrong value or a missing one is refused with file,
line, path and what is allowed. The only value that may (and must) be encrypted is `alert_webhook`.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from mlops.infra import limits
from mlops.infra.naming import REGIONS, check_compute
from mlops.spec._base import ModelName, Spec
from mlops.spec.vm_sizes import has_gpu

_T = TypeVar("_T")

SECRETS = frozenset({"alert_webhook"})
"""Keys that must be encrypted (`pulumi config set --secret`); no other key may be."""

Duty = Literal["plan", "apply", "train", "promote", "serve"]
"""What an identity is for; see `mlops.infra.roles`."""
CiDuty = Literal["plan", "apply", "train", "promote"]
"""Duties that a workflow takes on. Nothing outside Azure may become `serve`."""


def _region(value: str) -> str:
    if value not in REGIONS:
        known = ", ".join(sorted(REGIONS))
        raise ValueError(
            f"must be a public region of Azure, one of {known}{limits.near(value, REGIONS)}; got {value!r}"
        )
    return value


def _subnet(value: str) -> str:
    said = "must be an IPv4 network such as 10.20.0.0/22, its host bits zero"
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError(said) from None
    # A network with a mask (10.20.0.0/255.255.252.0) is one to Python, and none to Azure.
    if "/" in value and str(network) != value:
        raise ValueError(said)
    return _free_of(limits.address_space(value), value)


def _free_of(said: str, value: _T) -> _T:
    """`value`, unless there is a sentence against it."""
    if said:
        raise ValueError(said)
    return value


def _once(values: list[_T]) -> list[_T]:
    again = limits.twice(values)
    return _free_of(f"has {again} twice" if again else "", values)


def _domain(value: str) -> str:
    if not re.fullmatch(r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", value):
        raise ValueError(
            "must be a domain name such as pypi.org or *.pythonhosted.org, without scheme or path"
        )
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+", value):
        raise ValueError("must be an e-mail address such as team@example.com")
    return value


def _month(value: date) -> date:
    if value.day != 1:
        raise ValueError("must be the first day of a month; Azure refuses others")
    return value


def _ttl(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,2}[hd]", value):
        raise ValueError("must be 1 to 999 hours or days such as 72h or 14d")
    return value


Region = Annotated[str, AfterValidator(_region)]
Email = Annotated[str, AfterValidator(_email)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,22}$")]
"""2 to 23 lower-case letters and digits."""
ComputeName = Annotated[str, AfterValidator(check_compute)]
NodeSize = Annotated[
    str,
    Field(pattern=r"^Standard_[A-Z][A-Za-z0-9_-]+$"),
    AfterValidator(lambda size: _free_of(limits.node_size(size), size)),
]
VmSize = Annotated[str, Field(pattern=r"^Standard_[A-Z][A-Za-z0-9_-]+$")]
ResourceId = Annotated[
    str, Field(pattern=r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]+/providers/.+$")
]
Guid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Url = Annotated[str, Field(pattern=r"^https://[^\s/]+(/\S*)?$")]
Ttl = Annotated[str, AfterValidator(_ttl)]
"""Hours or days, such as 72h or 14d."""


Zone = Literal["blob", "file", "queue", "vault", "registry", "workspace", "notebooks", "databricks"]


def _types(annotation: Any) -> set[Any]:
    """Every type that an annotation names, however deep."""
    inner = get_args(annotation)
    return {annotation} if not inner else set().union(*(_types(a) for a in inner))


class _Section(Spec):
    """A number is a number here: `max_nodes: true` would otherwise be one node."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        given = value if isinstance(value, list) else [value]
        types = _types(field.annotation)
        if bool not in types and types & {int, float} and any(isinstance(v, bool) for v in given):
            raise ValueError("must be a number")
        return value


def rule_name(domain: str) -> str:
    """What the rule is called that lets jobs reach a domain."""
    return domain.replace("*", "any").replace(".", "-")


class Network(Spec):
    """How the workspace and what it needs are reached, and what they may reach."""

    isolation: Literal["open", "internet_outbound", "approved_outbound"]
    """Of the workspace's managed network. One way: Azure never goes back to a weaker one."""
    private_endpoints: bool = False
    """Reach workspace, storage, vault and registry only through this network; closes their public side."""
    address_space: Annotated[str, AfterValidator(_subnet)] = "10.10.0.0/22"
    """First quarter: private endpoints; second: Kubernetes nodes; third: container instance and
    Databricks."""
    dns: Literal["create", "existing", "none"] = "create"
    """Private DNS zones: made here, given by `dns_zones` (a hub), or left to an Azure policy."""
    dns_zones: dict[Zone, ResourceId] = {}
    """Resource ids of the zones that are there; with `dns: existing` only, and then all but databricks."""
    outbound: list[Annotated[str, AfterValidator(_domain)]] = []
    """Domains that jobs and endpoints may reach under `approved_outbound`."""

    @model_validator(mode="after")
    def _consistent(self) -> Network:
        if self.private_endpoints and self.isolation == "open":
            raise ValueError(
                "isolation: nodes are outside of every network with `open`, and could not reach what private "
                "endpoints close; take internet_outbound or approved_outbound"
            )
        if again := limits.twice(self.outbound):
            raise ValueError(f"outbound: has {again} twice")
        if again := limits.twice(rule_name(domain) for domain in self.outbound):
            raise ValueError(f"outbound: two domains would share the rule {again}; leave one of them out")
        if self.outbound and self.isolation != "approved_outbound":
            raise ValueError("outbound: has an effect only with `isolation: approved_outbound`")
        needed = set(get_args(Zone)) - {"databricks"}
        if self.dns == "existing" and (missing := sorted(needed - set(self.dns_zones))):
            raise ValueError(f"dns: `existing` needs `dns_zones` for {', '.join(missing)} as well")
        if self.dns != "existing" and self.dns_zones:
            raise ValueError("dns_zones: has an effect only with `dns: existing`")
        for key, resource_id in self.dns_zones.items():
            if said := limits.zone(key, resource_id):
                raise ValueError(f"dns_zones.{key}: {said}")
        return self


class Cluster(_Section):
    """One Azure ML compute cluster."""

    vm_size: VmSize
    """A VM size of Azure, such as Standard_DS3_v2; a change replaces the cluster."""
    max_nodes: int = Field(ge=1, le=100)
    """Nodes that may run at the same time."""
    min_nodes: int = Field(0, ge=0, le=100)
    """Nodes that are paid for while nothing runs; the policy wants 0."""
    priority: Literal["dedicated", "spot", "low_priority"] = "dedicated"
    """`spot`: Azure may take a node away in the middle of a job; its price moves, and is mostly lower.
    `low_priority` is the older word for it: Azure has run such nodes as Spot since March 2026."""
    idle_minutes: int = Field(10, ge=1, le=120)
    """How long an idle node is kept; the policy wants at most 30."""

    @model_validator(mode="after")
    def _ordered(self) -> Cluster:
        if self.min_nodes > self.max_nodes:
            raise ValueError("min_nodes: must not exceed max_nodes")
        return self


class Endpoint(Spec):
    """How one model of `mlops.toml` is served. A model that is not listed gets the defaults."""

    online: bool = True
    """Whether it has an endpoint that answers requests."""
    batch: bool = True
    """Whether it has an endpoint that scores files."""
    auth: Literal["entra", "key"] = "entra"
    """Of the online endpoint. Batch endpoints know Entra only."""


def _subject_prefix(value: str) -> str:
    if not re.fullmatch(r"[a-z_]+:[^\s*?]*[^\s*?:]", value) or value.partition(":")[2].startswith("//"):
        raise ValueError("must be as GitHub tells it, such as repo:OWNER/REPO, without wildcards")
    if found := re.search(r":(environment|ref|pull_request|context)\b", value):
        raise ValueError(f"must end before {found[0]!r}: the environment of a duty is added to it")
    return value


def _one_duty_each(named: dict[CiDuty, str], what: str) -> dict[CiDuty, str]:
    """A workflow that may take on two duties has the rights of both, whichever it was approved for."""
    taken: dict[str, str] = {}
    for duty, name in named.items():
        if other := taken.get(name.lower()):
            raise ValueError(f"{other} and {duty} share {name!r}; give each duty {what} of its own")
        taken[name.lower()] = duty
    return named


class GitHub(Spec):
    """Trust in workflows of one GitHub repository."""

    subject_prefix: Annotated[str, AfterValidator(_subject_prefix)] | None = None
    """Read from GitHub, never built: newer repositories have immutable subjects with numeric ids;
    `mlops bootstrap azure` writes it. Without it no workflow of GitHub is trusted, and `environments` only
    names the duties."""
    environments: dict[CiDuty, Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]] = Field(min_length=1)
    """Which GitHub environment a workflow must run in to take on a duty; each has one of its own."""

    @field_validator("environments")
    @classmethod
    def _apart(cls, value: dict[CiDuty, str]) -> dict[CiDuty, str]:
        return _one_duty_each(value, "an environment")


class AzureDevOps(Spec):
    """Trust in Azure Pipelines, one service connection a duty. Issuer and subject are shown by the
    connection."""

    issuer: Url
    """Who signs the tokens of the service connections."""
    subjects: dict[CiDuty, Annotated[str, Field(pattern=r"^\S+$")]] = Field(min_length=1)
    """Of each duty, the subject of the service connection that may take it on; each has one of its own."""

    @field_validator("subjects")
    @classmethod
    def _apart(cls, value: dict[CiDuty, str]) -> dict[CiDuty, str]:
        return _one_duty_each(value, "a service connection")


class Storage(_Section):
    """The workspace's storage account."""

    redundancy: Literal["LRS", "ZRS", "GRS", "GZRS"] = "LRS"
    """Where Azure keeps the copies: one data centre, three zones, a second region, or zones and a region."""
    deleted_days: int = Field(7, ge=1, le=365)
    """How long deleted blobs, containers and shares can be had back."""
    captured_days: int = Field(90, ge=1, le=3650)
    """How long captured inputs and predictions are kept; they may be personal data."""
    versions_days: int = Field(30, ge=1, le=3650)
    """How long overwritten versions of a blob are kept."""
    adopt_journal: bool = False
    """The container of the journal is there already (`mlops apply` makes it where no stack has): take it into
    the stack in place of making it. One update needs it; then leave it out."""


class Logs(_Section):
    """The Log Analytics workspace that all resources write to."""

    retention_days: int = Field(30, ge=30, le=730)
    """Days that a log is kept."""
    daily_quota_gb: int | None = Field(None, ge=1)
    """A hard stop: above it logs are lost for the day, alerts with them. None means no limit."""


class Alerts(_Section):
    """When somebody is told, and who."""

    emails: list[Email] = Field(min_length=1)
    """Addresses that every alert is sent to."""
    latency_ms: int = Field(500, ge=1)
    """Average of the 95th percentile over 15 minutes."""
    errors_percent: float = Field(5, gt=0, le=100)
    """Share of answers with a 5xx or 4xx code of the last 15 minutes."""
    failed_jobs: int = Field(0, ge=0)
    """Failed jobs an hour that are still fine."""


class Budget(_Section):
    """The environment's costs of a month. It warns; Azure stops nothing by itself."""

    amount: int = Field(ge=1)
    """A month, in the currency of the bill."""
    start: Annotated[date, AfterValidator(_month)] | None = None
    """The first day of a month to come, at most a year ahead. Left out, or once it has passed, a new budget
    counts from the month in which it is made; one that exists keeps its own."""
    contacts: list[Email] = Field(min_length=1, max_length=50)
    """Addresses that are warned."""
    thresholds: list[Annotated[int, Field(ge=1, le=1000)]] = Field([50, 80, 100], min_length=1, max_length=4)
    """Percent of the amount actually spent."""
    forecast: Annotated[int, Field(ge=1, le=1000)] = 110
    """Percent of the amount that the month is expected to cost."""

    @field_validator("thresholds")
    @classmethod
    def _each_once(cls, value: list[int]) -> list[int]:
        return _once(value)


class EventSubscription(Spec):
    """Events of the workspace that go to a storage queue of this name."""

    types: list[Literal["RunCompleted", "RunStatusChanged", "ModelRegistered", "ModelDeployed"]] = Field(
        min_length=1
    )
    """Which of Azure ML's events, without `Microsoft.MachineLearningServices.` before them."""

    @field_validator("types")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        return _once(value)


class Aks(_Section):
    """A Kubernetes cluster with the Azure ML extension, attached to the workspace under `compute`."""

    compute: ComputeName = "k8s"
    """What the workspace calls it; no name of `clusters`."""
    vm_size: NodeSize = "Standard_D4ds_v5"
    """Of all nodes; its local disk holds the operating system, 128 GB."""
    min_nodes: int = Field(1, ge=1, le=100)
    """Nodes for jobs and endpoints that always run, beside one to three for Kubernetes itself."""
    max_nodes: int = Field(3, ge=1, le=100)
    """Nodes for jobs and endpoints that may run at the same time."""
    kubernetes_version: str | None = Field(None, pattern=r"^1\.\d{1,2}$")
    """Minor version such as 1.36, in quotes: Azure installs patches by itself and does not go back to an
    older one. It supports a version for a year. None leaves the choice to Azure and never goes stale."""
    namespace: str = Field("azureml", pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
    """Kubernetes namespace that jobs and endpoints run in."""
    inference_secret: str | None = Field(None, pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    """Kubernetes secret in namespace azureml with the router's certificate. Without it: training only."""

    @model_validator(mode="after")
    def _ordered(self) -> Aks:
        if self.min_nodes > self.max_nodes:
            raise ValueError("min_nodes: must not exceed max_nodes")
        return self


class UnityCatalog(_Section):
    """The environment's catalog, with the schema and the volume that `[databricks]` of mlops.toml names, and
    who may use them. Databricks makes it, so whoever applies must reach the workspace: from inside the
    network where it has private endpoints only."""

    readers: list[Guid] = []
    """Client ids of who applies in other environments (`client_ids.promote` of their stacks) and takes
    versions from here. Only in the stack that trains (`databricks.train` of mlops.toml)."""
    metastore: Guid | None = None
    """The metastore that is assigned to the workspace; needs `account`. Left out: the one of the region,
    which Databricks assigns itself."""
    account: Guid | None = None
    """The Databricks account. With it workflows log in to Databricks by their own token, and whoever applies
    must be an account admin. Left out: workflows log in to Azure first."""
    warehouse: Literal["2X-Small", "X-Small", "Small", "Medium"] | None = None
    """Size of a serverless SQL warehouse that reads captured traffic and stops by itself; left out: none."""
    dfs_zone: ResourceId | None = None
    """The zone privatelink.dfs.core.windows.net, with `dns: existing` only."""

    @model_validator(mode="after")
    def _accounted(self) -> Self:
        if self.metastore and not self.account:
            raise ValueError("metastore: only an account admin assigns one; name the `account` too")
        return self


class Databricks(_Section):
    """A Databricks workspace that reads the data container by its own access connector."""

    tier: Literal["premium"] = "premium"
    """Only this tier has role-based access."""
    unity_catalog: UnityCatalog | None = None
    """Left out: somebody makes catalog, schema, volume and grants by hand."""


class DataFactory(_Section):
    """A pipeline that copies a file into the data container every day and starts the model's ingestion."""

    source: Url
    """The file to copy, without credentials in it; its name is one that the use case knows."""
    model: ModelName
    """Whose `pipelines/<model>/ingest.yml` takes the delivery."""
    cluster: ComputeName = "cpu-cluster"
    """One of `clusters`."""
    target: str = Field("ingested", pattern=r"^[a-z0-9][a-z0-9/_-]*$")
    """Folder in the data container."""
    hour: int = Field(3, ge=0, le=23)
    """UTC."""
    start: date
    """The first day of a copy."""

    @model_validator(mode="after")
    def _open_source(self) -> DataFactory:
        # Here, because the sentence about a field would hold its value.
        if said := limits.secret_in(self.source):
            raise ValueError(f"source: {said}")
        return self


def _tenths(value: float) -> float:
    if round(value, 1) != value:
        raise ValueError("must have one decimal at most, such as 1.5: Azure counts memory in tenths")
    return value


def _own_image(value: str) -> str:
    host, slash, rest = value.partition("/")
    if slash and "." in host:
        raise ValueError(f"must be without a registry, which is this environment's own: {rest}")
    return value


class ContainerInstance(_Section):
    """One container that serves a model without an endpoint, for development."""

    image: Annotated[str, AfterValidator(_own_image)] = Field(
        pattern=r"^[a-z0-9][a-z0-9._/-]*@sha256:[0-9a-f]{64}$"
    )
    """Repository and digest in this environment's container registry; a tag can be moved."""
    cpu: float = Field(1, ge=0.5, le=4)
    """Cores."""
    memory_gb: Annotated[float, AfterValidator(_tenths)] = Field(2, ge=0.5, le=16)
    """Gigabytes of memory, in tenths."""
    port: int = Field(5001, ge=1024, le=65535)
    """TCP port that the container listens at and is reached by."""


class Options(Spec):
    """Off unless named; `{}` switches one on with its defaults."""

    aks: Aks | None = None
    databricks: Databricks | None = None
    data_factory: DataFactory | None = None
    container_instance: ContainerInstance | None = None


class _Stack(Spec):
    location: Region
    """A public region of Azure, such as swedencentral."""
    salt: str = Field("", pattern=r"^([a-z][a-z0-9]{0,11})?$")
    """Changes the names that are unique in all of Azure; see docs/infrastructure.md, destroy and purge."""
    protect: bool = True
    """Whether Pulumi refuses to delete what holds data or history."""
    tags: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], str] = {}
    """Added to every resource, beside project, environment and managed-by."""

    @model_validator(mode="after")
    def _tagged(self) -> Self:
        for name, value in self.tags.items():
            if said := limits.tag(name, value):
                raise ValueError(f"tags.{name}: {said}")
        network = getattr(self, "network", None)
        zones = network is not None and network.private_endpoints and network.dns == "create"
        if said := limits.tags(len(self.tags), with_zones=zones):
            raise ValueError(f"tags: {said}")
        return self


class SharedStack(_Stack):
    """Stack `shared`: the Azure ML registry that all environments read."""

    kind: Literal["shared"]
    """Which of the two kinds of stack file this is."""
    replicas: list[Region] = []
    """Further regions that the registry's assets are copied to."""


class EnvironmentStack(_Stack):
    """Stacks `dev`, `staging`, `prod`: everything that one environment has."""

    kind: Literal["environment"]
    """Which of the two kinds of stack file this is."""
    shared_stack: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    """`<organization>/<project>/<stack>` of the registry; a self-managed backend calls its organization
    so."""
    training_stack: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    """The stack whose workspace trains (`azure.train` of mlops.toml), named the same way. With it `train` may
    read there what releases are compared with, and train anew. Left out in that stack itself."""
    ttl: Ttl | None = None
    """The destroy workflow removes the environment this long after its last update. Only without
    `protect`."""
    network: Network
    clusters: dict[ComputeName, Cluster] = Field(min_length=1)
    image_builds: ComputeName | None = None
    """The cluster that builds images behind a private registry, which Azure cannot reach itself. Left out:
    the first of `clusters` without a GPU."""
    endpoints: dict[ModelName, Endpoint] = {}
    github: GitHub | None = None
    azure_devops: AzureDevOps | None = None
    storage: Storage = Storage()
    logs: Logs = Logs()
    alerts: Alerts
    budget: Budget
    events: dict[Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")], EventSubscription] = {}
    """Event subscriptions, each with a queue of its own name."""
    customer_managed_keys: bool = False
    """Encrypt storage, container registry and workspace with a key in the environment's own vault. It can
    never be taken away from a workspace again."""
    options: Options = Options()
    own: dict[str, Any] = {}
    """Settings of the repository's own resources; `Environment.own` of `infra/` reads them."""

    @property
    def trains_in(self) -> str:
        """The last part of `training_stack`; empty without one."""
        return (self.training_stack or "").rpartition("/")[2]

    @property
    def unity_catalog(self) -> UnityCatalog | None:
        return self.options.databricks.unity_catalog if self.options.databricks else None

    @property
    def builder(self) -> str | None:
        """The cluster that builds images; None where Azure does it itself."""
        if not self.network.private_endpoints:
            return self.image_builds
        plain = [name for name, cluster in sorted(self.clusters.items()) if not has_gpu(cluster.vm_size)]
        return self.image_builds or next(iter(plain), None)

    @model_validator(mode="after")
    def _consistent(self) -> EnvironmentStack:
        if again := limits.twice(name.lower() for name in self.clusters):
            raise ValueError(f"clusters: two are called {again!r}: Azure takes no heed of their case")
        if self.image_builds and self.image_builds not in self.clusters:
            raise ValueError(
                f"image_builds: must be one of {', '.join(sorted(self.clusters))}; got {self.image_builds!r}"
            )
        if self.network.private_endpoints and self.builder is None:
            raise ValueError(
                "clusters: with private endpoints one without a GPU must build images; add one, or name "
                "it in "
                "`image_builds`"
            )
        if said := limits.redundancy(self.location, self.storage.redundancy):
            raise ValueError(f"storage.redundancy: {said}")
        if self.ttl and self.protect:
            raise ValueError(
                "ttl: needs `protect: false`; a protected environment is never destroyed by a clock"
            )
        network = self.network
        if self.options.databricks and network.dns == "existing" and "databricks" not in network.dns_zones:
            raise ValueError(
                "network.dns_zones: options.databricks needs dns_zones.databricks with `dns: existing`"
            )
        inside = self.options.aks and network.private_endpoints
        if inside and (said := limits.beside_kubernetes(network.address_space)):
            raise ValueError(f"network.address_space: {said}")
        if self.options.aks and self.options.aks.compute.lower() in {name.lower() for name in self.clusters}:
            raise ValueError(
                f"options.aks.compute: {self.options.aks.compute!r} is the name of a cluster already"
            )
        factory = self.options.data_factory
        if factory and factory.cluster not in self.clusters:
            raise ValueError(
                f"options.data_factory.cluster: must be one of {', '.join(sorted(self.clusters))}; "
                f"got {factory.cluster!r}"
            )
        return self
