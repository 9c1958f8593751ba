"""What Azure ML is told about a deployment: entities from settings, pure but for the clients' classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.serving.capture.collector import INPUTS, OUTPUTS
from mlops.serving.http.container import LIVENESS, PORT, READINESS, SCORING
from mlops.serving.score.signing import variables
from mlops.spec._yaml import Document
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import data_digest, file_digest
from mlops.spec.engine import STEPS, export
from mlops.spec.online import OnlineSettings
from mlops.spec.release import Release
from mlops.spec.signing import Signed, SigningSettings
from mlops.targets._remote_endpoints import shown_shares, split_problem
from mlops.targets.base import Deployment, EndpointState

RELEASE, DIGEST, SETTINGS = "mlops.release", "mlops.digest", "mlops.settings"
"""Tags of a deployment: what it serves, and a fingerprint of what it was made by."""
CAPTURED = "captured"
"""The datastore that `infra/` makes for what is captured, with a life cycle and a role of its own."""
DEFAULT_STORE = "workspaceblobstore"
MIRROR_LIMIT = 50
SCRIPT = "score.py"
CONTAINER = "container/environment.yml"
_PROBE_SECONDS = 10
_FINGERPRINT = 23
"""Characters of a digest that tell two settings apart: sha256: and 16 more."""
_DIGEST_TAG = re.compile(r"[^a-z0-9]+")


def deployment_of(
    root: Path,
    release: Release,
    *,
    endpoint: str,
    name: str,
    environment: str,
    model: str,
    online: OnlineSettings,
    capture: CaptureSettings,
    signed: Signed | None = None,
    store: str = DEFAULT_STORE,
    settings: str = "",
) -> Any:
    """The deployment of a release; `model` is what Azure mounts, `store` takes what is captured.

    `settings` is their fingerprint (`fingerprint`). Raises `InvalidInput` and `IntegrityError`.
    """
    from azure.ai.ml.entities import (
        KubernetesOnlineDeployment,
        ManagedOnlineDeployment,
        OnlineRequestSettings,
        ProbeSettings,
        ResourceRequirementsSettings,
        ResourceSettings,
    )

    probe = ProbeSettings(
        initial_delay=_PROBE_SECONDS,
        period=_PROBE_SECONDS,
        timeout=2,
        success_threshold=1,
        failure_threshold=max(1, min(online.start_seconds // _PROBE_SECONDS, 360)),
    )
    told = {
        "MLOPS_MODEL": release.model,
        "MLOPS_MODEL_DIGEST": release.digest,
        "MLOPS_MODEL_VERSION": str(release.version),
        "MLOPS_ENVIRONMENT": environment,
        "MLOPS_DEPLOYMENT": name,
        # More threads inside one model call only fight over the cores.
        "OMP_NUM_THREADS": "1",
        "MLOPS_CAPTURE": capture.model_dump_json(),
        **(variables(signed) if signed is not None else {}),
    }
    common: dict[str, Any] = {
        "name": name,
        "endpoint_name": endpoint,
        "model": model,
        "environment_variables": told,
        "instance_count": online.instances,
        "request_settings": OnlineRequestSettings(
            request_timeout_ms=round(online.request_seconds * 1000),
            max_concurrent_requests_per_instance=online.concurrent_requests,
        ),
        "liveness_probe": probe,
        "readiness_probe": probe,
        "tags": {
            RELEASE: str(release.version),
            DIGEST: release.digest,
            "mlops.model": release.model,
            SETTINGS: settings,
        },
        "data_collector": _collector(capture, store, endpoint, name),
        **_server(root, release.model, online),
    }
    if online.kubernetes is None:
        return ManagedOnlineDeployment(**common, instance_type=online.instance_type)
    cluster = online.kubernetes
    size = ResourceSettings(cpu=cluster.cpu, memory=cluster.memory)
    return KubernetesOnlineDeployment(
        **common,
        instance_type=cluster.instance_type,
        resources=ResourceRequirementsSettings(requests=size, limits=size),
    )


def _server(root: Path, model: str, online: OnlineSettings) -> dict[str, Any]:
    """Our container, or `score.py` in Azure's own server."""
    from azure.ai.ml import load_environment
    from azure.ai.ml.entities import CodeConfiguration, Environment

    if online.image:
        routes = {
            name: {"port": PORT, "path": path}
            for name, path in (
                ("liveness_route", LIVENESS),
                ("readiness_route", READINESS),
                ("scoring_route", SCORING),
            )
        }
        # An environment never changes once it is there, so its version names the image.
        version = _DIGEST_TAG.sub("-", online.image.lower()).strip("-")[-60:].strip("-")
        return {
            "environment": Environment(
                name=f"{model}-container", version=version, image=online.image, inference_config=routes
            )
        }
    name = _environment(model, online)
    if not (root / name).is_file():
        raise InvalidInput(
            Problem(
                name,
                "does not exist; it is the environment of the online deployments. Or name the image of a "
                "container in mlops.toml",
                f"models.{model}.online",
            )
        )
    # The image copies from the engine's folder, and Azure's own server loads the script there.
    engine = export(root)
    server: dict[str, Any] = {"environment": load_environment(root / name)}
    if not online.container:
        server["code_configuration"] = CodeConfiguration(code=str(engine / STEPS), scoring_script=SCRIPT)
    return server


