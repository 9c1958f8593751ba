"""Every module that adds verbs; importing them registers the commands, in the order of the help."""

from mlops.cli import (  # isort: skip
    # <example>
    _demo,
    # </example>
    _template,
    _doctor,
    _scaffold,
    _ui,
    _train,
    _tune,
    _data,
    _ingest,
    _versions,
    _sign,
    _serve,
    _batch,
    _schedule,
    _profile,
    _promote,
    _forge,
    _repository,
    _run,
    _monitor,
    _events,
    _board,
    _card,
    _bootstrap,
    _infra,
    _smoke,
)
from mlops.cli._app import app

PANELS = {
    # <example>
    "The example": (_demo,),
    # </example>
    "Start": (_template, _doctor, _scaffold, _ui),
    "From data to a release": (_train, _tune, _data, _ingest, _versions, _sign),
    "What is served": (_serve, _batch, _schedule, _profile),
    "Promotion and review": (_promote, _forge, _repository, _run),
    "Production": (_monitor, _events, _board, _card),
    "Azure resources": (_bootstrap, _infra, _smoke),
}
"""Headings of the help and whose verbs stand below them."""

for _panel, _modules in PANELS.items():
    _names = {module.__name__ for module in _modules}
    for _command in app.registered_commands:
        if getattr(_command.callback, "__module__", None) in _names:
            _command.rich_help_panel = _panel
    for _group in app.registered_groups:
        if any(_group.typer_instance in vars(module).values() for module in _modules):
            _group.rich_help_panel = _panel
