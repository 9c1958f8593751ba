"""Every module that adds verbs; importing them registers the commands, in the order of the help."""

from mlops.cli import (  # noqa: F401, I001
    _demo,
    _train,
    _tune,
    _versions,
    _data,
    _serve,
    _batch,
    _profile,
    _sign,
    _promote,
    _forge,
    _monitor,
    _ingest,
    _repository,
    _scaffold,
    _events,
    _board,
    _card,
    _infra,
    _ui,
)
