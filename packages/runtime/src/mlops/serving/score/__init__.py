"""The scoring core: an artifact, a request's rows, an answer."""
