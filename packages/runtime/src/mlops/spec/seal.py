"""What makes a record on a version believed: a seal that its writer can make and others can only check."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol


class Seal(Protocol):
    """Makes seals, where that may be, and says whether one holds."""

    @property
    def by(self) -> str:
        """With what, in words: `this machine's key`."""

    @property
    def strict(self) -> bool:
        """Whether nothing but a sealed record counts, also of what was served before there were seals."""

    def made(self, message: bytes) -> str:
        """The seal of a message, in letters that a tag takes. Raises `Blocked` or `TargetError` for who may
        not make one."""

    def holds(self, message: bytes, seal: str) -> bool:
        """Whether `seal` is one of this message."""


class MachineKey:
    """A secret of one machine, empty while there is none. It proves that somebody who can read its file
    recorded something, not who."""

    by = "this machine's key"
    strict = False

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def made(self, message: bytes) -> str:
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()

    def holds(self, message: bytes, seal: str) -> bool:
        # Everybody knows the empty secret.
        return bool(self._secret) and hmac.compare_digest(seal.encode(), self.made(message).encode())
