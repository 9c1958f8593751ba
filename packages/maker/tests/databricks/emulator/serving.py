"""Model Serving: endpoints whose served entities are real models, answered by MLflow's own scoring protocol.

A configuration is written whole, is pending while its new entities start, and takes effect when all are
ready. Meanwhile another one is refused (409). One that fails leaves the one before.
"""

from __future__ import annotations

import json
import random
import threading
import time
import traceback
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .http import Answer, Refused, Request
from .typed import of_sdk, only
from .warehouse import now

if TYPE_CHECKING:
    from .server import Emulator

_BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000)
_VARIABLE = 4096


@dataclass
class Entity:
    """One served entity: what was asked for, and the model that was loaded of it."""

    given: Any
    model: Any = None
    state: str = "DEPLOYMENT_CREATING"
    message: str = ""
    log: str = ""
    made: int = field(default_factory=lambda: int(time.time() * 1000))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def name(self) -> str:
        return str(self.given.name)

    def row(self) -> dict[str, Any]:
        from databricks.sdk.service import serving as s

        state = s.ServedModelState(
            deployment=s.ServedModelStateDeployment(self.state), deployment_state_message=self.message
        )
        return s.ServedEntityOutput(
            **{k: getattr(self.given, k) for k in vars(self.given) if hasattr(s.ServedEntityOutput, k)},
            creation_timestamp=self.made,
            state=state,
        ).as_dict()


@dataclass
class Config:
    entities: list[Entity]
    routes: dict[str, int]
    number: int = 1

    def row(self) -> dict[str, Any]:
        return {
            "served_entities": [e.row() for e in self.entities],
            "traffic_config": {
                "routes": [
                    {"served_entity_name": n, "served_model_name": n, "traffic_percentage": share}
                    for n, share in self.routes.items()
                ]
            },
            "config_version": self.number,
        }


@dataclass
class Endpoint:
    name: str
    tags: list[dict[str, Any]]
    config: Config | None = None
    pending: Config | None = None
    update: str = "NOT_UPDATING"
    made: int = field(default_factory=lambda: int(time.time() * 1000))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    gateway: dict[str, Any] = field(default_factory=dict)


Counted = dict[tuple[str, str, int], list[tuple[int, float]]]


