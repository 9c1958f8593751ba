# ruff: noqa: E501 (a table of cases, one a line)
"""One wrong edit of a good file, over all kinds: found for the true reason, in its line, and nothing else of that id.

Most of these load without a word in `azure-ai-ml` and fail on Azure, or are dropped there.
"""

from __future__ import annotations

import pytest

CASES = [
    # id, file, old, new, lines below the edit, what the sentence must say
    # -- fields, types, words
    ("unknown-field", "pipeline.yml", "experiment_name: all", "experimentname: all", 0, "did you mean 'experiment_name'"),
    ("unknown-field", "endpoint.yml", "auth_mode: key", "auth_mod: key", 0, "did you mean 'auth_mode'"),
    ("unknown-field", "deployment.yml", "instance_count: 1", "instances: 1", 0, "Azure ML refuses"),
    ("unknown-field", "environment.yml", "conda_file:", "conda_fil:", 0, "did you mean 'conda_file'"),
    ("unknown-field", "cluster.yml", "max_instances: 4", "max_instances: 4\npriority: low", 1, "refuses"),
    ("unknown-field", "pipeline.yml", "{instance_count: 1, instance_type: Standard_DS3_v2}", "{instance_count: 1, runtime_version: '3.4'}", 0, "refuses"),
    ("dropped-field", "pipeline.yml", "limits: {timeout: 60}", "limitz: {timeout: 60}", 0, "did you mean 'limits'"),
    ("dropped-field", "pipeline.yml", "default_datastore:", "default_datestore:", 0, "did you mean 'default_datastore'"),
    ("dropped-field", "train.yml", "version: 1\n", "version: 1\nenvironment_variables: {A: b}\n", 1, "nothing reads"),
    ("dropped-field", "batches.yml", "mini_batch_error_threshold: 0", "mini_batch_threshold: 0", 0, "did you mean"),
    ("missing-field", "train.yml", "name: train\n", "", -2, "needs `name`"),
    ("missing-field", "pipeline.yml", "instance_type: standard_e4s_v3, ", "", 0, "needs `instance_type`"),
    ("unknown-field", "connection.yml", "api_key:", "api_keys:", 0, "did you mean 'api_key'"),
    ("missing-field", "schedule.yml", "trigger:\n  type: cron", "triggers:\n  type: cron", -2, "needs `trigger`"),
    ("missing-field", "monitor.yml", 'input_data: {path: "azureml:rows:1", type: uri_folder}\n        ', "", -1, "needs `input_data`"),
    ("wrong-type", "deployment.yml", "instance_count: 1", "instance_count: many", 0, "whole number"),
    ("wrong-type", "deployment.yml", "request_settings: {request_timeout_ms: 5000, max_concurrent_requests_per_instance: 1}", "request_settings: fast", 0, "mapping"),
    ("wrong-type", "monitor.yml", "emails: [team@example.com]", "emails: team@example.com", 0, "must be a list"),
    ("wrong-type", "job.yml", 'tags: {year: "2026"}', "tags: {year: 2026}", 0, "must be text"),
    ("wrong-type", "pipeline.yml", "experiment_name: all", "experiment_name:", 0, "has no value"),
    ("wrong-type", "judge.yml", "environment: file:./environment.yml", "environment: ./environment.yml", 0, "azureml:"),
    ("wrong-value", "endpoint.yml", "auth_mode: key", "auth_mode: keys", 0, "must be one of"),
    ("wrong-value", "data.yml", "type: uri_file", "type: uri_fil", 0, "uri_file, uri_folder, mltable"),
    ("wrong-value", "sweep.yml", "goal: maximize", "goal: maximise", 0, "maximize"),
    ("wrong-value", "pipeline.yml", "type: sweep", "type: sweeep", 0, "sweep"),
    ("wrong-value", "automl.yml", "normalized_root_mean_squared_error", "accuracy", 0, "must be one of"),
    ("wrong-value", "monitor.yml", "type: data_drift", "type: data_drif", 0, "data_drift"),
    ("wrong-value", "schedule.yml", "type: cron", "type: corn", 0, "cron"),
    ("wrong-value", "weekly.yml", "frequency: week", "frequency: weekly", 0, "week"),
    ("wrong-value", "store.yml", "type: azure_blob", "type: azure_blobs", 0, "azure_blob"),
    ("yaml", "pipeline.yml", "experiment_name: all\n", "experiment_name: all\nexperiment_name: one\n", 1, "given twice"),
    ("yaml", "pipeline.yml", "experiment_name: all\n", "experiment_name: [all\n", 1, "not valid YAML"),
    # -- references and files
    ("bad-reference", "deployment.yml", "azureml:freight:1", "azureml:freight@latest:1", 0, "is no asset"),
    ("bad-reference", "train.yml", "azureml:tools:3", "azureml:tools:3:4", 0, "is no asset"),
    ("pin-asset", "train.yml", "azureml:tools:3", "azureml:tools@latest", 0, "names no version"),
    ("pin-asset", "deployment.yml", "azureml:freight:1", "azureml:freight", 0, "names no version"),
    ("pin-asset", "deployment.yml", "azureml:freight:1", "azureml://registries/all/models/freight/labels/latest", 0, "follows a label"),
    ("pin-image", "environment.yml", "/tools:3", "/tools", 0, "has no tag"),
    ("pin-image", "environment.yml", "/tools:3", "/tools:latest", 0, "moves"),
    ("pin-environment", "environment.yml", "version: 3\n", "", -2, "has no `version`"),
    ("bad-name", "endpoint.yml", "name: freight-prod", "name: f", 0, "3 to 32"),
    ("bad-name", "endpoint.yml", "name: freight-prod", "name: freight-", 0, "3 to 32"),
    ("bad-name", "pipeline.yml", "  learn:", "  learn-it:", 0, "small letters"),
    ("bad-name", "pipeline.yml", "  rate: 0.25", "  rate-x: 0.25", 0, "letters, digits"),
    ("bad-name", "cluster.yml", "name: cpu-cluster", "name: cpu_cluster", 0, "2 to 24"),
    ("bad-name", "workspace.yml", "name: ws-freight", "name: -freight", 0, "2 to 33"),
    ("missing-file", "pipeline.yml", "file:./judge.yml", "file:./juge.yml", 0, "the component"),
    ("missing-file", "pipeline.yml", "path: ./folder", "path: ./folders", 0, "the data"),
    ("missing-file", "train.yml", "code: ./src", "code: ./source", 0, "the folder"),
    ("missing-file", "judge.yml", "file:./environment.yml", "file:./env.yml", 0, "the environment"),
    ("missing-file", "environment.yml", "./conda.yml", "./condas.yml", 0, "does not exist"),
    ("missing-file", "build.yml", "path: ./docker", "path: ./dockers", 0, "the folder"),
    ("missing-file", "build.yml", "path: ./docker", "path: ./docker, dockerfile_path: File", 0, "there is no 'File'"),
    ("missing-file", "deployment.yml", "azureml:freight:1", "./models", 0, "the model"),
    ("missing-file", "edge-deployment.yml", "path: ./model", "path: ./models", 0, "the model"),
    ("missing-file", "deployment.yml", "code: ./src", "code: ./srcs", 0, "the folder"),
    ("missing-file", "schedule.yml", "./pipeline.yml", "./pipelin.yml", 0, "the job"),
    ("missing-file", "data.yml", "./rows.csv", "./row.csv", 0, "the data"),
    ("missing-file", "model.yml", "./model", "./models", 0, "the model"),
    ("missing-file", "automl.yml", "./table", "./tables", 0, "the data"),
    ("missing-file", "pipeline-deployment.yml", "./inner.yml", "./iner.yml", 0, "the component"),
    ("missing-file", "feature-set.yml", "./features", "./feature", 0, "the specification"),
    ("asset", "data.yml", "type: uri_file", "type: uri_folder", 1, "is a file"),
    ("asset", "data.yml", "path: ./rows.csv", "path: ./folder", 0, "is a folder"),
    ("asset", "model.yml", "path: ./model", "path: ./folder", 0, "MLmodel"),
    ("asset", "feature-set.yml", "path: ./features", "path: ./folder", 0, "FeatureSetSpec"),
    ("missing-script", "train.yml", "python train.py", "python trian.py", -1, "'trian.py'"),
    ("missing-script", "judge.yml", "cd sub && python go.py", "python go.py", 0, "'go.py'"),
    ("missing-script", "job.yml", "python -m tools.fit", "python -m tools.fits", 0, "'tools.fits'"),
    ("missing-script", "job.yml", "bash run.sh", "bash runs.sh", 0, "'runs.sh'"),
    ("missing-script", "sweep.yml", "python train.py", "python -u trains.py", 0, "'trains.py'"),
    ("missing-script", "deployment.yml", "scoring_script: score.py", "scoring_script: scores.py", 0, "'scores.py'"),
    ("missing-script", "batches.yml", "entry_script: score.py", "entry_script: scores.py", 0, "'scores.py'"),
    ("missing-script", "spark.yml", "file: train.py", "file: trains.py", 0, "'trains.py'"),
    ("entry-function", "deployment.yml", "scoring_script: score.py", "scoring_script: train.py", 0, "no function init and no run"),
    ("entry-function", "batches.yml", "entry_script: score.py", "entry_script: train.py", 0, "no function run"),
    ("git-code", "train.yml", "code: ./src", "code: git+https://github.com/o/r.git", 0, "git repository"),
    ("no-environment", "deployment.yml", "environment: azureml:serve:2\n", "", 0, "code needs `environment`"),
    ("no-environment", "batch-deployment.yml", "environment: azureml:serve:2\n", "", 0, "code needs `environment`"),
    ("no-environment", "train.yml", "environment: azureml:tools:3\n", "", -12, "needs `environment`"),
    ("image-and-build", "environment.yml", "image: example.azurecr.io/tools:3\n", "", -3, "needs `image` or `build`"),
    ("image-and-build", "build.yml", "build:", "image: example.azurecr.io/x:1\nbuild:", 1, "exclude each other"),
    # -- wiring
    ("unknown-job", "pipeline.yml", "parent.jobs.train.outputs.model", "parent.jobs.trian.outputs.model", 0, "did you mean 'train'"),
    ("unknown-output", "pipeline.yml", "parent.jobs.train.outputs.model", "parent.jobs.train.outputs.mode", 0, "did you mean 'model'"),
    ("unknown-output", "pipeline.yml", "parent.outputs.report", "parent.outputs.reports", 0, "did you mean 'report'"),
    ("unknown-output", "pipeline.yml", 'outputs: {report: "${{parent', 'outputs: {reports: "${{parent', 0, "component judge"),
    ("unknown-input", "pipeline.yml", "parent.inputs.rate", "parent.inputs.rates", 0, "did you mean 'rate'"),
    ("unknown-input", "pipeline.yml", "parent.inputs.where", "parent.inputs.were", 0, "did you mean 'where'"),
    ("unknown-input", "pipeline.yml", "      rate: ${{", "      rates: ${{", 0, "component train"),
    ("unknown-input", "inner.yml", "{rows: ", "{row: ", 0, "component train"),
    ("missing-input", "inner.yml", '    inputs: {rows: "${{parent.inputs.data}}"}\n', "", -3, "required input 'rows'"),
    ("bad-binding", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "rate: ${{inputs.rate}}", 0, "no binding of an input"),
    ("bad-binding", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "rate: ${{parent.input.rate}}", 0, "cannot be read"),
    ("bad-binding", "pipeline.yml", "{made: \"${{parent.outputs.best}}\"}", "{made: \"${{parent.inputs.rows}}\"}", 0, "no binding of an output"),
    ("type-mismatch", "pipeline.yml", "rows: {type: uri_folder,", "rows: {type: uri_file,", 13, "is uri_file, but this input needs uri_folder"),
    ("type-mismatch", "pipeline.yml", "  rows: {type: uri_folder, path: ./folder}", "  rows: 3", 13, "is the literal 3"),
    ("type-mismatch", "pipeline.yml", "    type: Command", "    type: parallel", 0, "is a command component"),
    ("type-mismatch", "pipeline.yml", "  best: {type: mlflow_model}", "  best: {type: uri_file}", 17, "but the pipeline's output 'best' is uri_file"),
    ("bad-literal", "pipeline.yml", "  rate: 0.25", "  rate: 2", 13, "must be at most 1"),
    ("bad-literal", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "rate: -0.5", 0, "must be at least 0"),
    ("bad-literal", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "rate: high", 0, "must be a number"),
    ("bad-literal", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "how: medium", 0, "fast, slow"),
    ("bad-literal", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "depth: 1.5", 0, "whole number"),
    ("bad-literal", "train.yml", "default: 0.5", "default: 1.5", 0, "the default must be at most 1"),
    ("bad-literal", "train.yml", "default: fast", "default: quick", 0, "the default must be one of"),
    ("bad-literal", "train.yml", "min: 0, max: 1", "min: 1, max: 0", 0, "is more than max"),
    ("cycle", "pipeline.yml", "      rows: ${{parent.inputs.rows}}\n      rate", "      rows: ${{parent.jobs.judge.outputs.report}}\n      rate", None, "wait for one another"),
    ("two-writers", "pipeline.yml", "    outputs:\n      model:\n", "    outputs:\n      model: ${{parent.outputs.best}}\n", -11, "train, nested"),
    ("no-writer", "pipeline.yml", "    outputs: {report: \"${{parent.outputs.report}}\"}\n", "", -21, "no job writes"),
    ("unused-input", "pipeline.yml", "rate: ${{parent.inputs.rate}}", "rate: 0.5", -13, "no job uses"),
    ("unused-input", "train.yml", " ${{inputs.rate}}", "", -8, "does not use this input"),
    ("unused-output", "train.yml", " ${{outputs.model}}", "", -4, "does not use this output"),
    ("placeholder", "train.yml", "${{inputs.rows}}", "${{inputs.row}}", -1, "did you mean 'rows'"),
    ("placeholder", "train.yml", "${{inputs.rows}}", "${{input.rows}}", -1, "cannot be read"),
    ("placeholder", "sweep.yml", "${{search_space.size}}", "${{search_space.sise}}", 0, "did you mean 'size'"),
    ("placeholder", "batches.yml", "${{outputs.out}}", "${{outputs.outs}}", 0, "did you mean 'out'"),
    ("placeholder", "spark.yml", "${{inputs.rows}}", "${{inputs.row}}", 0, "did you mean 'rows'"),
    ("placeholder", "job.yml", "${{inputs.rows}}", "${{inputs.row}}", 0, "did you mean 'rows'"),
    ("placeholder", "pipeline.yml", "python train.py ${{inputs.report}}", "python train.py ${{inputs.reports}}", 0, "did you mean 'report'"),
    ("optional-input", "train.yml", "$[[--depth ${{inputs.depth}}]]", "--depth ${{inputs.depth}}", -1, "is optional"),
    ("optional-input", "train.yml", "${{inputs.rate}}", "$[[${{inputs.rate}}]]", -1, "which is not optional"),
    ("workspace-component", "pipeline.yml", "component: file:./judge.yml", "component: azureml:judge:2", 0, "workspace"),
    ("flow", "flow.yml", "false_block: ${{parent.jobs.no_then}}", "false_block: ${{parent.jobs.yes_then}}", 0, "more than once"),
    ("flow", "flow.yml", "    condition: ${{parent.jobs.check.outputs.good}}\n", "", -2, "needs `condition`"),
    ("flow", "flow.yml", "body: ${{parent.jobs.body}}", "body: body", 0, "must name the job"),
    ("unknown-output", "flow.yml", "jobs.check.outputs.good", "jobs.check.outputs.bad", 0, "output of job 'check'"),
    ("unknown-input", "flow.yml", "from_before", "from_after", 0, "input of job 'body'"),
    ("unknown-job", "flow.yml", "${{parent.jobs.yes_then}}", "${{parent.jobs.yes}}", 0, "there is no job 'yes'"),
    ("out-of-range", "flow.yml", "max_iteration_count: 3", "max_iteration_count: 1001", 0, "at most 1000"),
    # -- where it runs
    ("no-compute", "sweep.yml", "compute: azureml:cpu\n", "", -2, "needs resources.instance_type"),
    ("no-compute", "edge.yml", "compute: azureml:edge\n", "", -2, "a Kubernetes endpoint needs `compute`"),
    ("no-compute", "pipeline.yml", "default_compute: azureml:cpu, ", "", 23, "has no `compute`"),
    ("no-compute", "spark.yml", 'resources: {instance_type: standard_e8s_v3, runtime_version: "3.4"}\n', "", -15, "needs `resources`"),
    ("vm-size", "deployment.yml", "Standard_DS3_v2", "Standard_DS3_v9", 0, "no series"),
    ("vm-size", "deployment.yml", "Standard_DS3_v2", "Standard_DS6_v2", 0, "this series has"),
    ("vm-size", "cluster.yml", "Standard_DS3_v2", "STANDARD_D3S", 0, "no series"),
    ("vm-size", "instance.yml", "Standard_E4s_v3", "huge", 0, "is no size"),
    ("vm-size", "pipeline.yml", "Standard_DS3_v2", "Standard_D5_v3", 0, "this series has"),
    ("vm-size", "monitor.yml", "standard_e4s_v3", "standard_d4s_v3", 0, "must be one of"),
    ("instances", "deployment.yml", "instance_count: 1", "instance_count: 0", 0, "from 1 to 50"),
    ("instances", "train.yml", "{instance_count: 1}", "{instance_count: 0}", 0, "at least 1"),
    ("instances", "train.yml", "process_count_per_instance: 1", "process_count_per_instance: 0", 0, "at least 1"),
    ("instances", "batch-deployment.yml", "{instance_count: 2}", "{instance_count: 0}", 0, "from 1"),
    ("distribution", "train.yml", "{type: pytorch, process_count_per_instance: 1}", "{type: ray, port: 70000}", 0, "from 1 to 65535"),
    ("spark", "spark.yml", "  spark.driver.cores: 1\n", "", -1, "needs spark.driver.cores"),
    ("spark", "spark.yml", "spark.driver.memory: 2g", "spark.driver.memory: 2 GB", 0, "size such as"),
    ("spark", "spark.yml", "minExecutors: 1", "minExecutors: 5", 0, "is more than"),
    ("spark", "spark.yml", "minExecutors: 1", "minExecutors: 0", 0, "at least 1"),
    ("spark", "spark.yml", "enabled: true", "enabled: false", None, "counts only when"),
    ("spark", "count.yml", "rows: {type: uri_folder, mode: direct}", "rows: {type: uri_folder, mode: ro_mount}", 0, "must be direct"),
    ("spark", "pipeline.yml", 'runtime_version: "3.4"', 'runtime_version: "2.4"', 0, "must be one of"),
    # -- kinds
    ("search-space", "sweep.yml", "values: [2, 3]", "values: []", 0, "at least one value"),
    ("search-space", "sweep.yml", "max_value: 0", "max_value: -5", 0, "less than max_value"),
    ("search-space", "sweep.yml", "upper: 4", "upper: 0", 0, "more than 0"),
    ("search-space", "sweep.yml", "{type: random, seed: 1}", "grid", 3, "grid sampling knows only choice"),
    ("search-space", "sweep.yml", "{type: random, seed: 1}", "bayesian", 3, "bayesian sampling knows"),
    ("sweep-limits", "sweep.yml", "max_concurrent_trials: 2", "max_concurrent_trials: 9", 0, "more than max_total_trials"),
    ("sweep-limits", "sweep.yml", "max_total_trials: 8", "max_total_trials: 1001", 0, "from 1 to 1000"),
    ("sweep-limits", "sweep.yml", "trial_timeout: 600", "trial_timeout: 3601", 0, "longer than"),
    ("sweep-limits", "pipeline.yml", "max_total_trials: 4,", "max_total_trials: 1,", 0, "more than max_total_trials"),
    ("termination", "sweep.yml", "slack_factor: 0.1, ", "", 0, "slack_factor"),
    ("termination", "sweep.yml", "evaluation_interval: 1", "evaluation_interval: 0", 0, "at least 1"),
    ("unused-search-space", "sweep.yml", " ${{search_space.size}}", "", -6, "all trials are alike"),
    ("unused-search-space", "pipeline.yml", "search_space: {rate:", "search_space: {rates:", 0, "no such input"),
    ("mini-batch", "batches.yml", 'mini_batch_size: "10kb"', 'mini_batch_size: "many"', 0, "got 'many'"),
    ("mini-batch", "pipeline.yml", 'mini_batch_size: "1"', 'mini_batch_size: "0"', 0, "got '0'"),
    ("mini-batch", "batches.yml", "max_concurrency_per_instance: 2", "max_concurrency_per_instance: 0", 0, "at least 1"),
    ("mini-batch", "batch-deployment.yml", "mini_batch_size: 10", "mini_batch_size: 0", 0, "at least 1"),
    ("mini-batch", "batch-deployment.yml", "max_retries: 3", "max_retries: -1", 0, "at least 0"),
    ("hidden-failures", "batches.yml", "mini_batch_error_threshold: 0", "mini_batch_error_threshold: -1", 0, "hides"),
    ("task", "batches.yml", "input_data: ${{inputs.rows}}", "input_data: rows", 0, "one input"),
    ("task", "automl.yml", "max_concurrent_trials: 4", "max_concurrent_trials: 9", 0, "more than max_trials"),
    ("task", "automl.yml", "trial_timeout_minutes: 20", "trial_timeout_minutes: 90", 0, "longer than"),
    ("task", "automl.yml", "n_cross_validations: 5", "n_cross_validations: 1", 0, "from 2"),
    ("task", "automl.yml", "forecast_horizon: 12", "forecast_horizon: soon", 0, "auto or a number"),
    ("task", "pipeline.yml", "max_trials: 4,", "max_trials: 1,", 0, "more than max_trials"),
    ("task", "batch-deployment.yml", "output_action: append_row", "output_action: summary_only", 0, "writes no file"),
    ("traffic", "endpoint.yml", "blue: 90", "blue: 80", 0, "sums to 90"),
    ("traffic", "endpoint.yml", "blue: 90", "blue: 90.5", 0, "whole percent"),
    ("traffic", "endpoint.yml", "grey: 20", "grey: 51", 0, "at most 50"),
    ("traffic", "endpoint.yml", "grey: 20", "green: 20", 0, "live or mirrored"),
    ("traffic", "endpoint.yml", "grey: 20", "grey: 20, black: 1", 0, "one deployment only"),
    ("traffic", "edge.yml", "auth_mode: key", "auth_mode: key\nmirror_traffic: {grey: 10}", 1, "mirrors no traffic"),
    ("probe", "deployment.yml", "request_timeout_ms: 5000", "request_timeout_ms: 180001", 0, "from 1 to 180000"),
    ("probe", "deployment.yml", "period: 10", "period: 0", 0, "at least 1"),
    ("probe", "deployment.yml", "sampling_rate: 0.5", "sampling_rate: 1.5", 0, "from 0 to 1"),
    ("scale", "edge-deployment.yml", "min_instances: 1", "min_instances: 5", 0, "more than max_instances"),
    ("scale", "cluster.yml", "min_instances: 0", "min_instances: 5", 0, "more than max_instances"),
    ("quantity", "edge-deployment.yml", 'cpu: "500m"', 'cpu: "half"', 0, "0.5 or 500m"),
    ("quantity", "edge-deployment.yml", 'memory: "0.5Gi"', 'memory: "0.5GiB"', 0, "0.5Gi or 512Mi"),
    ("quantity", "edge-deployment.yml", 'cpu: "500m"', 'cpu: "1500m"', 0, "more than its limit"),
    ("cron", "schedule.yml", "0 3 * *", "0 24 * *", 0, "hour '24'"),
    ("cron", "schedule.yml", "0 3 * * mon-fri", "0 3 * *", 0, "five fields"),
    ("cron", "schedule.yml", "0 3 * *", "0 3 * 6", 0, "ignores day of month and month"),
    ("recurrence", "weekly.yml", "interval: 1", "interval: 0", 0, "from 1 to 52"),
    ("recurrence", "weekly.yml", "hours: [3]", "hours: [24]", 0, "from 0 to 23"),
    ("recurrence", "weekly.yml", "minutes: 15", "minutes: 60", 0, "from 0 to 59"),
    ("recurrence", "weekly.yml", "frequency: week", "frequency: hour", 2, "needs frequency day"),
    ("recurrence", "monitor.yml", "month_days: [1, 31]", "month_days: [0, 31]", 0, "from 1 to 31"),
    ("time-zone", "schedule.yml", "time_zone: UTC", "time_zone: Mars/Base", 0, "no time zone"),
    ("window", "schedule.yml", '"2026-12-31T00:00:00"', '"2025-12-31T00:00:00"', 0, "later than start_time"),
    ("window", "schedule.yml", '"2026-12-31T00:00:00"', '"soon"', 0, "date and time"),
    ("window", "monitor.yml", "lookback_window_size: P7D", "lookback_window_size: 7 days", 0, "P7D"),
    ("threshold", "monitor.yml", "null_value_rate: 0.05", "null_value_rate: 5", 0, "between 0 and 1"),
    ("threshold", "monitor.yml", "jensen_shannon_distance: 0.01", "jensen_shannon_distance: -0.01", 0, "0 or more"),
    ("silent-monitor", "monitor.yml", "      metric_thresholds: {numerical: {null_value_rate: 0.05}}\n", "", -2, "never raise"),
    ("email", "monitor.yml", "team@example.com", "team.example.com", 0, "no e-mail address"),
    # -- found by edits of public files
    ("time-zone", "schedule.yml", "time_zone: UTC", "time_zone: Pacific Time", 0, "no time zone"),
    ("bad-reference", "monitor.yml", '"azureml:freight:blue"', "freight", 0, "azureml:<endpoint>:<deployment>"),
    ("unknown-input", "schedule.yml", "create_job: ./pipeline.yml", "create_job: {type: pipeline, job: ./pipeline.yml, inputs: {rates: 1}}", 0, "did you mean 'rate'"),
    ("scale", "deployment.yml", "instance_count: 1\n", "instance_count: 1\nscale_settings: {type: target_utilization}\n", 1, "takes `default` only"),
    # -- found by edits of every field
    ("wrong-value", "pipeline.yml", "rows: {type: uri_folder, path: ./folder}", "rows: {type: uri_foldr, path: ./folder}", 0, "uri_folder"),
    ("wrong-value", "train.yml", "type: pytorch,", "type: horovod,", 0, "mpi, pytorch, ray, tensorflow"),
    ("wrong-value", "sweep.yml", "type: bandit", "type: bandits", 0, "bandit, median_stopping, truncation_selection"),
    ("wrong-value", "pipeline.yml", "task: classification", "task: clasification", 0, "forecasting"),
    ("wrong-type", "sweep.yml", "min_value: -3", "min_value: low", 0, "must be a number; got"),
    ("wrong-type", "pipeline.yml", "  rate: 0.25", "  rate: [1]", 0, "or be a number"),
    ("asset", "pipeline.yml", "path: ./folder", "path: ./rows.csv", 0, "is a file"),
    ("asset", "job.yml", "path: ./rows.csv", "path: ./folder", 0, "is a folder"),
    ("asset", "automl.yml", "path: ./table", "path: ./folder", 0, "no file MLTable"),
    ("asset", "monitor.yml", "path: ./table", "path: ./folder", 0, "no file MLTable"),
    ("asset", "edge-deployment.yml", "path: ./model", "path: ./folder", 0, "no file MLmodel"),
    ("asset", "environment.yml", "./conda.yml", "./src/run.sh", 0, "is no conda file"),
    ("asset", "environment.yml", "conda_file: ./conda.yml", "conda_file: {dependencies: pip}", 0, "must be a list"),
    ("bad-reference", "pipeline.yml", "component: file:./judge.yml", "component: ./data.yml", 0, "is no component"),
    ("bad-reference", "job.yml", "compute: azureml:cpu", "compute: azureml:cpu:1", 0, "without a version"),
    ("bad-reference", "edge.yml", "compute: azureml:edge", "compute: azureml:edge@latest", 0, "without a version"),
    ("bad-reference", "data.yml", "./rows.csv", "azureml://datastore/x/paths/y", 0, "'datastores', not 'datastore'"),
    ("bad-reference", "data.yml", "./rows.csv", "azureml://datastores/x/path/y", 0, "no path of a datastore"),
    ("bad-reference", "job.yml", "./rows.csv", "'htps://example.com/rows.csv'", 0, "did you mean https://"),
    ("bad-reference", "feature-set.yml", "azureml:trip:1", "'trip:1'", 0, "azureml:<name>:<version>"),
    ("bad-binding", "pipeline.yml", '"${{parent.jobs.train.outputs.model}}"', '"${{jobs.train.outputs.model}}"', 0, "cannot be read"),
    ("bad-binding", "pipeline.yml", '"${{parent.jobs.train.outputs.model}}"', '"{{parent.jobs.train.outputs.model}}"', 0, "cannot be read"),
    ("bad-binding", "pipeline.yml", '"${{parent.jobs.train.outputs.model}}"', '"${parent.jobs.train.outputs.model}"', 0, "cannot be read"),
    ("bad-binding", "pipeline.yml", '"${{parent.jobs.train.outputs.model}}"', '"${{parent.jobs.train.outputs.model}"', 0, "cannot be read"),
    ("type-mismatch", "pipeline.yml", "compute: ${{parent.inputs.where}}", "compute: ${{parent.inputs.rate}}", 0, "but a compute is text"),
    ("type-mismatch", "pipeline.yml", "compute: ${{parent.inputs.where}}", "compute: ${{parent.inputs.rows}}", 0, "but a compute is text"),
    ("placeholder", "judge.yml", "${{inputs.model}}", "{{inputs.model}}", 0, "cannot be read"),
    ("placeholder", "judge.yml", "${{inputs.model}}", "${{inputs.model}", 0, "cannot be read"),
    ("placeholder", "judge.yml", "${{inputs.model}}", "$[[${{inputs.model}}]", 0, "is not closed"),
    ("instances", "pipeline.yml", "{instance_count: 1, instance_type: Standard_DS3_v2}", "{instance_count: -1}", 0, "at least 1"),
    ("quantity", "pipeline.yml", "{instance_count: 1, instance_type: Standard_DS3_v2}", "{shm_size: 2q}", 0, "as 2g"),
    ("bad-literal", "train.yml", "min: 0, max: 1", "min: a, max: 1", 0, "must be a number"),
    ("bad-literal", "train.yml", "enum: [fast, slow]", "enum: []", 0, "no word"),
    ("wrong-value", "judge.yml", "command: cd sub && python go.py ${{inputs.model}} ${{outputs.report}}", "command: ' '", 0, "is empty"),
    ("wrong-value", "sweep.yml", "primary_metric: auc", "primary_metric: ''", 0, "names no metric"),
    ("wrong-value", "environment.yml", "image: example.azurecr.io/tools:3", "image: example.azurecr.io/tools 3", 0, "no name of an image"),
    ("wrong-value", "workspace.yml", "westeurope", "westeurop", 0, "did you mean 'westeurope'"),
    ("wrong-value", "batch-endpoint.yml", "auth_mode: aad_token", "auth_mode: key", 0, "aad_token only"),
    ("wrong-value", "batch-deployment.yml", "error_threshold: -1", "error_threshold: -1, logging_level: loud", 0, "debug, info, warning"),
    ("wrong-type", "job.yml", "environment_variables: {A: b}", "environment_variables: {A: {b: c}}", 0, "must be text"),
    ("wrong-type", "deployment.yml", "instance_count: 1\n", "instance_count: 1\nenvironment_variables: {A: [1]}\n", 1, "must be text"),
    ("out-of-range", "job.yml", "compute: azureml:cpu", "compute: azureml:cpu\nservices: {s: {type: jupyter_lab, port: 99999}}", 1, "from 1 to 65535"),
    ("out-of-range", "instance.yml", "size: Standard_E4s_v3", "size: Standard_E4s_v3\nidle_time_before_shutdown_minutes: 5", 1, "from 15 to 4320"),
    ("out-of-range", "monitor.yml", "top_n_feature_importance: 10", "top_n_feature_importance: 0", 0, "at least 1"),
    ("window", "instance.yml", "size: Standard_E4s_v3", "size: Standard_E4s_v3\nidle_time_before_shutdown: 30 minutes", 1, "PT30M"),
    ("probe", "deployment.yml", "max_concurrent_requests_per_instance: 1", "max_queue_wait_ms: -1", 0, "at least 0"),
    ("scale", "edge-deployment.yml", "polling_interval: 10", "polling_interval: 0", 0, "at least 1"),
    ("missing-field", "edge-deployment.yml", "{path: ./model, type: mlflow_model}", "{name: freight}", 0, "needs `path`"),
    ("missing-field", "deployment.yml", ", scoring_script: score.py", "", 0, "needs `scoring_script`"),
    ("missing-field", "endpoint.yml", "auth_mode: key", "auth_mode: key\nidentity: {type: user_assigned}", 1, "user_assigned_identities"),
    ("missing-field", "build.yml", "build: {path: ./docker}", "build: {dockerfile_path: Dockerfile}", 0, "needs `path`"),
    ("missing-field", "schedule.yml", "create_job: ./pipeline.yml\n", "", -8, "needs `create_job`"),
    ("missing-file", "train.yml", "code: ./src", "code: ./src\nadditional_includes: [./nowhere.py]", 1, "the include"),
    ("missing-file", "count.yml", "code: ./src\n", "code: ./src\npy_files: [nope.zip]\n", 1, "not in the code folder"),
    ("spark", "count.yml", "spark.executor.cores: 2", "spark.executor.cores: two", 0, "whole number"),
    ("task", "batches.yml", "input_data: ${{inputs.rows}}\n", "", -8, "needs `input_data`"),
    ("task", "batches.yml", "  entry_script: score.py\n", "", -3, "needs `entry_script`"),
    ("bad-name", "train.yml", "name: train", "name: Train Me", 0, "small letters"),
    ("bad-name", "train.yml", "version: 1\n", "version: a b\n", 0, "letters, digits"),
    ("bad-name", "data.yml", "name: rows", "name: my rows", 0, "letters, digits"),
    ("bad-name", "job.yml", "compute: azureml:cpu", "compute: azureml:cpu\nname: my job", 1, "letters, digits"),
    ("bad-name", "store.yml", "name: blobs", "name: my-blobs", 0, "letters, digits and '_'"),
    # -- found by edits of forms that other repositories have
    ("missing-field", "batch-deployment.yml", "model: azureml:freight:1\n", "", None, "needs `model`"),
    ("missing-field", "automl.yml", "training_data:", "trainingdata:", None, "needs `training_data`"),
    ("bad-reference", "pipeline.yml", "default_datastore: azureml:workspaceblobstore", "default_datastore: azureml:workspaceblobstore:1", 0, "is no datastore"),
    ("bad-literal", "schedule.yml", "create_job: ./pipeline.yml", "create_job: {type: pipeline, job: ./pipeline.yml, inputs: {rate: 2}}", 0, "must be at most 1"),
    ("quantity", "edge-deployment.yml", 'cpu: "500m"', 'cpu: "500m", nvidia.com/gpu: half', 0, "whole number of GPUs"),
    ("wrong-value", "store.yml", "name: blobs", "name: blobs\nprotocol: ftp", 1, "must be https"),
    ("wrong-value", "workspace.yml", "name: ws-freight", "name: ws-freight\nmanaged_network: {isolation_mode: allow_only_approved_outbound, outbound_rules: [{name: a, type: fqdns, destination: example.com}]}", 1, "must be one of fqdn"),
    ("wrong-value", "workspace.yml", "name: ws-freight", "name: ws-freight\nmanaged_network: {isolation_mode: allow_only_approved_outbound, outbound_rules: [{name: a, type: service_tag, destination: {service_tag: Storage, protocol: http, port_ranges: '80'}}]}", 1, "must be TCP"),
    ("out-of-range", "workspace.yml", "name: ws-freight", "name: ws-freight\nmanaged_network: {isolation_mode: allow_only_approved_outbound, outbound_rules: [{name: a, type: service_tag, destination: {service_tag: Storage, protocol: TCP, port_ranges: '80, 90-85'}}]}", 1, "'90-85'"),
    ("bad-name", "store.yml", "account_name: account", "account_name: Account-1", 0, "small letters"),
]  # fmt: skip


