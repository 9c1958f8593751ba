"""What `mlops init` asks a person, and what it assumes where nobody can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.errors import InvalidInput, TargetError
from mlops.forge.git import Git
from mlops.scaffold import kinds
from mlops.spec.forges import HOSTED
from mlops.template import manifest, versions
from mlops.template.answers import Answers, answers
from mlops.template.sources import GitTag

Ask = Callable[[str, str], str]
"""(question, default) -> answer; an empty answer means the default."""

_STAND_INS = {"project": "project", "contact": "nobody@example.org"}
"""For answers that are still to come."""

WHEELS = "wheels"
"""The folder that the engine is built into where the template has no released tag to take it from."""

QUESTIONS: Mapping[str, str] = {
    "project": "Name of the project",
    "organisation": "Prefix of your organisation in names in Azure (empty: none)",
    "region": "Azure region",
    "forge": "Forge (local, github, azure-devops)",
    "repository": "Repository on the forge",
    "contact": "E-mail address for alerts and the budget",
    "engine": "Where the engine comes from (git+URL of the template, index+URL, or a folder of wheels)",
    "model": "First model (empty: keep the example)",
    "kind": "What it is made with (sklearn, lightgbm, xgboost, catboost, …: mlops new-model --help)",
    "task": "What it answers (binary, multiclass, regression)",
}


def suggested(root: Path) -> dict[str, str]:
    """Answers that can be read off the clone: its origin, its folder's name, git's user."""
    git = Git(root)
    answers = {"project": _name(root.name), "region": "westeurope", "forge": "local", "kind": kinds.DEFAULT}
    code, url, _ = git.answer("remote", "get-url", "origin")
    origin = url.strip().partition("@")[2] or url.strip() if code == 0 else ""
    for forge in HOSTED.values():
        if repository := forge.of_remote(origin):
            answers |= {"forge": forge.name, "repository": repository}
            answers["project"] = _name(repository.rpartition("/")[2])
    answers["engine"] = _engine(root, git)
    code, email, _ = git.answer("config", "user.email")
    if code == 0 and "@" in email:
        answers["contact"] = email.strip()
    return answers


def _engine(root: Path, git: Git) -> str:
    """The template's tag of this version; wheels of this checkout where it has none, or nobody named it."""
    if url := _template(root, git):
        try:
            GitTag(url).entries(root, [], manifest.load(root).version)
        except InvalidInput:
            return WHEELS
        except TargetError:  # not reached now; what locks the engine says so
            pass
        return f"git+{url}"
    return WHEELS


def _template(root: Path, git: Git) -> str:
    """URL of the template, where `template.toml` or a remote says it."""
    remotes = [git.answer("remote", "get-url", remote) for remote in versions.REMOTES]
    url = manifest.load(root).source or next((said.strip() for code, said, _ in remotes if code == 0), "")
    return f"file://{Path(url).resolve()}" if url and "://" not in url and Path(url).is_dir() else url


def gather(root: Path, given: Mapping[str, str | None], *, keep_example: bool, ask: Ask | None) -> Answers:
    """Answers from options, then a person, or as suggested; raises `InvalidInput` when one is wrong."""
    told = {k: v for k, v in given.items() if v is not None}
    if before := manifest.load(root).answers:
        # Nobody is asked twice; `plan` refuses what is different now.
        first = {
            k: v for k, v in before.told().items() if not (keep_example and k in ("model", "kind", "task"))
        }
        return answers(**first | told)
    if ask is None and "model" not in told and not keep_example:
        raise InvalidInput("say --model NAME for the first model, or --keep-example")
    known = suggested(root)
    for name, question in QUESTIONS.items():
        if name in told or (name == "model" and keep_example):
            continue
        if name in ("kind", "task") and "model" not in told:
            continue
        if name == "task":
            known["task"] = _first_task(told.get("kind", kinds.DEFAULT))
        forge = told.get("forge", known["forge"])
        if name == "repository" and forge == "local":
            continue
        if name == "repository" and forge != known["forge"]:
            known.pop("repository", None)
        if ask is None:
            if name in known:
                told[name] = known[name]
            continue
        if answer := _asked(ask, name, question, known.get(name, ""), told):
            told[name] = answer
    return answers(**told)


def _first_task(kind: str) -> str:
    """What a model of this kind answers when nobody says."""
    return kinds.kind(kind).tasks[0] if kind in kinds.names() else "binary"


def _asked(ask: Ask, name: str, question: str, default: str, told: Mapping[str, str]) -> str:
    """An answer that fits what was told before; asked again, with what is wrong, until it does."""
    said = ""
    while True:
        answer = ask(f"{said}{question}", default) or default
        wrong = _wrong(name, {**told, name: answer} if answer else told)
        if not wrong:
            return answer
        said = f"{wrong}\n"


def _wrong(name: str, told: Mapping[str, str]) -> str:
    """What is wrong with the answer to `name`; what was not asked yet does not count."""
    try:
        answers(**{**_STAND_INS, **told} if name in told else dict(told))
    except InvalidInput as error:
        return next((p.message for p in error.problems if p.where == f"--{name}"), "")
    return ""


def _name(text: str) -> str:
    """A legal project name that is as near as possible."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:27].strip("-")