class Serving:
    """`slow`: seconds added to every answer by release; `broken`: releases that answer 500; `most`: entities
    that fit into the quota; `labelled`: whether metrics say which entity they are of; `history`: what each
    endpoint was configured as, in order."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.endpoints: dict[str, Endpoint] = {}
        self.slow: dict[str, float] = {}
        self.broken: set[str] = set()
        self.most = 100
        self.labelled = True
        self.history: dict[str, list[Config]] = defaultdict(list)
        self._counted: Counted = defaultdict(list)
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.RLock()

    def hold(self) -> None:
        """Let updates go on for ever, until `release`."""
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    # --- endpoints

    def create(self, request: Request) -> Answer:
        from databricks.sdk.service import serving as s

        body = request.json
        only(body, "name", "config", "tags")
        for tag in body.get("tags", []):
            of_sdk(s.EndpointTag, tag)
        config = of_sdk(s.EndpointCoreConfigInput, body["config"])
        with self._lock:
            if body["name"] in self.endpoints:
                raise Refused(
                    400, "RESOURCE_ALREADY_EXISTS", f"Endpoint with name '{body['name']}' already exists."
                )
            self._admit(config)
            made = Endpoint(body["name"], body.get("tags", []))
            self.endpoints[made.name] = made
            self._begin(made, config)
        return Answer(200, self._row(made))

    def update(self, request: Request, name: str) -> Answer:
        from databricks.sdk.service import serving as s

        body = request.json
        only(body, "served_entities", "traffic_config")
        config = of_sdk(s.EndpointCoreConfigInput, {"name": name, **body})
        with self._lock:
            found = self._find(name)
            if found.update == "IN_PROGRESS":
                raise Refused(
                    409, "RESOURCE_CONFLICT", f"Endpoint '{name}' is being updated; wait for it to end."
                )
            self._admit(config)
            self._begin(found, config)
        return Answer(200, self._row(found))

    def get(self, request: Request, name: str) -> Answer:
        return Answer(200, self._row(self._find(name)))

    def list(self, request: Request) -> Answer:
        return Answer(200, {"endpoints": [{"name": e.name} for e in self.endpoints.values()]})

    def put_gateway(self, request: Request, name: str) -> Answer:
        from databricks.sdk.service import serving as s

        only(request.json, "inference_table_config")
        config = of_sdk(s.AiGatewayInferenceTableConfig, request.json["inference_table_config"])
        if config.enabled:
            self._emulator.unity.may(f"{config.catalog_name}.{config.schema_name}.any", write=True)
        found = self._find(name)
        found.gateway = {"inference_table_config": config.as_dict()}
        return Answer(200, found.gateway)

    def delete(self, request: Request, name: str) -> Answer:
        with self._lock:
            self._find(name)
            del self.endpoints[name]
        return Answer(200, {})

    def logs(self, request: Request, name: str, entity: str) -> Answer:
        found = self._find(name)
        for config in (found.pending, found.config):
            for one in config.entities if config else []:
                if one.name == entity:
                    return Answer(200, {"logs": one.log})
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"there is no served entity {entity}")

    def _find(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"The given endpoint does not exist: {name}")
        return self.endpoints[name]

    def _admit(self, config: Any) -> None:
        entities, routes = config.served_entities or [], config.traffic_config.routes
        names = [e.name for e in entities]
        if not entities or len(set(names)) < len(names) or len(entities) > 15:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"the served entities {names} are not valid")
        if sorted(r.served_entity_name for r in routes) != sorted(names):
            raise Refused(400, "INVALID_PARAMETER_VALUE", "routes and served entities differ")
        shares = [r.traffic_percentage for r in routes]
        if sum(shares) != 100 or min(shares) < 0:
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"traffic percentages sum to {sum(shares)}, not 100"
            )
        for entity in entities:
            if not entity.workload_size or entity.scale_to_zero_enabled is None:
                raise Refused(
                    400, "INVALID_PARAMETER_VALUE", "workload_size, scale_to_zero_enabled are required"
                )
            self._emulator.unity.may(entity.entity_name)
            version = self._emulator.unity.version(entity.entity_name, entity.entity_version)
            if version.status != "READY":
                raise Refused(400, "INVALID_STATE", f"{entity.entity_name} {version.version} is not ready")
            if any(len(value) > _VARIABLE for value in (entity.environment_vars or {}).values()):
                raise Refused(400, "INVALID_PARAMETER_VALUE", "a variable is too long")

    def _begin(self, endpoint: Endpoint, config: Any) -> None:
        known = {e.name: e for e in (endpoint.config.entities if endpoint.config else [])}
        entities = []
        for given in config.served_entities:
            before = known.get(given.name)
            same = before is not None and before.given.as_dict() == given.as_dict()
            entities.append(before if same else Entity(given))
        routes = {r.served_entity_name: r.traffic_percentage for r in config.traffic_config.routes}
        number = endpoint.config.number + 1 if endpoint.config else 1
        endpoint.pending, endpoint.update = Config(entities, routes, number), "IN_PROGRESS"
        threading.Thread(target=self._start, args=(endpoint, endpoint.pending), daemon=True).start()

    def _start(self, endpoint: Endpoint, config: Config) -> None:
        self._go.wait()
        new = [e for e in config.entities if e.model is None]
        for entity in new:
            try:
                entity.model = self._load(entity, len(config.entities) <= self.most)
                entity.state = "DEPLOYMENT_READY"
            except Exception as error:  # noqa: BLE001  whatever ends the container of a model
                entity.state = "DEPLOYMENT_FAILED"
                entity.message = f"Failed to deploy {entity.name}: {error}"[:300]
                entity.log = traceback.format_exc()
        with self._lock:
            for entity in new:
                given = entity.given
                self._emulator.warehouse.serves(
                    entity.id, endpoint.name, entity.name, given.entity_name, given.entity_version
                )
            if all(e.state == "DEPLOYMENT_READY" for e in config.entities):
                endpoint.config, endpoint.pending, endpoint.update = config, None, "NOT_UPDATING"
                self.history[endpoint.name].append(config)
            else:
                endpoint.update = "UPDATE_FAILED"

    def _load(self, entity: Entity, fits: bool) -> Any:
        import mlflow.pyfunc

        if not fits:
            raise RuntimeError("Quota exceeded: the workspace has no provisioned concurrency left")

        given = entity.given
        folder = self._emulator.unity.files_of(given.entity_name, given.entity_version)
        return mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)

    def _row(self, endpoint: Endpoint) -> dict[str, Any]:
        from databricks.sdk.service import serving as s

        ready = "READY" if endpoint.config else "NOT_READY"
        row: dict[str, Any] = {
            "name": endpoint.name,
            "id": endpoint.id,
            "tags": endpoint.tags,
            "creation_timestamp": endpoint.made,
            "state": {"ready": ready, "config_update": endpoint.update},
        }
        if endpoint.config:
            row["config"] = endpoint.config.row()
        if endpoint.gateway:
            row["ai_gateway"] = endpoint.gateway
        if endpoint.pending:
            row["pending_config"] = endpoint.pending.row()
        return of_sdk(s.ServingEndpointDetailed, row).as_dict()  # type: ignore[no-any-return]

    # --- requests

    def invoke(self, request: Request, name: str, entity: str | None = None) -> Answer:
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        endpoint = self._find(name)
        config = endpoint.config
        if config is None:
            raise Refused(400, "BAD_REQUEST", f"The endpoint {name} is not ready")
        if entity is None:
            (entity,) = random.choices(list(config.routes), list(config.routes.values()))  # noqa: S311
        chosen = next((e for e in config.entities if e.name == entity), None)
        if chosen is None:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"The given served entity does not exist: {entity}")
        release = (chosen.given.environment_vars or {}).get("MODEL_RELEASE", "")
        asked, client_id = _without_client_id(request.body)
        began = time.perf_counter()
        schema = chosen.model.metadata.get_input_schema()
        try:
            got = scoring_server.invocations(asked, request.headers.get("content-type"), chosen.model, schema)
            status, body = got.status, got.response.encode()
        except MlflowException as error:
            status, body = error.get_http_status_code(), error.serialize_as_json().encode()
        except Exception as error:  # noqa: BLE001  a model may raise anything
            status, body = 500, b'{"error_code": "INTERNAL_ERROR", "message": "%s"}' % str(error).encode()
        if release in self.broken:
            status, body = 500, b'{"error_code": "INTERNAL_ERROR", "message": "the container died"}'
        time.sleep(self.slow.get(release, 0.0))
        minute = int(time.time()) // 60
        with self._lock:
            self._counted[name, entity, minute].append((status, time.perf_counter() - began))
            table = endpoint.gateway.get("inference_table_config", {})
            if table.get("enabled"):
                self._emulator.warehouse.log(
                    f"{table['catalog_name']}.{table['schema_name']}.{table['table_name_prefix']}_payload",
                    databricks_request_id=uuid.uuid4().hex,
                    client_request_id=client_id,
                    request_time=now(),
                    status_code=status,
                    served_entity_id=chosen.id,
                    request=asked,
                    response=body.decode(),
                )
        return Answer(status, body, {"content-type": "application/json", "served-model-name": entity})

    def metrics(self, request: Request, name: str) -> Answer:
        """Gauges of this minute and the last one, with the minute's time."""
        config = self._find(name).config
        minute = int(time.time()) // 60
        lines = []
        for entity in config.entities if config else []:
            for at in (minute - 1, minute):
                with self._lock:
                    seen = list(self._counted.get((name, entity.name, at), ()))
                label = f'served_entity_name="{entity.name}"' if self.labelled else ""
                lines += _gauges(f'endpoint_name="{name}"{"," if label else ""}{label}', seen, at * 60_000)
        return Answer(200, "\n".join(lines).encode(), {"content-type": "text/plain"})


