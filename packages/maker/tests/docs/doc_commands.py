"""Whether a documented command exists: verbs and options of `mlops` are asked of its own parser.

Commands of other programs are compared with tables below, of what these pages use and somebody has looked up.
A command that is in no table is a problem too, so that a typing error cannot pass for a program that we do
not know.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer
from doc_pages import ROOT

from mlops.cli._help import positional
from mlops.cli._verbs import app


def _names(text: str) -> frozenset[str]:
    return frozenset(re.split(r",\s+", text.strip()))


PLAIN = _names("""
    apt-get, base64, cat, cd, chmod, code, cp, createdb, curl, docker, echo, export, grep, head, initdb,
    kill, ls, mkdir, mv, nohup, npm, openssl, pg_ctl, printf, rm, sed, set, source, test, tr, true, unset
""")
"""Programs whose arguments are not looked at."""

KNOWN = {
    "git": _names("""
        add, branch, checkout, clone, commit, config, diff, fetch, init, log, merge, mv, pull, push,
        remote, reset, restore, revert, rm, show, status, switch, tag
    """),
    "gh": _names("""
        api, auth login, pr checks, pr merge, pr view, repo clone, repo create, repo edit, repo fork,
        run list, run view, run watch, secret set, variable set, workflow run
    """),
    "databricks": _names("bundle validate, auth login"),
    "az": _names("""
        account set, account show, datafactory pipeline create-run, datafactory trigger start,
        datafactory trigger stop, devops configure, extension add, group create, group delete,
        keyvault create, login, ml component create, ml job create, ml model archive, pipelines create,
        pipelines run, provider register, repos pr set-vote, role assignment create,
        storage account create
    """),
    "pulumi": _names("""
        cancel, config set, destroy, login, preview, refresh, stack init, stack ls, stack output,
        stack rm, stack select, state unprotect, up
    """),
    "uv": _names("lock, pip compile, pip install, run, sync"),
    "docker": _names("build, pull, push, run"),
    "mlflow": _names("run, server, ui"),
}
"""Words that may follow; options and their values are not looked at."""

OURS = {"pytest", "ruff", "mypy", "prek", "python"}
_SEPARATORS = {";", "&&", "||", "|", "&", "(", ")", "!", "{", "}", "then", "do", "if", "else", "fi", "done"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


def problems(text: str) -> list[str]:
    """What is wrong with a block of shell commands; empty when nothing is known to be."""
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if checked.returncode:
        return [f"bash: {checked.stderr.strip()}"]
    return [found for command in commands(text) for found in problem(command)]


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a script as words, without redirections and assignments.

    Those inside `$( )` come first.
    """
    for inner in re.findall(r"\$\(([^()]*)\)", text):
        yield from commands(inner)
    flat = re.sub(r"\$\(([^()]*)\)", "SUBSTITUTED", text).replace("\\\n", " ")
    flat = re.sub(r"<<-?'?(\w+)'?\n.*?\n\1$", "", flat, flags=re.DOTALL | re.MULTILINE)
    flat = re.sub(r"\d*>&\d+|\b\d+(?=[<>])", "", flat)
    words: list[str] = []
    redirected = False
    for token in _without_comments(flat):
        if token in _SEPARATORS:
            yield from _simple(words)
            words = []
        elif set(token) <= set("<>&0123456789") and set(token) & set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            words.append(token)
    yield from _simple(words)


def _without_comments(text: str) -> Iterator[str]:
    """Tokens; shlex knows comments only where the line is still a line."""
    for line in logical_lines(text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split = True
        lexer.commenters = "#" if re.search(r"(^|\s)#", line) else ""
        yield from lexer
        yield ";"


def logical_lines(text: str) -> Iterator[str]:
    """Lines, joined while a quotation is open."""
    waiting = ""
    for line in text.splitlines():
        waiting += line
        try:
            shlex.split(waiting, comments=True)
        except ValueError:
            waiting += "\n"
            continue
        yield waiting
        waiting = ""
    if waiting:
        yield waiting


def _simple(words: list[str]) -> Iterator[list[str]]:
    while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in ("!", "time", "sudo")):
        words = words[1:]
    if words:
        yield words


def problem(words: list[str]) -> list[str]:
    """Why a simple command cannot be right."""
    program = words[0].removeprefix(".venv/bin/")
    rest = words[1:]
    if program == "mlops":
        return _mlops(rest)
    if program == "make":
        return _make(rest)
    if program in ("python", "python3", "python3.11"):
        return _python(rest)
    if program in KNOWN:
        return _known(program, rest)
    if program in PLAIN or program in OURS or program.startswith((".github/scripts/", "./")):
        return []
    return [f"{program!r} is no command that these pages may use; add it to doc_commands.py"]


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def _mlops(words: list[str]) -> list[str]:
    command = _root()
    context: Any = None
    said = ["mlops"]
    rest = words
    while True:
        if hasattr(command, "commands") and not rest:
            return [f"{' '.join(said)}: a verb is missing"]  # Typer answers with the help
        try:
            context = command.make_context(said[-1], list(rest), parent=context)
        except typer.Exit:
            return []  # --help and --version end here
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            return [f"{' '.join(said)}: {error.format_message()}"]
        if not hasattr(command, "commands"):
            return []
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest:
            return [f"{' '.join(said)}: a verb is missing"]
        name, rest = rest[0], rest[1:]
        if name not in command.commands:
            known = ", ".join(sorted(command.commands))
            return [f"{' '.join(said)}: there is no verb {name!r}; there are {known}"]
        command = command.commands[name]
        rest = positional(command, rest)
        said.append(name)


def options_of(words: list[str]) -> list[str]:
    """What is wrong with `mlops …` in prose: verbs and names of options only.

    There, arguments may be missing or spelt ENV.
    """
    command = _root()
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}
    found = []
    for position, word in enumerate(words):
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            if name not in known and positional(command, [name, "ENV"]) != ["ENV"]:
                found.append(f"mlops {' '.join(words[:position])}: there is no option {name}")
        elif hasattr(command, "commands"):
            before = words[position - 1] if position else ""
            if before in ("--target", "-C"):
                continue
            if word.isupper() or word.startswith(("<", "…")):
                return found
            if word not in command.commands:
                return [*found, f"mlops: there is no verb {word!r}"]
            command = command.commands[word]
            known |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    return found


@cache
def make_targets() -> frozenset[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))


def _make(words: list[str]) -> list[str]:
    wanted = [w for w in words if not w.startswith(("-", "…")) and "=" not in w]
    return [f"make: there is no target {w!r}" for w in wanted if w not in make_targets()]


def _python(words: list[str]) -> list[str]:
    if words[:1] == ["-m"]:
        name = words[1]
        found = importlib.util.find_spec(name.partition(".")[0]) and importlib.util.find_spec(name)
        return [] if found else [f"python -m {name}: there is no such module"]
    script = next((w for w in words if not w.startswith("-")), None)
    if script is None or "-c" in words or (ROOT / script).exists():
        return []
    return [f"python {script}: there is no such file"]


def _known(program: str, words: list[str]) -> list[str]:
    plain = [w for w in words if not w.startswith("-")]
    names = {" ".join(plain[:count]) for count in (1, 2, 3)}
    if names & KNOWN[program] or (not plain and words):
        return []
    return [f"{program} {' '.join(plain[:2])} is not in the table of doc_commands.py"]
