"""Models with a signature, as Unity Catalog asks for one, and endpoints of the emulator that serve them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from textwrap import dedent

from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.settings import Settings
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.endpoints import DatabricksEndpoints
from mlops.targets.databricks.registry import DatabricksRegistry
from tests.contracts.endpoints import MODEL
from tests.databricks.emulator import Emulator

_SIGNATURE = """\
signature:
  inputs: '[{"type": "string", "name": "carrier", "required": true}, {"type": "double", "name": "distance", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
"""  # noqa: E501
_POLICY = """\
order: [staging, prod]
environments:
  staging: {}
  prod: {}
"""


def write_artifacts(root: Path) -> dict[str, Path]:
    """Models that answer, answer almost the same, answer otherwise, fail, and do not load."""
    testing.write_pyfunc(root / "one")
    testing.write_pyfunc(root / "alike", bias=0.001)
    testing.write_pyfunc(root / "two", bias=2.0)
    testing.write_pyfunc(root / "failing", "failing")
    testing.write_pyfunc(root / "dead", bias=9.0)
    for folder in root.iterdir():
        with (folder / "MLmodel").open("a") as stream:
            stream.write(_SIGNATURE)
    for code in (root / "dead" / "code").glob("*.py"):
        code.write_text("raise ImportError('no module named weights')\n")
    return {p.name: p for p in root.iterdir()}


def repository(root: Path) -> Settings:
    """A repository with a policy and one model, whose use case says that it is binary."""
    (root / "environments").mkdir(parents=True, exist_ok=True)
    (root / "environments" / "policy.yaml").write_text(_POLICY)
    write_usecase(root)
    return Settings.model_validate(
        {"project": {"name": "flights-mlops"}, "models": {MODEL: {"usecase": "freight_usecase"}}}
    )


def write_usecase(root: Path) -> None:
    """`freight_usecase`, which says that the model is binary."""
    package = root / "src" / "freight_usecase"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(
        dedent("""\
            class Freight:
                name, task, target, time, slices = "freight", "binary", "y", "t", ()

                def load(self, folder): ...
                def features(self, raw, window): ...
                def contract(self): ...
                def build(self, params): ...
                def evaluate(self, truth, prediction): ...


            usecase = Freight()
            """)
    )
    sys.modules.pop("freight_usecase", None)


@dataclasses.dataclass
class DatabricksBench:
    """`Bench` of the contract; `again` opens the endpoints as another process would."""

    workspace: Emulator
    artifacts: dict[str, Path]
    root: Path

    def __post_init__(self) -> None:
        self.settings = repository(self.root)
        self.connection = Connection(self.root, self.settings)
        self.registry = DatabricksRegistry(self.connection)
        self.endpoints = DatabricksEndpoints(self.connection)

    def again(self) -> DatabricksEndpoints:
        return DatabricksEndpoints(Connection(self.root, self.settings))

    def publish(self, version: int, artifact: Path) -> None:
        """Register until the catalog that trains has this number; versions that differ in nothing are one."""
        unity = self.workspace.unity
        name = self.connection.place().model(MODEL)
        if name in unity.models and version in unity.models[name].versions:
            return
        if name in unity.models:
            unity.models[name].last = version - 1
        elif version > 1:
            from tests.databricks.emulator.unity import Model

            unity.models[name] = Model(name, 0, last=version - 1)
        self.registry.register(MODEL, artifact, tree_digest(artifact), {"mlops.commit": "c" * 40})
