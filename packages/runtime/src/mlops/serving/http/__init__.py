"""The endpoint: connections, keys, deployments, traffic."""
