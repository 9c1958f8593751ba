"""Every command in the documentation exists. A page that says what nobody can type costs its reader an hour.

A block of `sh` is executed (test_docs_sessions.py, test_docs_examples.py), or a comment above it says what it
needs that is not here. Both are checked here, against the parser of `mlops` itself, and so is code in prose
that starts with `mlops`.
"""

from __future__ import annotations

import doc_commands
import pytest
from doc_pages import blocks, code_spans, pages

NEEDS = {
    "azure": "a subscription",
    "databricks": "a workspace of Databricks",
    "github": "a repository on GitHub",
    "azure-devops": "a project on Azure DevOps",
    "docker": "a container engine",
    "network": "a host of the internet",
}
RUN = {"slow", "example"}
"""`slow`: in the page's session, in the slow suite. `example`: each line by itself, where it makes sense.

Or the path of the test that runs it.
"""


def shell_blocks():
    return [
        block
        for page in pages()
        for block in blocks(page)
        if block.language in ("sh", "bash", "shell", "console")
    ]


def test_there_are_commands_to_check():
    assert len(shell_blocks()) > 40
    assert {b.language for b in shell_blocks()} == {"sh"}, "one name for blocks of commands: sh"


@pytest.mark.parametrize("page", pages())
def test_every_command_exists(page: str) -> None:
    found = [
        f"{block.where}: {problem}"
        for block in blocks(page)
        if block.language == "sh"
        for problem in doc_commands.problems(block.text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", pages())
def test_code_in_prose_names_real_verbs_and_options(page: str) -> None:
    found = []
    for line, text in code_spans(page):
        words = text.split()
        if words[:1] == ["mlops"]:
            found += [f"{page}:{line}: {p}" for p in doc_commands.options_of(words[1:])]
        if words[:1] == ["make"] and len(words) > 1:
            found += [f"{page}:{line}: {p}" for p in doc_commands.problem(words)]
    assert not found, "\n".join(found)


def test_notes_above_blocks_say_something_known():
    found = []
    for page in pages():
        for block in blocks(page):
            need, run = block.note("needs"), block.note("run")
            if need is not None and need not in NEEDS:
                found.append(f"{block.where}: needs {need!r} is none of {', '.join(NEEDS)}")
            if run is not None and run not in RUN and not _is_test(run, page):
                found.append(
                    f"{block.where}: run {run!r} is neither {', '.join(RUN)} nor a test that names {page}"
                )
            if need and run:
                found.append(f"{block.where}: a block that needs {need} cannot be run")
    assert not found, "\n".join(found)


def _is_test(run: str, page: str) -> bool:
    path = doc_commands.ROOT / run
    return "tests" in path.parts and path.is_file() and page in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("mlops promot prod", "no verb 'promot'"),
        ("mlops promote prod --force", "--force"),
        ("mlops promote", "ENV"),
        ("mlops check --env prod", "--env"),
        ("mlops rollback prod", "--reason"),
        ("mlops train --window 2013-01 --for", "--for"),
        ("mlops forge", "a verb is missing"),
        ("mlops pr merge three", "integer"),
        ("cd work && mlops statu", "no verb 'statu'"),
        ('version=$(mlops gate --jsn) && echo "$version"', "--jsn"),
        ("mlops status | mlops stauts", "'stauts'"),
        ("mlops train \\\n  --windw 2013-01", "--windw"),
        ("test -f x || mlops aply staging", "'aply'"),
        ("make demos", "no target 'demos'"),
        ("python -m mlops.nothing", "no such module"),
        ("python container/bild.py sbom", "no such file"),
        ("git comit -m x", "not in the table"),
        ("az ml jobs create", "not in the table"),
        ("pulumi upp", "not in the table"),
        ("mlopss train", "no command"),
        ("mlops status &&", "bash:"),
        ("echo 'open", "bash:"),
    ],
)
def test_a_wrong_command_is_found(wrong: str, said: str) -> None:
    found = doc_commands.problems(wrong)
    assert found, f"{wrong!r} was not found"
    assert said in found[0], found


@pytest.mark.parametrize(
    "right",
    [
        "mlops train                  # run the pipeline; 'unchanged' steps are reused",
        'mlops rollback prod --reason "wrong since noon" && git pull --quiet',
        "MLOPS_TARGET=azure mlops train --detach > job.txt 2>&1",
        'may=$(mlops replay 2013-05 --env prod --labels m.parquet)\nmlops monitor --env prod --window "$may"',
        "mlops monitor --env prod || test $? -eq 3",
        "mlops --target azure -C elsewhere status --json",
        "make test JOBS=4",
        "az login",
        "pulumi stack output --json",
        "if mlops diff prod; then echo same; fi",
        "cat > file <<'E'\nmlops is no command here\nE\nmlops status",
    ],
)
def test_a_right_command_is_not(right: str) -> None:
    assert doc_commands.problems(right) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("promote ENV --forse", "--forse"),
        ("aply ENV", "'aply'"),
        ("--targt azure train", "--targt"),
        ("check --env ENV", "--env"),
    ],
)
def test_a_wrong_verb_in_prose_is_found(wrong: str, said: str) -> None:
    assert said in doc_commands.options_of(wrong.split())[0]


def test_prose_may_leave_arguments_out():
    for right in (
        "apply ENV",
        "apply --env ENV",
        "train --detach",
        "--target azure <verb>",
        "monitor",
        "train --resume NAME --for 50m",
    ):
        assert doc_commands.options_of(right.split()) == [], right
