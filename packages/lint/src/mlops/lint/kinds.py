"""The kinds of Azure ML files: how they are called, what loads them, and where their fields are described."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of file. `schema` is where `azure-ai-ml` describes it, `loader` what reads it there."""

    label: str
    loader: str
    schema: str = ""
    open: bool = False
    """Unknown fields are dropped, where they are refused for other kinds."""


_JOB, _COMPONENT = "load_job", "load_component"
_AUTOML = "automl.{0}_vertical.{1}"

KINDS: dict[str, Kind] = {
    "job.command": Kind("command job", _JOB, "job.command_job.CommandJobSchema"),
    "job.pipeline": Kind("pipeline job", _JOB, "pipeline.pipeline_job.PipelineJobSchema"),
    "job.sweep": Kind("sweep job", _JOB, "_sweep.sweep_job.SweepJobSchema"),
    "job.spark": Kind("Spark job", _JOB, "job.spark_job.SparkJobSchema"),
    "job.import": Kind("import job", _JOB, "job.import_job.ImportJobSchema"),
    "job.automl": Kind("AutoML job", _JOB),
    "job.automl.classification": Kind(
        "AutoML job", _JOB, "automl.table_vertical.classification.AutoMLClassificationSchema"
    ),
    "job.automl.regression": Kind(
        "AutoML job", _JOB, "automl.table_vertical.regression.AutoMLRegressionSchema"
    ),
    "job.automl.forecasting": Kind(
        "AutoML job", _JOB, "automl.table_vertical.forecasting.AutoMLForecastingSchema"
    ),
    "job.automl.image_classification": Kind(
        "AutoML job", _JOB, "automl.image_vertical.image_classification.ImageClassificationSchema"
    ),
    "job.automl.image_classification_multilabel": Kind(
        "AutoML job", _JOB, "automl.image_vertical.image_classification.ImageClassificationMultilabelSchema"
    ),
    "job.automl.image_object_detection": Kind(
        "AutoML job", _JOB, "automl.image_vertical.image_object_detection.ImageObjectDetectionSchema"
    ),
    "job.automl.image_instance_segmentation": Kind(
        "AutoML job", _JOB, "automl.image_vertical.image_object_detection.ImageInstanceSegmentationSchema"
    ),
    "job.automl.text_classification": Kind(
        "AutoML job", _JOB, "automl.nlp_vertical.text_classification.TextClassificationSchema"
    ),
    "job.automl.text_classification_multilabel": Kind(
        "AutoML job",
        _JOB,
        "automl.nlp_vertical.text_classification_multilabel.TextClassificationMultilabelSchema",
    ),
    "job.automl.text_ner": Kind("AutoML job", _JOB, "automl.nlp_vertical.text_ner.TextNerSchema"),
    "component.command": Kind(
        "command component", _COMPONENT, "component.command_component.CommandComponentSchema", open=True
    ),
    "component.parallel": Kind(
        "parallel component", _COMPONENT, "component.parallel_component.ParallelComponentSchema", open=True
    ),
    "component.spark": Kind(
        "Spark component", _COMPONENT, "component.spark_component.SparkComponentSchema", open=True
    ),
    "component.pipeline": Kind(
        "pipeline component", _COMPONENT, "pipeline.pipeline_component.PipelineComponentSchema", open=True
    ),
    "component.import": Kind(
        "import component", _COMPONENT, "component.import_component.ImportComponentSchema", open=True
    ),
    "component.data_transfer.copy_data": Kind(
        "data transfer component",
        _COMPONENT,
        "component.data_transfer_component.DataTransferCopyComponentSchema",
        open=True,
    ),
    "component.data_transfer.import_data": Kind(
        "data transfer component",
        _COMPONENT,
        "component.data_transfer_component.DataTransferImportComponentSchema",
        open=True,
    ),
    "component.data_transfer.export_data": Kind(
        "data transfer component",
        _COMPONENT,
        "component.data_transfer_component.DataTransferExportComponentSchema",
        open=True,
    ),
    "deployment.managed": Kind(
        "online deployment",
        "load_online_deployment",
        "_deployment.online.online_deployment.ManagedOnlineDeploymentSchema",
    ),
    "deployment.kubernetes": Kind(
        "Kubernetes deployment",
        "load_online_deployment",
        "_deployment.online.online_deployment.KubernetesOnlineDeploymentSchema",
    ),
    "deployment.batch": Kind(
        "batch deployment",
        "load_batch_deployment",
        "_deployment.batch.batch_deployment.BatchDeploymentSchema",
    ),
    "deployment.batch.model": Kind(
        "batch deployment of a model",
        "load_model_batch_deployment",
        "_deployment.batch.model_batch_deployment.ModelBatchDeploymentSchema",
    ),
    "deployment.batch.pipeline": Kind(
        "batch deployment of a pipeline",
        "load_pipeline_component_batch_deployment",
        "_deployment.batch.pipeline_component_batch_deployment_schema.PipelineComponentBatchDeploymentSchema",
    ),
    "endpoint.managed": Kind(
        "online endpoint",
        "load_online_endpoint",
        "_endpoint.online.online_endpoint.ManagedOnlineEndpointSchema",
    ),
    "endpoint.kubernetes": Kind(
        "Kubernetes endpoint",
        "load_online_endpoint",
        "_endpoint.online.online_endpoint.KubernetesOnlineEndpointSchema",
    ),
    "endpoint.batch": Kind(
        "batch endpoint", "load_batch_endpoint", "_endpoint.batch.batch_endpoint.BatchEndpointSchema"
    ),
    "data": Kind("data asset", "load_data", "assets.data.DataSchema"),
    "data.import": Kind("data import", "load_data_import", "_data_import.data_import.DataImportSchema"),
    "model": Kind("model", "load_model", "assets.model.ModelSchema"),
    "environment": Kind("environment", "load_environment", "assets.environment.EnvironmentSchema"),
    "compute.amlcompute": Kind("compute cluster", "load_compute", "compute.aml_compute.AmlComputeSchema"),
    "compute.computeinstance": Kind(
        "compute instance", "load_compute", "compute.compute_instance.ComputeInstanceSchema"
    ),
    "compute.kubernetes": Kind(
        "Kubernetes compute", "load_compute", "compute.kubernetes_compute.KubernetesComputeSchema"
    ),
    "compute.virtualmachine": Kind(
        "virtual machine", "load_compute", "compute.virtual_machine_compute.VirtualMachineComputeSchema"
    ),
    "compute.synapsespark": Kind(
        "Spark pool", "load_compute", "compute.synapsespark_compute.SynapseSparkComputeSchema"
    ),
    "datastore.azure_blob": Kind("datastore", "load_datastore", "_datastore.azure_storage.AzureBlobSchema"),
    "datastore.azure_file": Kind("datastore", "load_datastore", "_datastore.azure_storage.AzureFileSchema"),
    "datastore.azure_data_lake_gen2": Kind(
        "datastore", "load_datastore", "_datastore.azure_storage.AzureDataLakeGen2Schema"
    ),
    "datastore.azure_data_lake_gen1": Kind(
        "datastore", "load_datastore", "_datastore.adls_gen1.AzureDataLakeGen1Schema"
    ),
    "datastore.one_lake": Kind("datastore", "load_datastore", "_datastore.one_lake.OneLakeSchema"),
    "workspace": Kind("workspace", "load_workspace", "workspace.workspace.WorkspaceSchema"),
    "workspace.hub": Kind("hub", "load_workspace", "workspace.ai_workspaces.hub.HubSchema"),
    "workspace.project": Kind("project", "load_workspace", "workspace.ai_workspaces.project.ProjectSchema"),
    "connection": Kind("connection", "load_connection"),
    "registry": Kind("registry", "load_registry", "registry.registry.RegistrySchema"),
    "schedule.job": Kind("schedule", "load_schedule", "schedule.schedule.JobScheduleSchema"),
    "schedule.import": Kind(
        "import schedule", "load_schedule", "_data_import.schedule.ImportDataScheduleSchema"
    ),
    "schedule.monitor": Kind("monitor", "load_schedule", "monitoring.schedule.MonitorScheduleSchema"),
    "feature_store": Kind(
        "feature store", "load_feature_store", "_feature_store.feature_store_schema.FeatureStoreSchema"
    ),
    "feature_set": Kind(
        "feature set", "load_feature_set", "_feature_set.feature_set_schema.FeatureSetSchema"
    ),
    "feature_store_entity": Kind(
        "feature store entity",
        "load_feature_store_entity",
        "_feature_store_entity.feature_store_entity_schema.FeatureStoreEntitySchema",
    ),
}

UNREAD = {
    "flow": "promptflow's flows",
    "index": "indexes",
    "serverlessendpoint": "serverless endpoints",
    "marketplacesubscription": "marketplace subscriptions",
    "capabilityhost": "capability hosts",
    "deploymenttemplate": "deployment templates",
    "finetuningjob": "fine-tuning jobs",
    "distillationjob": "distillation jobs",
}
