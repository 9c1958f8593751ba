"""Entry points of the pipeline's command components: `python -m mlops.steps.<name> --option value …`.

Each module is one component: `main(argv)` returns an exit code. The same command runs on a laptop and on
Azure ML; where a step logs is told by `MLFLOW_TRACKING_URI` and `MLFLOW_RUN_ID`.
"""
