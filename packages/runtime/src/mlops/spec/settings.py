"""`mlops.toml`: the fork's settings, the only file that names its models, registry and forge."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.spec._base import ModelName, Spec
from mlops.spec._yaml import problems_of, refuse_conflict
from mlops.spec.capture import CaptureSettings
from mlops.spec.forges import Kind
from mlops.spec.lint import LintSettings
from mlops.spec.online import OnlineSettings
from mlops.spec.signing import SigningSettings
from mlops.spec.sinks import EventSettings

FILE = "mlops.toml"
TargetName = Literal["local", "azure", "databricks"]
_TABLE = re.compile(r"^\s*\[+([^\[\]]+)\]+")
_KEY = re.compile(r"^\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_UNITY = r"^[A-Za-z0-9_]{1,255}$"
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


class Project(Spec):
    """What this repository is called."""

    name: ModelName
    """Prefix of names in Azure and of the MLflow experiments."""


class ModelSettings(Spec):
    usecase: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")
    """Importable package that holds an object called `usecase`."""
    capture: CaptureSettings = CaptureSettings()
    """What its endpoints keep of requests and answers, for monitoring."""
    online: OnlineSettings = OnlineSettings()
    """How its online deployments run on Azure ML."""


class ForgeSettings(Spec):
    """Where the repository is."""

    kind: Kind = "local"
    """Where pull requests are opened."""
    repository: str = ""
    """`owner/name` on GitHub, `organization/project/name` on Azure DevOps; empty for local."""


class LocalSettings(Spec):
    """The target `local`."""

    state: str = ".mlops"
    """Folder of the local target, relative to the repository."""
    tracking_uri: str = ""
    """An MLflow server, or `$NAME` for the address in that variable; empty: SQLite and files in `state`."""

    def server(self) -> str:
        """The MLflow server's address; empty when there is none. Raises `InvalidInput` for an unset variable.

        MLFLOW_TRACKING_URI alone decides nothing: set for another project, it would send models there.
        """
        if not self.tracking_uri.startswith("$"):
            return self.tracking_uri
        name = self.tracking_uri[1:].strip("{}")
        if address := os.environ.get(name):
            return address
        message = (
            f"is {self.tracking_uri}, and the variable {name} is not set; set it to the server's address"
        )
        raise InvalidInput(Problem(FILE, message, "local.tracking_uri"))


class AzurePlace(Spec):
    """Resources of one stack that `infra/` did not make. What is empty has the name that `infra/` gives."""

    subscription_id: str = ""
    """Empty: that of all stacks."""
    resource_group: str = ""
    """Empty: as `infra/` names it."""
    workspace: str = ""
    """Empty: as `infra/` names it."""


class AzureSettings(Spec):
    """Nothing has to be set: names follow from the project's name and `environments/Pulumi.<stack>.yaml`."""

    train: ModelName = "dev"
    """The stack whose workspace trains and numbers the versions."""
    subscription_id: str = ""
    """Empty: AZURE_SUBSCRIPTION_ID, or the subscription that `az login` chose."""
    resource_group: str = ""
    """Of every stack that names none of its own."""
    workspace: str = ""
    """Of every stack that names none of its own."""
    registry: str = ""
    """The Azure ML registry that all environments read; `none` when there is only one workspace."""
    stacks: dict[ModelName, AzurePlace] = {}
    """By stack."""


class DatabricksPlace(Spec):
    """Where one environment lies. What is empty is that of all environments."""

    host: str = ""
    """Address of the workspace that serves it."""
    catalog: str = ""
    """Of Unity Catalog; empty: the environment's name."""
    principal: str = ""
    """Who applies to it, or trains there: a service principal's application id or a group, to which the Asset
    Bundle grants what it needs; empty: grants are made by hand."""


_Destinations = list[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]]


class DatabricksNotify(Spec):
    """Whom Databricks itself tells how a job ended: ids of the workspace's notification destinations."""

    failure: _Destinations = Field(default=[], max_length=3)
    """Told when a job failed. One that was cancelled tells nobody."""
    success: _Destinations = Field(default=[], max_length=3)
    """Told when a job ended well."""


