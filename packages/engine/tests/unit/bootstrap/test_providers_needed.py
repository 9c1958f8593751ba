"""A subscription must know every service that a stack makes, and those that Azure makes for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlops.bootstrap.providers import ALWAYS, OPTIONS, OWN_KEYS, needed
from mlops.bootstrap.world import Stack
from mlops.spec.naming import Names

NAMES = Names("prices", "dev", "westeurope")


def _stack(**config: Any) -> Stack:
    options = SimpleNamespace(**dict.fromkeys(OPTIONS) | config.pop("options", {}))
    return Stack("dev", SimpleNamespace(options=options, **config), NAMES, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("own", [True, False])
def test_own_keys_need_what_azure_makes_for_them(own: bool) -> None:
    found = set(needed([_stack(customer_managed_keys=own)]))
    assert found == {*ALWAYS, *(OWN_KEYS if own else ())}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_needs_its_own(option: str) -> None:
    found = set(needed([_stack(options={option: object()})]))
    assert found == {*ALWAYS, *OPTIONS[option]}


def test_a_stack_of_another_kind_needs_what_all_need() -> None:
    assert needed([Stack("shared", object(), NAMES, "")]) == sorted(ALWAYS)  # type: ignore[arg-type]
