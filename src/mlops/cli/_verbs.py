"""Every module that adds verbs; importing them registers the commands, in the order of the help."""

from mlops.cli import _demo, _train, _versions, _serve, _promote, _repository, _infra, _ui  # noqa: F401, I001
