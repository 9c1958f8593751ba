"""What Databricks is told about a served entity, and what the lifecycle sees of one. Pure but for the
SDK's types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from mlops.errors import InvalidInput
from mlops.spec.digest import data_digest
from mlops.spec.release import Release
from mlops.spec.settings import DatabricksSettings
from mlops.targets._remote_endpoints import shown_shares, split_problem
from mlops.targets.base import Deployment, EndpointState
from mlops.targets.databricks.connect import enum

RELEASE, DIGEST, SETTINGS = "MODEL_RELEASE", "MODEL_DIGEST", "MODEL_SETTINGS"
"""Variables of a served entity: what it serves, and a fingerprint of what it was made by. It has no tags."""
OWN = "mlops"
"""`client_request_id` of requests that this project sends itself: they are nobody's traffic."""
_FINGERPRINT = 23
_STATES: Mapping[str, Literal["creating", "ready", "failed"]] = {
    "DEPLOYMENT_READY": "ready",
    "DEPLOYMENT_CREATING": "creating",
    "DEPLOYMENT_RECOVERING": "creating",
}


def fingerprint(settings: DatabricksSettings, captured: bool) -> str:
    """Of everything but the release that makes a served entity what it is, and of what is captured of it."""
    return data_digest([settings.workload_size, settings.scale_to_zero, captured])[:_FINGERPRINT]


def entity_of(
    settings: DatabricksSettings,
    release: Release,
    colour: str,
    copy: tuple[str, int],
    fingerprint: str,
) -> Any:
    """The served entity of a release; `copy`: its name and version in the environment's catalog."""
    from databricks.sdk.service.serving import ServedEntityInput

    name, version = copy
    return ServedEntityInput(
        name=colour,
        entity_name=name,
        entity_version=str(version),
        workload_size=settings.workload_size,
        scale_to_zero_enabled=settings.scale_to_zero,
        environment_vars={
            RELEASE: str(release.version),
            DIGEST: release.digest,
            SETTINGS: fingerprint,
            # More threads inside one model call only fight over the cores.
            "OMP_NUM_THREADS": "1",
        },
    )


def _kept(entity: Any) -> Any:
    """A served entity as it is: what is not sent again is lost."""
    from databricks.sdk.service.serving import ServedEntityInput

    return ServedEntityInput(
        name=entity.name,
        entity_name=entity.entity_name,
        entity_version=entity.entity_version,
        workload_size=entity.workload_size,
        workload_type=entity.workload_type,
        scale_to_zero_enabled=entity.scale_to_zero_enabled,
        environment_vars=entity.environment_vars,
        min_provisioned_concurrency=entity.min_provisioned_concurrency,
        max_provisioned_concurrency=entity.max_provisioned_concurrency,
        instance_profile_arn=entity.instance_profile_arn,
    )


def routes_of(traffic: Mapping[str, int]) -> Any:
    """Every entity with its share, also one of none: what is not named is not served."""
    from databricks.sdk.service.serving import Route, TrafficConfig

    return TrafficConfig(
        routes=[
            Route(served_entity_name=name, traffic_percentage=share)
            for name, share in sorted(traffic.items())
        ]
    )


def entities_in(config: Any) -> Sequence[Any]:
    """The served entities of a configuration; none of none."""
    return list((config.served_entities if config is not None else None) or [])


def traffic_in(config: Any) -> dict[str, int]:
    """Shares by name."""
    traffic = config.traffic_config if config is not None else None
    return {
        str(route.served_entity_name or route.served_model_name): int(route.traffic_percentage)
        for route in ((traffic.routes if traffic is not None else None) or [])
    }


def others_in(endpoint: Any, name: str) -> list[Any]:
    """What an endpoint serves beside `name`, as it is, for a configuration that is written whole."""
    return [_kept(entity) for entity in entities_in(endpoint.config) if entity.name != name]


def shares_of(endpoint: Any, entities: Sequence[Any]) -> dict[str, int]:
    """The traffic that these entities have now."""
    shares = traffic_in(endpoint.config)
    return {entity.name: shares.get(entity.name, 0) for entity in entities}


def update_of(endpoint: Any) -> str:
    """How far the newest change of an endpoint is; empty before the first."""
    return enum(endpoint.state.config_update if endpoint.state else None)