def _without_client_id(body: bytes) -> tuple[str, str | None]:
    """What the model is asked, and by which id the client knows its request: the platform takes it out."""
    try:
        asked = json.loads(body)
        client_id = asked.pop("client_request_id", None)
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace"), None
    return json.dumps(asked), client_id


def _gauges(labels: str, seen: list[tuple[int, float]], at: int) -> list[str]:
    counts = {
        "request_count_total": len(seen),
        "request_4xx_count_total": sum(400 <= status < 500 for status, _ in seen),
        "request_5xx_count_total": sum(status >= 500 for status, _ in seen),
    }
    lines = [f"{name}{{{labels}}} {float(value)} {at}" for name, value in counts.items()]
    good = [seconds * 1000 for status, seconds in seen if not 400 <= status < 500]
    for bound in (*_BOUNDS, "+Inf"):
        under = len(good) if bound == "+Inf" else sum(ms <= float(bound) for ms in good)
        lines.append(f'request_latency_ms_bucket{{{labels},le="{bound}"}} {float(under)} {at}')
    return lines


def install(emulator: Emulator) -> Serving:
    serving = Serving(emulator)
    add = emulator.router.add
    base, one = r"/api/2\.0/serving-endpoints", r"/api/2\.0/serving-endpoints/(?P<name>[\w-]+)"
    add("POST", base, serving.create)
    add("GET", base, serving.list)
    add("GET", one, serving.get)
    add("DELETE", one, serving.delete)
    add("PUT", f"{one}/config", serving.update)
    add("PUT", f"{one}/ai-gateway", serving.put_gateway)
    add("GET", f"{one}/metrics", serving.metrics)
    add("GET", rf"{one}/served-models/(?P<entity>[\w-]+)/(build-)?logs", serving.logs)
    add("POST", r"/serving-endpoints/(?P<name>[\w-]+)/invocations", serving.invoke)
    add(
        "POST",
        r"/serving-endpoints/(?P<name>[\w-]+)/served-models/(?P<entity>[\w-]+)/invocations",
        serving.invoke,
    )
    return serving
