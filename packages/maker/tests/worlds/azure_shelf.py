# ruff: noqa: E501 (whole files as text)
"""A good Azure ML file of every kind, with the scripts and folders that they name."""

from __future__ import annotations

from pathlib import Path

_URL = "https://azuremlschemas.azureedge.net/latest/{}.schema.json"


def _with_schema(name: str, text: str) -> str:
    return f"$schema: {_URL.format(name)}\n{text}"


SCRIPTS = {
    "src/train.py": "print('train')\n",
    "src/score.py": "def init():\n    pass\n\n\ndef run(batch):\n    return batch\n",
    "src/tools/__init__.py": "",
    "src/tools/fit.py": "print('fit')\n",
    "src/sub/go.py": "print('go')\n",
    "src/run.sh": "echo run\n",
    "conda.yml": "dependencies: [python=3.11]\n",
    "docker/Dockerfile": "FROM scratch\n",
    "rows.csv": "a,b\n1,2\n",
    "folder/part.csv": "a\n1\n",
    "table/MLTable": "paths: []\n",
    "model/MLmodel": "flavors: {}\n",
    "features/FeatureSetSpec.yaml": "source: {}\n",
}

SHELF: dict[str, str] = {
    "train.yml": _with_schema(
        "commandComponent",
        """\
type: command
name: train
version: 1
inputs:
  rows: {type: uri_folder}
  rate: {type: number, default: 0.5, min: 0, max: 1}
  depth: {type: integer, optional: true}
  how: {type: string, enum: [fast, slow], default: fast}
outputs:
  model: {type: mlflow_model}
code: ./src
environment: azureml:tools:3
command: >-
  python train.py ${{inputs.rows}} ${{inputs.rate}} ${{inputs.how}} $[[--depth ${{inputs.depth}}]] ${{outputs.model}}
resources: {instance_count: 1}
distribution: {type: pytorch, process_count_per_instance: 1}
""",
    ),
    "judge.yml": _with_schema(
        "commandComponent",
        """\
type: command
name: judge
version: "2"
inputs:
  model: {type: mlflow_model}
outputs:
  report: {type: uri_file}
code: ./src
environment: file:./environment.yml
command: cd sub && python go.py ${{inputs.model}} ${{outputs.report}}
""",
    ),
    "inner.yml": _with_schema(
        "pipelineComponent",
        """\
type: pipeline
name: inner
version: 1
inputs:
  data: {type: uri_folder}
outputs:
  made: {type: mlflow_model}
jobs:
  fit:
    type: command
    component: ./train.yml
    inputs: {rows: "${{parent.inputs.data}}"}
    outputs: {model: "${{parent.outputs.made}}"}
""",
    ),
    "batches.yml": _with_schema(
        "parallelComponent",
        """\
type: parallel
name: batches
version: 1
inputs:
  rows: {type: uri_folder}
outputs:
  out: {type: uri_folder}
input_data: ${{inputs.rows}}
mini_batch_size: "10kb"
mini_batch_error_threshold: 0
max_concurrency_per_instance: 2
retry_settings: {max_retries: 2, timeout: 60}
resources: {instance_count: 2}
task:
  type: run_function
  code: ./src
  entry_script: score.py
  environment: azureml:tools:3
  program_arguments: --out ${{outputs.out}}
""",
    ),
    "count.yml": _with_schema(
        "sparkComponent",
        """\
type: spark
name: count
version: 1
inputs:
  rows: {type: uri_folder, mode: direct}
outputs:
  out: {type: uri_folder, mode: direct}
code: ./src
entry: {file: train.py}
args: --rows ${{inputs.rows}} --out ${{outputs.out}}
conf:
  spark.driver.cores: 1
  spark.driver.memory: 2g
  spark.executor.cores: 2
  spark.executor.memory: 2g
  spark.executor.instances: 2
""",
    ),
    "copy.yml": _with_schema(
        "dataTransferComponent",
        """\
type: data_transfer
name: copy
version: 1
task: copy_data
inputs:
  one: {type: uri_folder}
outputs:
  out: {type: uri_folder}
data_copy_mode: merge_with_overwrite
""",
    ),
    "pipeline.yml": _with_schema(
        "pipelineJob",
        """\
type: pipeline
experiment_name: all
inputs:
  rows: {type: uri_folder, path: ./folder}
  rate: 0.25
  where: azureml:cpu
outputs:
  best: {type: mlflow_model}
  report:
settings: {default_compute: azureml:cpu, default_datastore: azureml:workspaceblobstore}
jobs:
  train:
    type: command
    component: ./train.yml
    compute: ${{parent.inputs.where}}
    inputs:
      rows: ${{parent.inputs.rows}}
      rate: ${{parent.inputs.rate}}
    outputs:
      model:
  nested:
    type: pipeline
    component: ./inner.yml
    inputs: {data: "${{parent.inputs.rows}}"}
    outputs: {made: "${{parent.outputs.best}}"}
  judge:
    type: Command
    component: file:./judge.yml
    inputs: {model: "${{parent.jobs.train.outputs.model}}"}
    outputs: {report: "${{parent.outputs.report}}"}
    limits: {timeout: 60}
    resources: {instance_count: 1, instance_type: Standard_DS3_v2}
  batches:
    type: parallel
    component: ./batches.yml
    inputs: {rows: "${{parent.inputs.rows}}"}
    mini_batch_size: "1"
  count:
    type: spark
    component: ./count.yml
    inputs: {rows: "${{parent.inputs.rows}}"}
    resources: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  tune:
    type: sweep
    trial: ./train.yml
    inputs: {rows: "${{parent.inputs.rows}}"}
    search_space: {rate: {type: uniform, min_value: 0.1, max_value: 0.9}}
    objective: {goal: maximize, primary_metric: auc}
    limits: {max_total_trials: 4, max_concurrent_trials: 2}
    sampling_algorithm: random
  inline:
    type: command
    component:
      type: command
      inputs: {word: {type: string}}
      environment: azureml:tools:3
      command: echo ${{inputs.word}}
    inputs: {word: hello}
  shell:
    type: command
    code: ./src
    environment: azureml:tools:3
    command: python train.py ${{inputs.report}}
    inputs: {report: "${{parent.jobs.judge.outputs.report}}"}
  learn:
    type: automl
    task: classification
    primary_metric: accuracy
    target_column_name: y
    training_data: ${{parent.inputs.rows}}
    limits: {max_trials: 4, max_concurrent_trials: 2, timeout_minutes: 60, trial_timeout_minutes: 20}
    outputs: {best_model: {type: mlflow_model}}
""",
    ),
    "flow.yml": _with_schema(
        "pipelineJob",
        """\
type: pipeline
settings: {default_compute: azureml:cpu}
jobs:
  check: {type: command, component: ./check.yml}
  yes_then: {type: command, component: ./check.yml}
  no_then: {type: command, component: ./check.yml}
  choose:
    type: if_else
    condition: ${{parent.jobs.check.outputs.good}}
    true_block: ${{parent.jobs.yes_then}}
    false_block: ${{parent.jobs.no_then}}
  body: {type: command, component: ./check.yml}
  again:
    type: do_while
    body: ${{parent.jobs.body}}
    condition: good
    mapping: {good: from_before}
    limits: {max_iteration_count: 3}
""",
    ),
    "check.yml": _with_schema(
        "commandComponent",
        """\
type: command
name: check
version: 1
inputs:
  from_before: {type: boolean, optional: true}
outputs:
  good: {type: boolean, is_control: true}
environment: azureml:tools:3
command: echo $[[${{inputs.from_before}}]] ${{outputs.good}}
""",
    ),
    "job.yml": _with_schema(
        "commandJob",
        """\
type: command
code: ./src
command: python -m tools.fit --rows ${{inputs.rows}} && bash run.sh && python -m pip list
environment:
  image: example.azurecr.io/tools:3
  conda_file: ./conda.yml
inputs:
  rows: {type: uri_file, path: ./rows.csv}
compute: azureml:cpu
environment_variables: {A: b}
tags: {year: "2026"}
""",
    ),
    "sweep.yml": _with_schema(
        "sweepJob",
        """\
type: sweep
compute: azureml:cpu
sampling_algorithm: {type: random, seed: 1}
search_space:
  depth: {type: choice, values: [2, 3]}
  rate: {type: loguniform, min_value: -3, max_value: 0}
  size: {type: randint, upper: 4}
objective: {goal: maximize, primary_metric: auc}
limits: {max_total_trials: 8, max_concurrent_trials: 2, timeout: 3600, trial_timeout: 600}
early_termination: {type: bandit, slack_factor: 0.1, evaluation_interval: 1, delay_evaluation: 0}
trial:
  code: ./src
  command: python train.py ${{search_space.depth}} ${{search_space.rate}} ${{search_space.size}}
  environment: azureml:tools:3
""",
    ),
    "spark.yml": _with_schema(
        "sparkJob",
        """\
type: spark
code: ./src
entry: {file: train.py}
args: --rows ${{inputs.rows}}
inputs:
  rows: {type: uri_file, path: ./rows.csv, mode: direct}
conf:
  spark.driver.cores: 1
  spark.driver.memory: 2g
  spark.executor.cores: 2
  spark.executor.memory: 2g
  spark.dynamicAllocation.enabled: true
  spark.dynamicAllocation.minExecutors: 1
  spark.dynamicAllocation.maxExecutors: 4
resources: {instance_type: standard_e8s_v3, runtime_version: "3.4"}
identity: {type: user_identity}
""",
    ),
    "automl.yml": _with_schema(
        "autoMLJob",
        """\
type: automl
task: forecasting
primary_metric: normalized_root_mean_squared_error
target_column_name: y
training_data: {type: mltable, path: ./table}
compute: azureml:cpu
limits: {max_trials: 8, max_concurrent_trials: 4, timeout_minutes: 60, trial_timeout_minutes: 20}
n_cross_validations: 5
forecasting: {time_column_name: t, forecast_horizon: 12}
""",
    ),
    "endpoint.yml": _with_schema(
        "managedOnlineEndpoint",
        "name: freight-prod\nauth_mode: key\ntraffic: {blue: 90, green: 10}\nmirror_traffic: {grey: 20}\n",
    ),
    "edge.yml": _with_schema(
        "kubernetesOnlineEndpoint", "name: freight-edge\ncompute: azureml:edge\nauth_mode: key\n"
    ),
    "batch-endpoint.yml": _with_schema(
        "batchEndpoint", "name: freight-batch\nauth_mode: aad_token\ndefaults: {deployment_name: blue}\n"
    ),
    "deployment.yml": _with_schema(
        "managedOnlineDeployment",
        """\
name: blue
endpoint_name: freight-prod
model: azureml:freight:1
environment: azureml:serve:2
code_configuration: {code: ./src, scoring_script: score.py}
instance_type: Standard_DS3_v2
instance_count: 1
request_settings: {request_timeout_ms: 5000, max_concurrent_requests_per_instance: 1}
liveness_probe: {initial_delay: 10, period: 10, timeout: 2, failure_threshold: 3, success_threshold: 1}
data_collector: {sampling_rate: 0.5, collections: {inputs: {enabled: "true"}}}
""",
    ),
    "edge-deployment.yml": _with_schema(
        "kubernetesOnlineDeployment",
        """\
type: kubernetes
name: blue
endpoint_name: freight-edge
model: {path: ./model, type: mlflow_model}
instance_type: small
instance_count: 1
scale_settings: {type: target_utilization, min_instances: 1, max_instances: 4, target_utilization_percentage: 70, polling_interval: 10}
resources: {requests: {cpu: "500m", memory: "0.5Gi"}, limits: {cpu: "1", memory: "1Gi"}}
""",
    ),
    "batch-deployment.yml": _with_schema(
        "modelBatchDeployment",
        """\
type: model
name: blue
endpoint_name: freight-batch
model: azureml:freight:1
compute: azureml:cpu
environment: azureml:serve:2
code_configuration: {code: ./src, scoring_script: score.py}
resources: {instance_count: 2}
settings: {mini_batch_size: 10, max_concurrency_per_instance: 2, output_action: append_row, output_file_name: out.csv, retry_settings: {max_retries: 3, timeout: 300}, error_threshold: -1}
""",
    ),
    "pipeline-deployment.yml": _with_schema(
        "pipelineComponentBatchDeployment",
        "type: pipeline\nname: blue\nendpoint_name: freight-batch\ncomponent: ./inner.yml\nsettings: {default_compute: cpu}\n",
    ),
    "data.yml": _with_schema("data", "name: rows\nversion: 1\ntype: uri_file\npath: ./rows.csv\n"),
    "model.yml": _with_schema("model", "name: freight\nversion: 1\ntype: mlflow_model\npath: ./model\n"),
    "environment.yml": _with_schema(
        "environment", "name: tools\nversion: 3\nimage: example.azurecr.io/tools:3\nconda_file: ./conda.yml\n"
    ),
    "build.yml": _with_schema("environment", "name: built\nversion: 1\nbuild: {path: ./docker}\n"),
    "cluster.yml": _with_schema(
        "amlCompute",
        "type: amlcompute\nname: cpu-cluster\nsize: Standard_DS3_v2\nmin_instances: 0\nmax_instances: 4\nidle_time_before_scale_down: 120\n",
    ),
    "instance.yml": _with_schema(
        "computeInstance", "type: computeinstance\nname: mine-2026\nsize: Standard_E4s_v3\n"
    ),
    "store.yml": _with_schema(
        "azureBlob", "type: azure_blob\nname: blobs\naccount_name: account\ncontainer_name: container\n"
    ),
    "connection.yml": _with_schema(
        "connection",
        "name: search\ntype: azure_ai_search\nendpoint: https://search.example.com\napi_key: from-a-vault\n",
    ),
    "workspace.yml": _with_schema("workspace", "name: ws-freight\nlocation: westeurope\n"),
    "schedule.yml": _with_schema(
        "schedule",
        """\
name: nightly
trigger:
  type: cron
  expression: "0 3 * * mon-fri"
  start_time: "2026-01-01T00:00:00"
  end_time: "2026-12-31T00:00:00"
  time_zone: UTC
create_job: ./pipeline.yml
""",
    ),
    "weekly.yml": _with_schema(
        "schedule",
        """\
name: weekly
trigger:
  type: recurrence
  frequency: week
  interval: 1
  schedule: {hours: [3], minutes: 15, week_days: [monday]}
create_job: {type: pipeline, job: azureml:train:1}
""",
    ),
    "monitor.yml": _with_schema(
        "monitorSchedule",
        """\
name: watch
trigger: {type: recurrence, frequency: month, interval: 1, schedule: {hours: 3, minutes: 0, month_days: [1, 31]}}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_target: {ml_task: classification, endpoint_deployment_id: "azureml:freight:blue"}
  monitoring_signals:
    drift:
      type: data_drift
      production_data:
        input_data: {path: "azureml:rows:1", type: uri_folder}
        data_window: {lookback_window_size: P7D, lookback_window_offset: P0D}
      reference_data:
        input_data: {path: ./table, type: mltable}
      features: {top_n_feature_importance: 10}
      metric_thresholds: {numerical: {jensen_shannon_distance: 0.01}}
    quality:
      type: data_quality
      metric_thresholds: {numerical: {null_value_rate: 0.05}}
  alert_notification: {emails: [team@example.com]}
""",
    ),
    "feature-store.yml": _with_schema(
        "featureStore",
        """\
name: features
compute_runtime: {spark_runtime_version: "3.4"}
offline_store: {type: azure_data_lake_gen2, target: /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/lake/blobServices/default/containers/features}
online_store: {type: redis, target: /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/r/providers/Microsoft.Cache/Redis/cache}
""",
    ),
    "feature-entity.yml": _with_schema(
        "featureStoreEntity", 'name: trip\nversion: "1"\nindex_columns: [{name: id, type: string}]\n'
    ),
    "import.yml": _with_schema(
        "dataImport",
        """\
type: mltable
name: trips
source: {type: database, connection: "azureml:snow", query: select 1}
path: azureml://datastores/workspaceblobstore/paths/trips
""",
    ),
    "lake.yml": _with_schema(
        "azureDataLakeGen2",
        """\
type: azure_data_lake_gen2
name: lake
account_name: account
filesystem: trips
credentials:
  tenant_id: 00000000-0000-0000-0000-000000000001
  client_id: 00000000-0000-0000-0000-00000000000a
  client_secret: from-a-vault
""",
    ),
    "registry.yml": _with_schema(
        "registry", "name: shared\nlocation: westeurope\nreplication_locations: [{location: eastus}]\n"
    ),
    "network.yml": _with_schema(
        "workspace",
        """\
name: ws-closed
location: eastus
managed_network:
  isolation_mode: allow_only_approved_outbound
  outbound_rules:
    - {name: page, type: fqdn, destination: "*.example.com"}
    - {name: stores, type: service_tag, destination: {service_tag: Storage, protocol: TCP, port_ranges: "80, 8080-8089"}}
    - {name: own, type: private_endpoint, destination: {service_resource_id: /subscriptions/s/x, subresource_target: blob, spark_enabled: true}}
""",
    ),
    "feature-set.yml": _with_schema(
        "featureSet",
        "name: trips\nversion: \"1\"\nspecification: {path: ./features}\nentities: [azureml:trip:1]\nstage: Development\n",
    ),
}  # fmt: skip


def put_on_shelf(root: Path) -> None:
    """Write every file, and what they name, below `root`."""
    for name, text in (SCRIPTS | SHELF).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
