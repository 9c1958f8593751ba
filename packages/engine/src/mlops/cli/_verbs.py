"""Every module that adds verbs; importing them registers the commands, in the order of the help.

Another package adds verbs by a module in the namespace `mlops.verbs`, which names its heading as `PANEL`.
"""

import importlib
import pkgutil
from types import ModuleType

from mlops.cli import (  # isort: skip
    _template,
    _doctor,
    _audit,
    _scaffold,
    _ui,
    _train,
    _runs,
    _params,
    _notebook,
    _tune,
    _data,
    _ingest,
    _versions,
    _sign,
    _serve,
    _start,
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
    _infra_cost,
    _smoke,
    _target,
)
from mlops.cli._app import app

PANELS = {
    "Start": (_template, _doctor, _audit, _scaffold, _ui),
    "From data to a release": (_train, _runs, _params, _notebook, _tune, _data, _ingest, _versions, _sign),
    "What is served": (_serve, _start, _batch, _schedule, _profile),
    "Promotion and review": (_promote, _forge, _repository, _run),
    "Production": (_monitor, _events, _board, _card),
    "Azure resources": (_bootstrap, _infra, _infra_cost, _smoke, _target),
}
"""Headings of the help and whose verbs stand below them."""


def _added() -> list[ModuleType]:
    try:
        namespace = importlib.import_module("mlops.verbs")
    except ModuleNotFoundError:
        return []
    names = (info.name for info in pkgutil.iter_modules(namespace.__path__, "mlops.verbs."))
    return [importlib.import_module(name) for name in names]


for _module in _added():
    PANELS[_module.PANEL] = (*PANELS.get(_module.PANEL, ()), _module)

for _panel, _modules in PANELS.items():
    _names = {module.__name__ for module in _modules}
    for _command in app.registered_commands:
        if getattr(_command.callback, "__module__", None) in _names:
            _command.rich_help_panel = _panel
    for _group in app.registered_groups:
        if any(_group.typer_instance in vars(module).values() for module in _modules):
            _group.rich_help_panel = _panel
