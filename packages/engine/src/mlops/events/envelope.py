"""CloudEvents 1.0, by the official SDK: from a fact to an event and back."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlops.errors import InvalidInput
from mlops.spec._yaml import problems_of
from mlops.spec.events import FACTS, Fact

if TYPE_CHECKING:
    from cloudevents.core.base import BaseCloudEvent
    from cloudevents.core.v1.event import CloudEvent

CONTENT_TYPE = "application/cloudevents+json"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cloudevents.io/mlops")


def source_of(project: str) -> str:
    """The CloudEvents attribute `source` of a project's events, a URI reference."""
    return f"/mlops/{project}"


def event_id(source: str, fact: Fact) -> str:
    """The same for the same fact of the same project, whenever and wherever it is told."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([source, fact.type, fact.model, *fact.key])))


def make(fact: Fact, source: str, at: datetime, *, identity: str = "") -> CloudEvent:
    """The event of a fact; `identity` replaces the id that follows from the fact."""
    from cloudevents.core.v1.event import CloudEvent

    attributes = {
        "specversion": "1.0",
        "id": identity or event_id(source, fact),
        "source": source,
        "type": fact.type,
        "subject": fact.subject,
        "time": at.astimezone(UTC),
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, fact.model_dump(mode="json"))


def to_json(event: BaseCloudEvent) -> bytes:
    """Structured mode: the whole event as one JSON document without line breaks."""
    from cloudevents.core.formats.json import JSONFormat

    return JSONFormat().write(event)


def from_json(text: str | bytes, where: str) -> CloudEvent:
    """Read one event in structured mode; raises `InvalidInput` with what is wrong."""
    from cloudevents.core.exceptions import CloudEventValidationError
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    try:
        return JSONFormat().read(CloudEvent, text)  # type: ignore[return-value]
    except CloudEventValidationError as error:
        wrong = "; ".join(str(e) for errors in error.errors.values() for e in errors)
        raise InvalidInput(f"{where}: not a CloudEvent 1.0: {wrong}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{where}: not a CloudEvent in JSON: {error}") from None


def fact_of(event: BaseCloudEvent) -> Fact:
    """The typed data of an event; raises `InvalidInput` for a foreign type or wrong data."""
    model = FACTS.get(event.get_type())
    if model is None:
        raise InvalidInput(f"{event.get_type()!r} is no event of the lifecycle; known: {', '.join(FACTS)}")
    try:
        return model.model_validate(event.get_data())
    except ValidationError as error:
        raise InvalidInput(problems_of(error, model, f"event {event.get_id()}")) from None


def plain(event: BaseCloudEvent) -> dict[str, Any]:
    """The event as plain data, as JSON has it."""
    document: dict[str, Any] = json.loads(to_json(event))
    return document