def fingerprint(
    root: Path, model: str, online: OnlineSettings, capture: CaptureSettings, signing: SigningSettings
) -> str:
    """Of everything but the release that makes a deployment what it is; raises `InvalidInput`.

    An environment counts by its name and version: Azure ML never changes one that is registered.
    """
    facts: list[Any] = [part.model_dump(mode="json") for part in (online, capture, signing)]
    if signing.required and signing.public_key and (root / signing.public_key).is_file():
        facts.append(file_digest(root / signing.public_key))
    if not online.image and (root / _environment(model, online)).is_file():
        name = _environment(model, online)
        declared = Document.read(root / name, name).value
        facts.append([str(declared.get(key, "")) for key in ("name", "version")])
    return data_digest(facts)[:_FINGERPRINT]


def _environment(model: str, online: OnlineSettings) -> str:
    return CONTAINER if online.container else f"pipelines/{model}/environment/serving.yml"


def _collector(capture: CaptureSettings, store: str, endpoint: str, deployment: str) -> Any:
    """Azure ML's data collector. It takes all that it is handed: `capture` samples whole requests before."""
    if not capture.enabled:
        return None
    from azure.ai.ml.entities import DataAsset, DataCollector, DeploymentCollection

    collections = {
        name: DeploymentCollection(
            enabled="true",
            data=DataAsset(
                name=f"{endpoint}-{deployment}-{name}",
                path=f"azureml://datastores/{store}/paths/modelDataCollector/{endpoint}/{deployment}/{name}",
            ),
        )
        for name in (INPUTS, OUTPUTS)
    }
    return DataCollector(collections=collections, sampling_rate=1.0, rolling_rate="Hour")


def traffic_problem(
    state: EndpointState, traffic: Mapping[str, int], mirror: Mapping[str, int], kubernetes: bool
) -> str:
    """Why Azure ML would refuse this split; empty when it would not."""
    mirrored = {name: share for name, share in mirror.items() if share}
    if mirrored and kubernetes:
        return "a Kubernetes endpoint mirrors nothing"
    if len(mirrored) > 1 or any(share > MIRROR_LIMIT for share in mirrored.values()):
        return f"one deployment may mirror at most {MIRROR_LIMIT} % ({shown_shares(traffic, mirror)})"
    if both := [name for name in mirrored if traffic.get(name, 0)]:
        return f"{both[0]} cannot both serve and mirror"
    return split_problem(state, traffic, mirror)


def public(deployment: Any, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> Deployment:
    """A deployment of Azure as the lifecycle sees it."""
    tags = dict(deployment.tags or {})
    release = str(tags.get(RELEASE, ""))
    told = deployment.provisioning_state
    state = str(getattr(told, "value", told) or "")  # an enumeration of the client
    ready = state.lower() == "succeeded"
    coming = state.lower() in ("creating", "updating", "scaling")
    context = getattr(deployment, "_creation_context", None)
    created = getattr(context, "created_at", None)
    return Deployment(
        name=deployment.name,
        release=int(release) if release.isdecimal() else 0,
        digest=str(tags.get(DIGEST, "")),
        traffic=int(traffic.get(deployment.name, 0)),
        mirror=int(mirror.get(deployment.name, 0)),
        state="ready" if ready else "creating" if coming else "failed",
        detail="" if ready else f"Azure ML says: {state}",
        created=created,
        settings=str(tags.get(SETTINGS, "")),
    )


def autoscale_of(online: OnlineSettings, deployment_id: str, location: str) -> Any:
    """Rules by processor use: out soon, in late, one instance at a time."""
    from azure.mgmt.monitor import models

    def rule(operator: str, limit: int, direction: str, minutes: int) -> Any:
        return models.ScaleRule(
            metric_trigger=models.MetricTrigger(
                metric_name="CpuUtilizationPercentage",
                metric_resource_uri=deployment_id,
                time_grain=timedelta(minutes=1),
                statistic="Average",
                time_window=timedelta(minutes=minutes),
                time_aggregation="Average",
                operator=operator,
                threshold=limit,
            ),
            scale_action=models.ScaleAction(
                direction=direction, type="ChangeCount", value="1", cooldown=timedelta(minutes=minutes)
            ),
        )

    capacity = models.ScaleCapacity(
        minimum=str(online.instances), maximum=str(online.max_instances), default=str(online.instances)
    )
    rules = [
        rule("GreaterThan", online.scale_out_cpu, "Increase", 5),
        rule("LessThan", online.scale_in_cpu, "Decrease", 20),
    ]
    return models.AutoscaleSettingResource(
        location=location,
        enabled=True,
        target_resource_uri=deployment_id,
        profiles=[models.AutoscaleProfile(name="cpu", capacity=capacity, rules=rules)],
    )
