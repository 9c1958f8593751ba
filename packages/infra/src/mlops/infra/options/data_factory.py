"""Option `data_factory`: brings a file into the data container every day and starts the ingestion step on it.

All by the factory's own identity: it writes to one container and starts jobs of one workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import datafactory

from mlops.infra.components.base import Component, Place
from mlops.infra.options.factory_activities import after_copy, expression
from mlops.infra.options.ingestion import RUN, Ingestion
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class DataFactoryProps:
    place: Place
    blob_endpoint: pulumi.Input[str]
    container: pulumi.Input[str]
    source: str
    """`https://` address of the file."""
    target: str
    """Folder in the container; every delivery gets one of its own in it."""
    ingestion: Ingestion
    workspace_id: pulumi.Input[str]
    cluster: str
    hour: int
    start: date


class DataFactory(Component):
    """Attribute `factory`.

    `allow` makes the role assignments of the factory's identity, which is only known now, and returns them.
    Azure creates a trigger stopped: docs/infrastructure.md has the command that starts it, once.
    """

    def __init__(
        self,
        name: str,
        props: DataFactoryProps,
        allow: Callable[[pulumi.Output[str]], Sequence[pulumi.Resource]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        place = props.place
        self.factory = datafactory.Factory(
            "data-factory",
            resource_group_name=place.resource_group,
            factory_name=place.names("data_factory"),
            location=place.location,
            identity=datafactory.FactoryIdentityArgs(type="SystemAssigned"),
            public_network_access="Disabled",
            tags=place.tags,
            opts=self.child(),
        )
        skip(
            "data-factory",
            "CKV_AZURE_103",
            "the pipeline is code in this program, not in the factory's own repository",
        )
        principal: pulumi.Output[str] = self.factory.identity.apply(lambda identity: identity.principal_id)
        allowed = allow(principal)
        parts = urlsplit(props.source)
        source = self._linked(
            place,
            "source",
            datafactory.HttpLinkedServiceArgs(
                type="HttpServer",
                url=f"{parts.scheme}://{parts.netloc}",
                authentication_type="Anonymous",
                enable_server_certificate_validation=True,
            ),
            (),
        )
        target = self._linked(
            place,
            "target",
            datafactory.AzureBlobStorageLinkedServiceArgs(
                type="AzureBlobStorage",
                authentication_type="Msi",
                service_endpoint=props.blob_endpoint,
                account_kind="StorageV2",
            ),
            allowed,
        )
        query = f"?{parts.query}" if parts.query else ""
        incoming = self._dataset(
            place,
            "source",
            source,
            datafactory.HttpServerLocationArgs(
                type="HttpServerLocation", relative_url=f"{parts.path}{query}"
            ),
        )
        stored = self._dataset(
            place,
            "target",
            target,
            datafactory.AzureBlobStorageLocationArgs(
                type="AzureBlobStorageLocation",
                container=props.container,
                folder_path=expression(f"@concat('{props.target}/', dataset().delivery)"),
                # The use case knows its files by name.
                file_name=PurePosixPath(parts.path).name,
            ),
            {"delivery": datafactory.ParameterSpecificationArgs(type="String")},
        )
        reference = datafactory.DatasetReferenceArgs
        copy = datafactory.CopyActivityArgs(
            name="copy",
            type="Copy",
            inputs=[reference(type="DatasetReference", reference_name=incoming.name)],
            outputs=[
                reference(
                    type="DatasetReference",
                    reference_name=stored.name,
                    parameters={"delivery": expression("@pipeline().RunId")},
                )
            ],
            source=datafactory.BinarySourceArgs(
                type="BinarySource",
                store_settings=datafactory.HttpReadSettingsArgs(
                    type="HttpReadSettings", request_method="GET"
                ),
            ),
            sink=datafactory.BinarySinkArgs(
                type="BinarySink",
                store_settings=datafactory.AzureBlobStorageWriteSettingsArgs(
                    type="AzureBlobStorageWriteSettings"
                ),
            ),
            policy=datafactory.ActivityPolicyArgs(
                retry=3, retry_interval_in_seconds=300, timeout="0.02:00:00"
            ),
        )
        copied = f"{props.target}/{RUN}"
        following = pulumi.Output.from_input(props.workspace_id).apply(
            lambda workspace: after_copy(props.ingestion, workspace, props.cluster, copied, after="copy")
        )
        pipeline = datafactory.Pipeline(
            "ingest",
            resource_group_name=place.resource_group,
            factory_name=self.factory.name,
            pipeline_name="ingest",
            # Two at once would make the same version.
            concurrency=1,
            parameters={"window": datafactory.ParameterSpecificationArgs(type="String")},
            activities=following.apply(lambda activities: [copy, *activities]),
            opts=self.child(after=allowed),
        )
        datafactory.Trigger(
            "ingest-daily",
            resource_group_name=place.resource_group,
            factory_name=self.factory.name,
            trigger_name="daily",
            properties=datafactory.ScheduleTriggerArgs(
                type="ScheduleTrigger",
                recurrence=datafactory.ScheduleTriggerRecurrenceArgs(
                    frequency="Day",
                    interval=1,
                    start_time=f"{props.start.isoformat()}T{props.hour:02d}:00:00Z",
                    time_zone="UTC",
                ),
                pipelines=[
                    datafactory.TriggerPipelineReferenceArgs(
                        pipeline_reference=datafactory.PipelineReferenceArgs(
                            type="PipelineReference", reference_name=pipeline.name
                        ),
                        # What arrives at night is of the day before.
                        parameters={
                            "window": "@formatDateTime(addDays(trigger().scheduledTime, -1), 'yyyy-MM')"
                        },
                    )
                ],
            ),
            # A running trigger cannot be changed; starting and stopping it is a person's act.
            opts=self.child(ignore_changes=["properties.runtimeState"]),
        )
        self.register_outputs({"factory": self.factory.id})

    def _linked(
        self, place: Place, label: str, properties: object, after: Sequence[pulumi.Resource]
    ) -> datafactory.LinkedService:
        return datafactory.LinkedService(
            f"ingest-{label}-link",
            resource_group_name=place.resource_group,
            factory_name=self.factory.name,
            linked_service_name=label,
            properties=properties,
            opts=self.child(after=after),
        )

    def _dataset(
        self,
        place: Place,
        label: str,
        linked: datafactory.LinkedService,
        location: object,
        parameters: Mapping[str, datafactory.ParameterSpecificationArgs] | None = None,
    ) -> datafactory.Dataset:
        return datafactory.Dataset(
            f"ingest-{label}-files",
            resource_group_name=place.resource_group,
            factory_name=self.factory.name,
            dataset_name=label,
            properties=datafactory.BinaryDatasetArgs(
                type="Binary",
                linked_service_name=datafactory.LinkedServiceReferenceArgs(
                    type="LinkedServiceReference", reference_name=linked.name
                ),
                location=location,
                parameters=parameters,
            ),
            opts=self.child(),
        )