def failure_of(endpoint: Any, name: str) -> str:
    """Why an update failed, by what Databricks says of the entity `name`, or of any when it is empty."""
    messages = [
        str(entity.state.deployment_state_message or enum(entity.state.deployment))
        for config in (endpoint.pending_config, endpoint.config)
        for entity in entities_in(config)
        if entity.state is not None
        and (not name or entity.name == name)
        and enum(entity.state.deployment) != "DEPLOYMENT_READY"
    ]
    text = messages[0] if messages else "Databricks gives no reason"
    if "quota" in text.lower():
        return f"a quota is used up ({text[:400]}); take a smaller workload_size, or have the quota raised"
    return f"the update failed: {text[:400]}"


def public(endpoint: Any) -> tuple[Deployment, ...]:
    """Deployments of an endpoint: those that it serves, and those that an update is about to add."""
    shares = traffic_in(endpoint.config)
    rows = {e.name: _deployment(e, shares.get(e.name, 0)) for e in entities_in(endpoint.config)}
    if update_of(endpoint) == "IN_PROGRESS":
        for entity in entities_in(endpoint.pending_config):
            now, coming = rows.get(entity.name), _deployment(entity, 0)
            if now is None or (now.release, now.digest) != (coming.release, coming.digest):
                share = now.traffic if now is not None else 0
                rows[entity.name] = replace(coming, traffic=share, state="creating")
    return tuple(rows[name] for name in sorted(rows))


def _deployment(entity: Any, share: int) -> Deployment:
    variables = entity.environment_vars or {}
    release = str(variables.get(RELEASE, ""))
    state = enum(entity.state.deployment if entity.state else None)
    message = str((entity.state.deployment_state_message if entity.state else "") or "")
    created_ms = entity.creation_timestamp
    return Deployment(
        name=str(entity.name),
        release=int(release) if release.isdecimal() else 0,
        digest=str(variables.get(DIGEST, "")),
        traffic=share,
        state=_STATES.get(state, "failed"),
        detail="" if state == "DEPLOYMENT_READY" else f"Databricks says: {message or state}",
        created=datetime.fromtimestamp(created_ms / 1000, UTC) if created_ms else None,
        settings=str(variables.get(SETTINGS, "")),
    )


def traffic_problem(state: EndpointState, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> str:
    """Why Databricks would refuse this split; empty when it would not."""
    if any(mirror.values()):
        shares = shown_shares(traffic, mirror)
        return f"Model Serving mirrors no traffic ({shares}); use a canary, or a target that mirrors"
    return split_problem(state, traffic, mirror)


def asked(payload: Mapping[str, Any], *, own: bool = False) -> dict[str, Any]:
    """A request of this project in the words of MLflow's scoring protocol. Raises `InvalidInput`.

    `own`: one of a smoke test or a canary, which the inference table tells from those of users.
    """
    return {**_in_words_of_mlflow(payload), **({"client_request_id": OWN} if own else {})}


def _in_words_of_mlflow(payload: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(table := payload.get("input_data"), Mapping):
        return {"dataframe_split": {k: table[k] for k in ("columns", "index", "data") if k in table}}
    if isinstance(rows := payload.get("data"), list):
        return {"dataframe_records": rows}
    known = {"dataframe_split", "dataframe_records", "inputs", "instances"}
    if known & payload.keys():
        return dict(payload)
    raise InvalidInput(f"a request has input_data or data, not {', '.join(sorted(payload)) or 'nothing'}")


def answered(content: Any, binary: bool) -> dict[str, Any]:
    """An answer of MLflow's scoring protocol as this project's: of two probabilities, that of yes."""
    answer = dict(content) if isinstance(content, Mapping) else {"predictions": content}
    rows = answer.get("predictions")
    if binary and isinstance(rows, list) and all(isinstance(r, list) and len(r) == 2 for r in rows):
        answer["predictions"] = [row[1] for row in rows]
    return answer


def said(body: bytes) -> str:
    """The sentence in a refusal, or what was answered."""
    try:
        refusal = json.loads(body)
        return str(refusal.get("message") or refusal.get("error") or refusal)[:400]
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")[:400] or "nothing"
