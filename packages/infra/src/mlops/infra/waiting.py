"""Grants take minutes until Azure sees them everywhere: what needs one at once is tried again, not failed.

Only for the resources that ask for it, and only for the words that Azure has for a right that is not there
yet (Azure/bicep#16601: encrypted storage; learn.microsoft.com, "Troubleshoot Azure RBAC", changes that are
not detected). A right that is missing for good is told after about ten minutes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

import pulumi

NOT_YET: Final = (
    "KeyVaultAuthenticationFailure",
    "KeyVaultAccessForbidden",
    "LinkedAuthorizationFailed",
    "PrincipalNotFound",
    "does not have authorization to perform action",
    "AuthorizationFailed",
)
_FIRST: Final = 5.0
_LONGEST: Final = 120.0
_TRIES: Final = 9

_HOOK: ContextVar[pulumi.ErrorHook | None] = ContextVar("hook", default=None)


def pause(errors: Sequence[str]) -> float | None:
    """Seconds until the next try; None when it would not help. `errors` are all so far, newest first."""
    if not errors or len(errors) > _TRIES or not any(words in errors[0] for words in NOT_YET):
        return None
    return min(_FIRST * float(2 ** (len(errors) - 1)), _LONGEST)


def for_grants() -> pulumi.ResourceHookBinding:
    """The option `hooks` of a resource that needs a grant at once."""
    hook = _HOOK.get()
    if hook is None:
        _HOOK.set(hook := pulumi.ErrorHook("wait-for-grants", _again))
    return pulumi.ResourceHookBinding(on_error=[hook])


def _again(args: pulumi.ErrorHookArgs) -> bool:
    seconds = pause(args.errors) if args.failed_operation == "create" else None
    if seconds is None:
        return False
    pulumi.log.info(f"{args.name}: a role assignment does not count yet; tried again in {seconds:.0f} s")
    time.sleep(seconds)
    return True
