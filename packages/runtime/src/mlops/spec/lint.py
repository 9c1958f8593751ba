"""`[lint]` of mlops.toml: which house rules `mlops pipeline lint` keeps, and where."""

from __future__ import annotations

from mlops.spec._base import Spec


class LintSettings(Spec):
    """House rules of Azure ML files. Errors of Azure ML itself cannot be switched off."""

    folders: tuple[str, ...] = ("pipelines",)
    """Folders of the repository whose files keep the house rules."""
    off: tuple[str, ...] = ()
    """House rules that are off, by id; docs/lint.md names them."""
    vm_sizes: tuple[str, ...] = ()
    """Sizes of virtual machines that Azure has and the lint does not know yet."""
