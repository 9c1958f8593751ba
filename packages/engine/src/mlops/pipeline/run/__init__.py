"""The local runner of pipelines."""
