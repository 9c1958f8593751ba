"""The Pulumi program: what a stack is made of, in which order. Its parts are the package `mlops.infra`."""
