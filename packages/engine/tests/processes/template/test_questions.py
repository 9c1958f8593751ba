"""What `mlops init` asks: little, with what the clone knows already, and again when an answer cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.template import manifest
from mlops.template.answers import answers
from mlops.template.questions import QUESTIONS, gather, suggested

NOTHING = dict.fromkeys(QUESTIONS)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A template's clone with a folder name that is none for a project."""
    folder = tmp_path / "2 Late_Payers"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.email", "ann@contoso.com")
    (folder / manifest.FILE).write_text('version = "1.0.0"\nsource = "https://example.org/template"\n')
    return folder


class Person:
    """Gives prepared answers by the start of the question; otherwise takes the default."""

    def __init__(self, **says: list[str]) -> None:
        self.says = says
        self.heard: list[tuple[str, str]] = []

    def __call__(self, question: str, default: str) -> str:
        self.heard.append((question, default))
        for start, prepared in self.says.items():
            if question.splitlines()[-1].startswith(start) and prepared:
                return prepared.pop(0)
        return ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:Contoso/Late-Payers.git", ("late-payers", "github", "Contoso/Late-Payers")),
        ("https://github.com/contoso/pay", ("pay", "github", "contoso/pay")),
        ("https://me@dev.azure.com/contoso/risk/_git/pay", ("pay", "azure-devops", "contoso/risk/pay")),
        ("git@ssh.dev.azure.com:v3/contoso/risk/pay", ("pay", "azure-devops", "contoso/risk/pay")),
        ("/srv/git/pay.git", ("late-payers", "local", None)),
    ],
)
def test_the_origin_says_forge_repository_and_name(
    clone: Path, url: str, expected: tuple[str, str, str | None]
) -> None:
    git(clone, "remote", "add", "origin", url)
    found = suggested(clone)
    assert (found["project"], found["forge"], found.get("repository")) == expected
    assert found["contact"] == "ann@contoso.com"


def test_enter_takes_every_default_and_keeps_the_example(clone: Path) -> None:
    person = Person()
    found = gather(clone, NOTHING, keep_example=False, ask=person)
    assert found == answers(
        project="late-payers", contact="ann@contoso.com", engine="git+https://example.org/template"
    )
    assert len(person.heard) == 7, "no repository for the local forge, no task without a model"


def test_what_an_option_says_is_not_asked(clone: Path) -> None:
    person = Person()
    given = {**NOTHING, "project": "pay", "forge": "github", "repository": "a/b", "model": "pay"}
    found = gather(clone, given, keep_example=False, ask=person)
    assert (found.project, found.repository, found.model, found.task) == ("pay", "a/b", "pay", "binary")
    assert [q.split()[0] for q, _ in person.heard] == ["Prefix", "Azure", "E-mail", "Where", "What", "What"]


def test_an_answer_that_cannot_be_is_asked_again_with_the_reason(clone: Path) -> None:
    person = Person(Azure=["moonbase", "uksouth"], Forge=["github"], Repository=["me", "me/pay"])
    found = gather(clone, NOTHING, keep_example=True, ask=person)
    assert (found.region, found.repository) == ("uksouth", "me/pay")
    again = [q for q, _ in person.heard if "\n" in q]
    assert again[0].startswith("must be a public region of Azure, one of ")
    assert again[1].startswith("must be owner/name on github")
    assert len(again) == 2


def test_who_was_asked_before_is_not_asked_again(clone: Path) -> None:
    before = answers(project="pay", contact="a@b.org", model="pay", task="regression")
    path = clone / manifest.FILE
    path.write_text(manifest.with_answers(path.read_text(), before))
    person = Person()
    assert gather(clone, NOTHING, keep_example=False, ask=person) == before
    assert gather(clone, {**NOTHING, "region": "uksouth"}, keep_example=False, ask=person).region == "uksouth"
    assert person.heard == []


def test_without_a_person_the_choice_of_the_model_must_be_said(clone: Path) -> None:
    with pytest.raises(InvalidInput, match="--keep-example"):
        gather(clone, NOTHING, keep_example=False, ask=None)
    assert gather(clone, NOTHING, keep_example=True, ask=None).project == "late-payers"


def test_without_a_template_the_engine_is_this_checkouts(clone: Path) -> None:
    (clone / manifest.FILE).write_text('version = "1.0.0"\n')
    assert gather(clone, NOTHING, keep_example=True, ask=None).engine == "wheels"
    git(clone, "remote", "add", "upstream", str(clone))
    assert gather(clone, NOTHING, keep_example=True, ask=None).engine == "wheels", "it has no tag v1.0.0"
    git(clone, "remote", "remove", "upstream")
    git(clone, "remote", "add", "template", "https://example.org/t.git")
    assert gather(clone, NOTHING, keep_example=True, ask=None).engine == "git+https://example.org/t.git"
