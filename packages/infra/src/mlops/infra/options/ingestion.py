"""The Azure ML job that Data Factory starts: `pipelines/<model>/ingest.yml` as the REST API takes it.

The file that `az ml job create --file` submits is read here, so that both run the same component with the
same inputs. What changes with every delivery is an expression that Data Factory fills in. Data Factory's own
activity for Azure ML only knows pipelines of Azure ML v1, and the endpoint of a batch deployment is closed
to it where the workspace is private; Resource Manager's API of jobs is neither.
(learn.microsoft.com: "Run batch endpoints from Azure Data Factory", "Jobs - Create Or Update")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document

API = "2025-12-01"
"""Of Microsoft.MachineLearningServices, as the rest of the program has it."""
RUN = "@{pipeline().RunId}"
WINDOW = "@{pipeline().parameters.window}"
LATEST = "@{activity('newest').output.properties.latestVersion}"
NEXT = "@{activity('newest').output.properties.nextVersion}"
NODE = "ingest"
_NEEDED = ("source", "base", "usecase", "window", "name", "asset_version", "max_rejected")


@dataclass(frozen=True)
class Ingestion:
    """What the pipeline file and the component's file say."""

    model: str
    asset: str
    usecase: str
    max_rejected: str
    component: str
    """Name and version, as a path below the workspace: `ingest/versions/1`."""

    @property
    def output(self) -> str:
        """Where the version is written; nobody else writes there, and the run's id is never used twice."""
        return f"azureml://datastores/data/paths/{self.asset}/{RUN}/"

    @property
    def quarantine(self) -> str:
        return f"azureml://datastores/data/paths/quarantine/{self.asset}/{RUN}/"

    def job(self, workspace_id: str, cluster: str, delivery: str) -> dict[str, Any]:
        """The body of `PUT <workspace>/jobs/<name>`; `delivery` is the folder of the container `data`."""

        def folder(uri: str) -> dict[str, str]:
            return {"jobInputType": "uri_folder", "uri": uri}

        def literal(value: str) -> dict[str, str]:
            return {"jobInputType": "literal", "value": value}

        outputs = {"output": self.output, "quarantine": self.quarantine}
        return {
            "properties": {
                "jobType": "Pipeline",
                "displayName": f"{self.model} ingestion of {WINDOW}",
                "experimentName": self.model,
                "tags": {"started_by": "data factory", "window": WINDOW},
                "inputs": {
                    "source": folder(f"azureml://datastores/data/paths/{delivery}/"),
                    "base": folder(f"{workspace_id}/data/{self.asset}/versions/{LATEST}"),
                    "usecase": literal(self.usecase),
                    "window": literal(WINDOW),
                    "name": literal(self.asset),
                    "asset_version": literal(NEXT),
                    "max_rejected": literal(self.max_rejected),
                },
                "outputs": {
                    name: {"jobOutputType": "uri_folder", "uri": uri} for name, uri in outputs.items()
                },
                # The cluster's, as of every job here, and not the factory's.
                "identity": {"identityType": "Managed"},
                "settings": {"default_compute": f"{workspace_id}/computes/{cluster}"},
                "jobs": {
                    NODE: {
                        "name": NODE,
                        "type": "command",
                        "componentId": f"{workspace_id}/components/{self.component}",
                        "inputs": {
                            name: {"job_input_type": "literal", "value": f"${{{{parent.inputs.{name}}}}}"}
                            for name in _NEEDED
                        },
                        "outputs": {
                            name: {"type": "literal", "value": f"${{{{parent.outputs.{name}}}}}"}
                            for name in outputs
                        },
                    }
                },
            }
        }

    def version(self) -> dict[str, Any]:
        """The body of `PUT <workspace>/data/<asset>/versions/<next>`: what a finished job wrote."""
        return {
            "properties": {
                "dataType": "uri_folder",
                "dataUri": self.output,
                "description": f"{self.asset} with {WINDOW}",
                "tags": {"window": WINDOW, "job": f"ingest-{RUN}"},
            }
        }


def read_ingestion(root: Path, model: str, stack: str) -> Ingestion:
    """What `stack` starts. Raises `InvalidInput` when `pipelines/<model>/ingest.yml` or its component cannot
    be started."""
    path = f"pipelines/{model}/ingest.yml"
    if not (root / path).is_file():
        sentence = f"there is no {path}; name a model that takes deliveries, got {model!r}"
        raise InvalidInput(
            Problem(f"environments/Pulumi.{stack}.yaml", sentence, "options.data_factory.model")
        )
    document = Document.read(root / path, path)
    inputs, node = _section(document, "inputs"), _section(document, "jobs", NODE)
    outputs = _section(document, "outputs")
    if set(inputs) != set(_NEEDED) or set(outputs) != {"output", "quarantine"}:
        raise InvalidInput(
            document.problem(
                ("inputs",),
                f"Data Factory fills in {', '.join(_NEEDED)} and the outputs output and quarantine; "
                "change infra/options/ingestion.py together with this file",
            )
        )
    component = node.get("component")
    if not isinstance(component, str) or not (root / f"pipelines/{model}" / component).is_file():
        raise InvalidInput(document.problem(("jobs", NODE, "component"), "must be a file beside this one"))
    described = Document.read(root / f"pipelines/{model}" / component, f"pipelines/{model}/{component}")
    return Ingestion(
        model=model,
        asset=str(inputs["name"]),
        usecase=str(inputs["usecase"]),
        max_rejected=str(inputs["max_rejected"]),
        component=f"{described.value['name']}/versions/{described.value['version']}",
    )


def _section(document: Document, *path: str) -> Mapping[str, Any]:
    section: Any = document.value
    for key in path:
        section = section.get(key) if isinstance(section, Mapping) else None
    if not isinstance(section, Mapping):
        raise InvalidInput(document.problem(path, "required, as a mapping"))
    return section
