"""Events of the workspace, put into storage queues by the topic's own identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import eventgrid

from mlops.infra.components.base import Component, Place


@dataclass(frozen=True, kw_only=True)
class SubscriptionProps:
    queue: pulumi.Input[str]
    types: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class EventsProps:
    place: Place
    workspace_id: pulumi.Input[str]
    storage_id: pulumi.Input[str]
    undelivered: pulumi.Input[str]
    """Container for events that no queue took."""
    subscriptions: Mapping[str, SubscriptionProps]


class Events(Component):
    """Attributes: `topic`, `principal_id`. Azure allows one system topic a source.

    `allow` makes the role assignments of the topic's identity, which is only known now, and returns them: a
    subscription is refused while its topic may not write to the queue.
    """

    def __init__(
        self,
        name: str,
        props: EventsProps,
        allow: Callable[[pulumi.Output[str]], Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        place = props.place
        self.topic = eventgrid.SystemTopic(
            "topic",
            resource_group_name=place.resource_group,
            system_topic_name=place.names("system_topic"),
            location=place.location,
            source=props.workspace_id,
            topic_type="Microsoft.MachineLearningServices.Workspaces",
            identity=eventgrid.IdentityInfoArgs(type="SystemAssigned"),
            tags=place.tags,
            opts=self.child(),
        )
        self.principal_id: pulumi.Output[str] = self.topic.identity.apply(
            lambda identity: identity.principal_id
        )
        allowed = allow(self.principal_id)
        own = eventgrid.EventSubscriptionIdentityArgs(type="SystemAssigned")
        for label, subscription in props.subscriptions.items():
            eventgrid.SystemTopicEventSubscription(
                f"events-{label}",
                resource_group_name=place.resource_group,
                system_topic_name=self.topic.name,
                event_subscription_name=label,
                event_delivery_schema="CloudEventSchemaV1_0",
                filter=eventgrid.EventSubscriptionFilterArgs(
                    included_event_types=[
                        f"Microsoft.MachineLearningServices.{t}" for t in subscription.types
                    ]
                ),
                delivery_with_resource_identity=eventgrid.DeliveryWithResourceIdentityArgs(
                    identity=own,
                    destination=eventgrid.StorageQueueEventSubscriptionDestinationArgs(
                        endpoint_type="StorageQueue",
                        resource_id=props.storage_id,
                        queue_name=subscription.queue,
                        queue_message_time_to_live_in_seconds=7 * 24 * 3600,
                    ),
                ),
                dead_letter_with_resource_identity=eventgrid.DeadLetterWithResourceIdentityArgs(
                    identity=own,
                    dead_letter_destination=eventgrid.StorageBlobDeadLetterDestinationArgs(
                        endpoint_type="StorageBlob",
                        resource_id=props.storage_id,
                        blob_container_name=props.undelivered,
                    ),
                ),
                retry_policy=eventgrid.RetryPolicyArgs(
                    max_delivery_attempts=30, event_time_to_live_in_minutes=1440
                ),
                opts=self.child(after=allowed, waits=True),
            )
        self.register_outputs({"topic": self.topic.id})