def test_every_good_file_is_good(shelf):
    found = [f for f in shelf.findings() if f.level != "note"]
    assert found == []


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}: {c[1]}: {c[3][:40]!r}")
def test_a_wrong_edit_is_found_for_its_reason(shelf, case):
    rule, file, old, new, below, says = case
    line = shelf.edit(file, old, new)
    found = shelf.findings(file)
    hits = [f for f in found if f.id == rule and says in f.message]
    assert hits, f"not found among {[str(f) for f in found]}"
    if below is not None:
        assert line + below in {f.line for f in hits if f.file == file}, [str(f) for f in hits]


def test_the_table_holds_every_rule_that_one_edit_can_break():
    from mlops.lint import RULES

    # What a model's code lacks is told by the files of the repository, not by one Azure ML file.
    of_models = {"missing-package", "parameter-apart", "split-on-spark"}
    elsewhere = {
        "refused",
        "silence",
        "retired-size",  # by the day
        *of_models,
        *(name for name, rule in RULES.items() if rule.level == "note"),
    }
    assert set(RULES) - {case[0] for case in CASES} == elsewhere


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "W. Europe Standard Time", "Central Standard Time (Mexico)", "UTC-11"]
)
def test_names_of_time_zones_that_azure_takes(shelf, zone):
    shelf.edit("schedule.yml", "time_zone: UTC", f"time_zone: {zone}")
    assert not [f for f in shelf.findings("schedule.yml") if f.id == "time-zone"]