class DatabricksSettings(Spec):
    """The target `databricks`: a workspace, and a catalog for each environment."""

    host: str = ""
    """Address of the workspace that trains, https://adb-….azuredatabricks.net; empty: DATABRICKS_HOST."""
    train: ModelName = "dev"
    """The environment whose catalog numbers the versions."""
    schema_name: str = Field(default="ml", pattern=_UNITY)
    """Schema of every catalog: a model is <catalog>.<schema_name>.<model>."""
    volume: str = Field(default="mlops", pattern=_UNITY)
    """Volume of that schema with journal, lock, data assets and files of runs."""
    experiments: str = Field(default="/Shared", pattern=r"^/[^/].*[^/]$")
    """Folder of the workspace in which MLflow's experiments lie."""
    node_type: str = ""
    """Of the cluster that a job starts, such as Standard_D4ds_v5; empty: serverless."""
    runtime: str = "16.4.x-cpu-ml-scala2.12"
    """Databricks Runtime of such a cluster."""
    environment_version: str = Field(default="4", pattern=r"^[0-9]+$")
    """Of serverless compute: it decides which Python there is."""
    workload_size: Literal["Small", "Medium", "Large"] = "Small"
    """Of a served entity."""
    warehouse: str = ""
    """Id of the SQL warehouse that reads captured traffic; empty: it is not read."""
    scale_to_zero: bool = False
    """Whether a served entity without requests gives up its machines; the next request waits for one."""
    notify: DatabricksNotify = DatabricksNotify()
    environments: dict[ModelName, DatabricksPlace] = {}
    """By environment."""

    def catalog(self, environment: str) -> str:
        """Of Unity Catalog, where this environment's versions are."""
        return self.environments.get(environment, DatabricksPlace()).catalog or environment


class Accepted(Spec):
    """Something that is known against a locked package and that does no harm here, for a while."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]+$")
    """Of the advisory, or one of its aliases: CVE-…, GHSA-…, PYSEC-…"""
    reason: str = Field(min_length=1)
    """Why it does no harm here."""
    until: date
    """The last day on which that counts."""


class AuditSettings(Spec):
    """By what `mlops audit` judges, and what it lets pass."""

    database: str = ""
    """A dump of OSV's advisories, below the repository, for a place without a network; empty: ask OSV."""
    accepted: list[Accepted] = []
    """Each with its reason and its end."""


class Settings(Spec):
    """All of `mlops.toml`."""

    project: Project
    target: TargetName = "local"
    """Where verbs work, unless `--target` or MLOPS_TARGET says otherwise."""
    train_target: TargetName | None = None
    """Where pipelines run and versions are registered, if elsewhere than what serves."""
    models: dict[ModelName, ModelSettings] = Field(min_length=1)
    """By name; each has its folders under pipelines/, releases/ and environments/."""
    forge: ForgeSettings = ForgeSettings()
    local: LocalSettings = LocalSettings()
    azure: AzureSettings = AzureSettings()
    databricks: DatabricksSettings = DatabricksSettings()
    events: EventSettings = EventSettings()
    lint: LintSettings = LintSettings()
    audit: AuditSettings = AuditSettings()
    signing: SigningSettings = SigningSettings()
    """Whose signature a model must carry to be loaded."""

    def model(self, name: str | None) -> tuple[str, ModelSettings]:
        """The model called `name`, or the only one; raises `InvalidInput` otherwise."""
        if name is None:
            if len(self.models) > 1:
                raise InvalidInput(self.which())
            return next(iter(self.models.items()))
        if name not in self.models:
            known = ", ".join(sorted(self.models))
            raise InvalidInput(Problem(FILE, f"there is no model {name!r}; known: {known}", f"models.{name}"))
        return name, self.models[name]

    def which(self) -> str:
        """What to add to a command that is about one model."""
        options = ", ".join(f"--model {name}" for name in sorted(self.models))
        return f"this repository has several models; say which one: {options}"


def load_settings(root: Path) -> Settings:
    """Read `<root>/mlops.toml`; raises `InvalidInput` with the field and what is allowed."""
    path = root / FILE
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors on Windows begin a file with a mark
        refuse_conflict(text, FILE)
        raw = tomllib.loads(text)
    except FileNotFoundError:
        raise InvalidInput(
            Problem(str(path), "does not exist; run mlops inside a repository made from the template")
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(Problem(FILE, f"not valid TOML: {error}")) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(Problem(FILE, f"not UTF-8 text (byte {error.start}); save it as UTF-8")) from None
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(error, Settings, FILE)
        raise InvalidInput([replace(p, where=f"{FILE}:{line_of(text, p.field)}") for p in problems]) from None


def line_of(text: str, field: str) -> int:
    """Where a field of a TOML file stands, or the deepest table around it; 1 when nothing of it is there."""
    best, line = 0, 1
    table: list[str] = []
    wanted = field.split(".")
    for number, row in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(row):
            table = _keys(match[1])
            here = table
        elif match := _KEY.match(row):
            here = [*table, *_keys(match[1])]
        else:
            continue
        # Entries of a list have numbers in the field, and none in the file.
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(here, wanted, strict=False)))
        if shared > best and shared == min(len(here), len(wanted)):
            best, line = shared, number
    return line


def _keys(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in _PART.findall(text)]
