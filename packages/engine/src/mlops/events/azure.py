"""Azure Machine Learning's own events, told in the lifecycle's words. Pure.

The schemas are those of https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning, in the
CloudEvents form and in Event Grid's own. A run that completed and a version that was registered get the id
that the lifecycle itself gives them, so a handler that hears of both acts once; the others get an id made
from Azure's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlops.errors import InvalidInput
from mlops.events import envelope
from mlops.spec._yaml import problems_of
from mlops.spec.events import (
    Breach,
    DriftDetected,
    Fact,
    ModelRegistered,
    ReleaseDeployed,
    RunCompleted,
)

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent

PREFIX = "Microsoft.MachineLearningServices."
_COMPLETED = "completed"


def is_azure(document: Mapping[str, Any]) -> bool:
    """Whether this is an event of an Azure ML workspace, in either schema."""
    return _type(document).startswith(PREFIX)


def translate(document: Mapping[str, Any], source: str) -> list[CloudEvent]:
    """The same facts as events of the lifecycle whose source is `source`.

    One deployment of several models is several facts; a change of a run's status that is no completion, and
    an event of another kind, is none. Raises `InvalidInput` when it lacks what its schema has.
    """
    kind = _type(document).removeprefix(PREFIX)
    identity = str(document.get("id", ""))
    data = _fields(document.get("data"))
    at = _time(str(document.get("time") or document.get("eventTime") or ""), identity)
    try:
        facts = _facts(kind, data)
    except ValidationError as error:
        raise InvalidInput(problems_of(error, Fact, f"event {identity} ({PREFIX}{kind})")) from None
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"event {identity} ({PREFIX}{kind}): lacks or misstates {error}") from None
    own = kind in ("RunCompleted", "RunStatusChanged", "ModelRegistered")
    return [
        envelope.make(fact, source, at, identity="" if own else f"{identity}/{number}")
        for number, fact in enumerate(facts)
    ]


def _facts(kind: str, data: Mapping[str, Any]) -> list[Fact]:
    match kind:
        case "RunCompleted":
            return [_run(data)]
        case "RunStatusChanged":
            return [_run(data)] if str(data["runStatus"]).lower() == _COMPLETED else []
        case "ModelRegistered":
            return [_registered(data)]
        case "ModelDeployed":
            return [_deployed(data, name) for name in str(data["modelIds"]).split(",") if name.strip()]
        case "DatasetDriftDetected":
            return [_drift(data)]
    return []


def _run(data: Mapping[str, Any]) -> RunCompleted:
    tags = data.get("runTags") or {}
    # `mlops.pipeline` is pipelines/<model>/training.yml; a run that is not ours has an experiment only.
    parts = str(tags.get("mlops.pipeline", "")).split("/")
    return RunCompleted(
        model=parts[1] if len(parts) == 3 else str(data["experimentName"]),
        run_id=str(data["runId"]),
        commit=str(tags.get("mlops.commit", "")),
        actor=str(tags.get("mlops.actor", "")),
    )


def _registered(data: Mapping[str, Any]) -> ModelRegistered:
    tags = data.get("modelTags") or {}
    return ModelRegistered(
        model=str(data["modelName"]),
        version=int(data["modelVersion"]),
        digest=str(tags.get("mlops.digest", "")),
        commit=str(tags.get("mlops.commit", "")),
        window=str(tags.get("mlops.data.window", "")),
    )


def _deployed(data: Mapping[str, Any], name: str) -> ReleaseDeployed:
    model, _, version = name.strip().rpartition(":")
    service = str(data["serviceName"])
    # Endpoints of the lifecycle are called <model>-<environment>.
    return ReleaseDeployed(
        model=model, environment=service.removeprefix(f"{model}-"), release=int(version), count=None
    )


def _drift(data: Mapping[str, Any]) -> DriftDetected:
    name, coefficient = str(data["dataDriftName"]), float(data["driftCoefficient"])
    return DriftDetected(
        model=name,
        start=_time(str(data["startTime"]), name),
        end=_time(str(data["endTime"]), name),
        breaches=[
            Breach(
                name="drift", observed=f"coefficient {coefficient:.3f}", limit=f"of {name}", value=coefficient
            )
        ],
        report=str(data.get("runId") or ""),
    )


def _type(document: Mapping[str, Any]) -> str:
    return str(document.get("type") or document.get("eventType") or "")


def _fields(data: Any) -> dict[str, Any]:
    """Azure writes some fields as ModelName and others as runId; here all begin small."""
    if isinstance(data, str):
        data = json.loads(data)
    if not isinstance(data, Mapping):
        return {}
    return {key[:1].lower() + key[1:]: value for key, value in data.items()}


def _time(text: str, identity: str) -> datetime:
    """Azure writes seven digits of a second, which Python 3.11 reads; a time without a zone is refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"event {identity}: {text!r} is no time") from None
    if moment.tzinfo is None:
        raise InvalidInput(f"event {identity}: {text!r} names no time zone")
    return moment