@pytest.mark.parametrize(
    ("brought", "text"),
    [
        (".gitmodules", '[submodule "x"]\n\tpath = later\n\turl = https://example.com/x.git\n'),
        ("download.sh", "curl -o later/rows-of-may.csv https://example.com/rows\n"),
        (".gitignore", "later/\n"),
    ],
)
def test_what_comes_later_is_a_note(shelf, brought, text):
    """Git, a submodule or a script brings it; a path that nothing speaks of stays an error."""
    shelf.write(".git/HEAD", "")
    shelf.edit("data.yml", "./rows.csv", "./later/rows-of-may.csv")
    assert [f.id for f in shelf.findings("data.yml")] == ["missing-file"]
    shelf.write(brought, text)
    assert [f.id for f in shelf.findings("data.yml")] == ["given-later"]


@pytest.mark.parametrize(
    ("script", "given"),
    [
        ("az ml batch-deployment create --file batch-deployment.yml --set model=azureml:freight:1", True),
        (
            "az ml batch-deployment create -f ./batch-deployment.yml \\\n  --set name=a \\\n  model=azureml:x:1",
            True,
        ),
        (
            "az ml batch-deployment create -f batch-deployment.yml \\\n  --set name=a \\\n  model=azureml:x:1",
            True,
        ),
        ("az ml batch-deployment create -f batch-deployment.yml `\n  --set model.path=azureml:x:1", True),
        ("az ml batch-deployment create -f batch-deployment.yml --set my_model=azureml:x:1", False),
        ("az ml batch-deployment create -f batch-deployment.yml --set name=a\nmodel=b", False),
        ("az ml batch-deployment create -f batch-deployment.yml model=b", False),
        ("az ml batch-deployment create -f big-batch-deployment.yml --set model=azureml:freight:1", False),
        ("az ml batch-deployment create -f batch-deployment.yml", False),
    ],
)
def test_what_the_command_line_gives_is_a_note(shelf, script, given):
    """A field that a script beside the file gives by `--set` is not missing."""
    shelf.edit("batch-deployment.yml", "model: azureml:freight:1\n", "")
    shelf.write("deploy.sh", script + "\n")
    found = [(f.id, "deploy.sh" in f.message) for f in shelf.findings("batch-deployment.yml")]
    assert found == [("given-later", True) if given else ("missing-field", False)]


def test_a_model_that_a_tool_publishes_has_its_path_elsewhere(shelf):
    shelf.edit("model.yml", "path: ./model\n", "")
    assert [f.id for f in shelf.findings("model.yml")] == ["missing-field"]
    shelf.write("asset.yaml", "spec: model.yml\n")
    assert [f.id for f in shelf.findings("model.yml")] == ["given-later"]


def test_one_mistake_is_told_once(shelf):
    """The shape and the check of what a field means may both see it: the better words stay."""
    text = "type: command\ncommand: echo\nenvironment: azureml:t:3\ncompute: azureml:c\ndistribution: {type: pytorch, worker_count: 2}\n"
    shelf.write("spread.yml", text)
    found = [f for f in shelf.findings("spread.yml") if "worker_count" in f.field]
    assert [f.id for f in found] == ["distribution"]


def test_a_job_without_a_type_is_judged_as_a_command(shelf):
    text = "type: pipeline\nsettings: {default_compute: azureml:small}\njobs:\n  one: {command: echo, environment: 'azureml:t:3', limitz: 3}\n"
    shelf.write("bare.yml", text)
    (found,) = shelf.findings("bare.yml")
    assert found.field == "jobs.one.limitz" and "did you mean 'limits'" in found.message
