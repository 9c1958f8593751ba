"""An output of a job, brought to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import NotFound
from mlops.targets.azure.connect import silent

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


def download(client: MLClient, job: str, output: str, folder: Path) -> Path:
    """Where the output of the job is below `folder` now. Raises what azure-ai-ml raises, and `NotFound`."""
    place = folder / "named-outputs" / output
    with silent():
        try:
            client.jobs.download(job, download_path=folder, output_name=output)
        except (AttributeError, TypeError):
            # azure-ai-ml 1.35.2 asks for the place of a model by a field that its own request lacks.
            _download_model(client, job, output, place)
    return place if place.exists() else folder


def _download_model(client: MLClient, job: str, output: str, to: Path) -> None:
    from azure.ai.ml._artifacts._artifact_utilities import download_artifact_from_aml_uri

    jobs = client.jobs
    outputs = jobs._runs_operations.get_run_data(job).run_metadata.outputs or {}
    if output not in outputs:
        raise NotFound(f"the job {job} has no output {output!r}; it has: {', '.join(outputs) or 'none'}")
    asset = outputs[output].asset_id
    models = jobs._model_dataplane_operations._operation.batch_get_resolved_uris(
        client.subscription_id, client.resource_group_name, client.workspace_name, body={"values": [asset]}
    )
    places = models.values_property or {}
    if asset not in places:
        raise NotFound(f"the workspace does not say where the output {output!r} of the job {job} is")
    download_artifact_from_aml_uri(
        uri=str(places[asset].path), destination=str(to), datastore_operation=jobs._datastore_operations
    )
