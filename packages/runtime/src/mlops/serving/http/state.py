"""What an endpoint serves, as a file that only its server writes: `endpoint.json` in the state folder.

The file is replaced as a whole and flushed to disk, so that a killed server comes back with the last
state that was in effect. Keys live beside it in `keys.json`, readable by the owner alone.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.spec import writing
from mlops.spec._base import Digest, EnvName, ModelName, Spec
from mlops.spec.capture import CaptureSettings
from mlops.spec.signing import Signed

STATE = "endpoint.json"
_LONGEST = 1 << 20
"""Bytes that are read of such a file; a longer one is none of ours."""
KEYS = "keys.json"
FOLLOWING = ".keys.following.json"
"""Keys that the server shall take before anybody else sees them."""


class DeploymentState(Spec):
    """One deployment as it was asked for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    release: int = Field(ge=1)
    digest: Digest
    folder: Path
    traffic: int = Field(default=0, ge=0, le=100)
    mirror: int = Field(default=0, ge=0, le=100)
    created: datetime
    signed: Signed | None = None
    """The signature that is verified before anything is loaded; None: the digest alone decides."""


class ServerState(Spec):
    """The whole file."""

    environment: EnvName
    model: ModelName
    port: int = 0
    """0 until the server has chosen one; it keeps it as long as it is free."""
    deployments: list[DeploymentState] = []
    capture: CaptureSettings | None = None
    """None: nothing is captured."""


Key = Annotated[str, Field(pattern=r"^[!-~]{16,}$")]
"""What fits in a header and nobody guesses; an empty one would let everybody in."""


class Keys(Spec):
    """Two keys for callers, so that one can be changed while the other is in use, and one for control."""

    primary: Key
    secondary: Key
    admin: Key


def read_state(folder: Path) -> ServerState | None:
    """None when the endpoint was never made. Raises `InvalidInput`."""
    path = folder / STATE
    content = _content(path)
    if content is None:
        return None
    try:
        return ServerState.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        env = folder.parent.name
        cure = f"run `mlops stop {env}`, then `mlops apply {env}`"
        raise InvalidInput(Problem(str(path), f"{first['msg']}; {cure}", place)) from None


def write_state(folder: Path, state: ServerState) -> None:
    """Durable before it returns."""
    writing.write(folder / STATE, state.model_dump_json(indent=2))


def read_keys(folder: Path, name: str = KEYS) -> Keys | None:
    """None when there are none. Raises `InvalidInput`."""
    path = folder / name
    content = _content(path)
    if content is None:
        return None
    try:
        return Keys.model_validate_json(content)
    except ValidationError:
        cure = f"`mlops apply {folder.parent.name}` makes new keys, which callers then need"
        raise InvalidInput(Problem(str(path), f"is no key file; {cure}")) from None


def _content(path: Path) -> bytes | None:
    """None when there is no such file. Raises `InvalidInput` for what is no file of ours, and `TargetError`.

    A pipe is waited for, a link may lead to what has no end: neither is opened as a file.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise TargetError(
                f"{path} cannot be read: {error.strerror}; give it to who runs this: chown and chmod 600"
            ) from None
    kind = "is a folder" if path.is_dir() and not path.is_symlink() else "is a link or no file"
    raise InvalidInput(Problem(str(path), f"{kind}; remove it, then run mlops apply"))


def ensure_keys(folder: Path) -> Keys:
    """The endpoint's keys; new ones where there are none that can be read."""
    try:
        keys = read_keys(folder)
    except InvalidInput:
        if (folder / KEYS).is_dir():
            raise
        keys = None
    return (
        keys
        if keys is not None
        else _write_keys(folder, Keys(primary=_key(), secondary=_key(), admin=_key()))
    )


def following_keys(folder: Path) -> Keys:
    """Announce a new first key; the one before becomes the second one, and what that was is no key any more.

    A server that is asked by SIGHUP takes these too. Nobody else sees them before `keep_keys`, so that no
    caller has a key that its server does not know yet.
    """
    now = ensure_keys(folder)
    keys = Keys(primary=_key(), secondary=now.primary, admin=now.admin)
    writing.write(folder / FOLLOWING, json.dumps(keys.model_dump()), mode=0o600)
    return keys


def keep_keys(folder: Path, keys: Keys) -> None:
    """These and no others from now on."""
    _write_keys(folder, keys)
    (folder / FOLLOWING).unlink(missing_ok=True)


def _key() -> str:
    return secrets.token_urlsafe(32)


def _write_keys(folder: Path, keys: Keys) -> Keys:
    writing.write(folder / KEYS, json.dumps(keys.model_dump()), mode=0o600)
    return keys
