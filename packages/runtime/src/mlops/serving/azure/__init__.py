"""The entry scripts of Azure ML's own servers; `mlops.spec.engine` puts them beside the package."""
