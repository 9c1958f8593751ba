"""`mlops doctor --security`: what is off, as an attacker would look for it. Checks of files; those of roles,
trust and branch rules are the doctor's own."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mlops.doctor import azure, exposed, forge, platform
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding, Severity
from mlops.errors import InvalidInput
from mlops.forge.git import Git
from mlops.spec import files as spec_files
from mlops.spec._yaml import read_text

_USES: Final = re.compile(r"^\s*(?:- )?uses:\s*([^\s#]+)", re.MULTILINE)
_PINNED: Final = re.compile(r"@[0-9a-f]{40}$|@sha256:[0-9a-f]{64}$")
_FROM: Final = re.compile(r"^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.MULTILINE | re.IGNORECASE)
_PRIVATE: Final = "-----BEGIN [A-Z ]*PRIVATE KEY-----"
_SECRETS: Final = ("seal.key", "endpoints/*/*/keys.json")


def actions(case: Case) -> Iterator[Finding]:
    """Code of others that runs in a workflow is named by its content."""
    for path in sorted((case.root / ".github").rglob("*.y*ml")):
        name = path.relative_to(case.root).as_posix()
        text = read_text(path, name)
        for used in _USES.findall(text):
            if not used.startswith(("./", "$/")) and not _PINNED.search(used):
                sentence = f"{name}: {used} is a name that its owner can point elsewhere"
                yield Finding("actions", "error", sentence, "zizmor --fix .github", file=True)
        if re.search(r"^\s*(- )?pull_request_target\b", text, re.MULTILINE):
            sentence = (
                f"{name}: pull_request_target runs strangers' pull requests with a token that may write"
            )
            yield Finding("actions", "error", sentence, "use pull_request", file=True)


def images(case: Case) -> Iterator[Finding]:
    """What the image is built on is named by its content."""
    path = case.root / "container" / "Dockerfile"
    if not path.is_file():
        return
    stages = _FROM.findall(read_text(path, "container/Dockerfile"))
    own = {"scratch", *(stage for _, stage in stages)}
    for image in dict.fromkeys(image for image, _ in stages):
        if image not in own and not _PINNED.search(image):
            sentence = f"container/Dockerfile: {image} is a tag; who may write it decides what serves"
            yield Finding("images", "warning", sentence, f"docker buildx imagetools inspect {image}")


def signing(case: Case) -> Iterator[Finding]:
    """A model is loaded only with a signature that counts."""
    asked = case.settings.signing
    if not asked.required:
        word = "are made and not asked for" if asked.used else "are not made"
        sentence = f"mlops.toml: signing.required is off, so signatures {word}; the digest alone decides"
        yield Finding("signing", "warning", sentence, "docs/security.md, Signed models")
    shared = case.target != "local" or bool(case.settings.local.tracking_uri)
    if shared and not asked.records:
        sentence = (
            "mlops.toml: signing.records is not set, so whoever may write the registry's tags says which "
            "gates a version passed"
        )
        severity: Severity = "warning" if case.target == "local" else "error"
        yield Finding("signing", severity, sentence, "docs/security.md, What proves a release", file=True)


def reviews(case: Case) -> Iterator[Finding]:
    """A person lets in what production serves, and who it must be is written down."""
    policy = spec_files.load_policy(case.root)
    last = policy.order[-1]
    where = spec_files.POLICY
    if policy.environments[last].auto_merge:
        sentence = f"{where}: {last} is the last environment and merges by itself"
        yield Finding("reviews", "error", sentence, f"set auto_merge: false for {last}", file=True)
    if not policy.environments[last].approvers:
        yield Finding("reviews", "note", f"{where}: {last} names no approvers, so any reviewer will do")
    for env, rules in policy.environments.items():
        if rules.auto_merge and rules.merge_loosened:
            sentence = f"{where}: {env} merges by itself what comes with weaker gates"
            yield Finding("reviews", "warning", sentence, f"set merge_loosened: false for {env}")


def secrets(case: Case) -> Iterator[Finding]:
    """No key lies in git, in an address of git, or where others on this machine can read it."""
    git = Git(case.root)
    for name in exposed.holding(git, _PRIVATE):
        sentence = f"{name}: a private key in git; it is everybody's who has a clone, for ever"
        yield Finding("secrets", "error", sentence, "make a new key, then remove the file", file=True)
    code, said, _ = git.answer("remote", "-v")
    remotes = [line.split()[:2] for line in (said.splitlines() if code == 0 else ())]
    for remote, address in dict.fromkeys(map(tuple, remotes)):
        if urlsplit(address).password:
            sentence = f"the address of the remote {remote} has a token in it, which every tool can read"
            yield Finding("secrets", "warning", sentence, f"git remote set-url {remote} <address without it>")
    state = case.root / case.settings.local.state
    for path in sorted(p for pattern in _SECRETS for p in state.glob(pattern)):
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            sentence = f"{_told(path, case.root)} can be read by others on this machine"
            yield Finding("secrets", "error", sentence, f"chmod 600 {_told(path, case.root)}")


def traffic(case: Case) -> Iterator[Finding]:
    """Nothing that matters goes over the network in the clear, and captured rows were thought about."""
    for name, model in sorted(case.settings.models.items()):
        if model.capture.enabled and not model.capture.exclude:
            sentence = f"mlops.toml: models.{name}.capture keeps every column of every request"
            yield Finding("traffic", "warning", sentence, "name personal columns in capture.exclude")
    try:
        server = urlsplit(case.settings.local.server())
    except InvalidInput:
        return  # the check `settings` says it
    if server.scheme == "http" and server.hostname not in ("localhost", "127.0.0.1", "::1"):
        sentence = (
            f"mlops.toml: {server.hostname} tracks runs over plain http: tags and models can be changed"
        )
        yield Finding("traffic", "warning", sentence, "docs/tracking-server.md")


def _told(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


_OWN: Final = (
    Check("actions", "files", actions, "workflows run code that is named by its content"),
    Check("images", "files", images, "images are named by their content"),
    Check("signing", "files", signing, "models need a signature"),
    Check("reviews", "files", reviews, "people let in what production serves"),
    Check("secrets", "files", secrets, "no key in git or open to others"),
    Check("traffic", "files", traffic, "encrypted, and captured with care"),
    Check("committed", "files", exposed.committed, "no file in git is a key or has one in it"),
    Check("workflows", "files", exposed.workflows, "workflows have the rights that they need"),
    Check("owners", "files", exposed.owners, "rules have owners, who must approve a change"),
    Check("updates", "files", exposed.updates, "newer versions are looked for"),
    Check("code", "files", exposed.code_in_models, "no model runs code when it is loaded"),
)
_ALSO: Final = frozenset(
    {"login", "roles", "trust", "foundation", "records", "subjects", "environments", "main branch"}
)
CHECKS: Final[tuple[Check, ...]] = (
    *_OWN,
    *(c for room in (azure, platform, forge) for c in room.CHECKS if c.name in _ALSO),
)
"""Those of files, and those of the doctor that are about who may do what."""
