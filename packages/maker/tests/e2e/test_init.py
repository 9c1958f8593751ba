"""`mlops init` leaves nothing of the template's names and example behind, and what it leaves works.

A fork that still says `flights` somewhere trains, serves or bills under another team's name; one whose checks
fail on the first day is thrown away.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from template_copy import PACKAGES, Done, Repository, copy_template

from mlops.spec.sources import python_path
from mlops.template import manifest, plan
from mlops.template.answers import Answers, answers

pytestmark = pytest.mark.e2e

GIVEN = {
    "project": "demand", "organisation": "contoso", "region": "swedencentral", "forge": "github",
    "repository": "Contoso/demand", "contact": "ml@contoso.com", "model": "prices", "task": "regression",
}  # fmt: skip
OPTIONS = [word for name, value in GIVEN.items() for word in (f"--{name}", value)]
KEPT = (
    "tests/unit/prices/test_prices.py",
    "packages/maker/tests/unit/test_import_rule.py",
    "packages/engine/tests/processes/engine/test_engine_check.py",
    "packages/maker/tests/ci/test_parity.py",
    "packages/maker/tests/ci/test_names.py",
    "packages/maker/tests/ci/test_owners.py",
    "tests/infra/test_own_stacks.py",
    "packages/maker/tests/container/test_dockerfile.py",
    "pipelines/prices/training.yml",
    "docs/architecture.md",
)
"""What concerns a fork stays with it."""


def make_template(folder: Path) -> Repository:
    """The template as somebody clones it."""
    made = Repository(folder)
    copy_template(made.root)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@contoso.com")
    made.commit("Template")
    return made


def own_code(fork: Repository) -> dict[str, str]:
    """Variables with which Python imports the fork's code, not that of the template that runs the test."""
    return {
        "PYTHONPATH": python_path(fork.root),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def with_own_code(fork: Repository, *words: str) -> Done:
    """A verb as the fork's own code has it."""
    return fork.spawn(*words, env=own_code(fork))


def tool(fork: Repository, *words: str) -> subprocess.CompletedProcess[str]:
    """A tool of the development environment, on the fork."""
    program = str(Path(sys.executable).with_name(words[0]))
    env = {**fork.env, **own_code(fork)}
    return subprocess.run(
        [program, *words[1:]], cwd=fork.root, env=env, capture_output=True, text=True, check=False
    )


def make(fork: Repository, target: str) -> None:
    """A target of the fork's Makefile passes, with the packages that are installed here."""
    venv = Path(sys.executable).parents[1]
    done = subprocess.run(
        ["make", "-o", "setup", "-o", f"{venv}/.ready", f"VENV={venv}", target],
        cwd=fork.root, env={**fork.env, **PACKAGES, **own_code(fork)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def copied(fork: Repository, folder: Path) -> Repository:
    """A copy for one test."""
    made = Repository(folder)
    shutil.copytree(fork.root, made.root)
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Read only."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def fork(template: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Initialised with another model, committed. Read only."""
    made = Repository(tmp_path_factory.mktemp("fork"))
    shutil.copytree(template.root, made.root)
    with_own_code(made, "init", *OPTIONS).ok()
    made.commit("Initialise")
    return made


@pytest.fixture
def clone(template: Repository, tmp_path: Path) -> Repository:
    """A template of this test's own."""
    return copied(template, tmp_path)


def tree(repository: Repository) -> str:
    """The id of what the work tree holds."""
    repository.git("add", "--all")
    return repository.git("write-tree")


# --- what is left ---------------------------------------------------------------------------------------


def test_no_name_of_the_template_and_nothing_of_its_example_is_left(
    fork: Repository, template: Repository
) -> None:
    example = manifest.load(template.root).example
    assert example is not None
    words = [*example.words, "@OWNER/", "OWNER/REPO", "mlops-template", r"(ml-team|finance)@example\.com"]
    # Rooms that replace names, or look for them, have to spell some.
    where = ["--", ".", ":!packages/engine/src/mlops/template", ":!packages/engine/src/mlops/doctor"]
    found = subprocess.run(
        ["git", "-C", str(fork.root), "grep", "-niIE", "|".join(words), *where],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == "", "use words that fit any model, or mark the part with <example>"
    everywhere = ["git", "-C", str(fork.root), "grep", "-il", example.model]
    assert subprocess.run(everywhere, capture_output=True, text=True, check=False).stdout == ""
    assert [path for path in fork.git("ls-files").splitlines() if example.model in path] == []
    assert [path for path in fork.root.rglob("*") if "<example" in path.name] == []
    spelled = ":!packages/maker/src/mlops/reference"  # writes marks into the pages that it makes
    marks = ["git", "-C", str(fork.root), "grep", "-lE", "(#|//|<!--) *</?example/?>", *where, spelled]
    assert subprocess.run(marks, capture_output=True, text=True, check=False).stdout == ""


def test_a_new_use_of_the_example_elsewhere_is_found(clone: Repository) -> None:
    path = clone.root / "src" / "mlops" / "errors.py"
    path.write_text(f"{path.read_text()}\n# as the flights do\n")
    clone.commit("A slip")
    done = clone.call("init", *OPTIONS, "--dry-run", "--json").ok()
    (left,) = done.json["leftovers"]
    assert (left["path"], left["text"]) == ("packages/runtime/src/mlops/errors.py", "# as the flights do")


def test_the_fork_has_its_own_names_everywhere(fork: Repository) -> None:
    root = fork.root
    settings = (root / "mlops.toml").read_text()
    assert 'name = "contoso-demand"' in settings and 'repository = "Contoso/demand"' in settings
    assert 'name = "contoso-demand"' in (root / "pyproject.toml").read_text()
    assert "@Contoso/platform-team" in (root / ".github/CODEOWNERS").read_text()
    assert (root / "README.md").read_text().startswith("# contoso-demand\n")
    assert yaml.safe_load((root / "MLproject").read_text())["name"] == "contoso-demand"
    for stack in ("dev", "staging", "prod"):
        config = yaml.safe_load((root / f"environments/Pulumi.{stack}.yaml").read_text())["config"]
        assert config["mlops:location"] == "swedencentral"
        assert config["mlops:github"]["subject_prefix"] == "repo:Contoso/demand"
        assert config["mlops:alerts"]["emails"] == config["mlops:budget"]["contacts"] == ["ml@contoso.com"]


@pytest.mark.parametrize("path", KEPT)
def test_what_concerns_a_fork_stays(fork: Repository, path: str) -> None:
    assert (fork.root / path).is_file()


def test_links_of_readme_and_docs_lead_somewhere(fork: Repository) -> None:
    broken = []
    for page in [fork.root / "README.md", *(fork.root / "docs").rglob("*.md")]:
        text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for place in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            if not (page.parent / place).exists():
                broken.append(f"{page.relative_to(fork.root)}: {place}")
    assert broken == []


# --- what is left works ---------------------------------------------------------------------------------


def test_the_command_line_and_its_files_are_sound(fork: Repository) -> None:
    shown = with_own_code(fork, "--help").ok().out
    assert "new-model" in shown and not re.search(r"\bdemo\b", shown)
    with_own_code(fork, "pipeline", "lint").ok()
    with_own_code(fork, "check").ok()
    assert fork.git("status", "--porcelain") == ""


@pytest.mark.parametrize("words", [("format", "--check"), ("check", "--output-format=concise")])
def test_init_adds_nothing_that_the_linter_would_change(
    fork: Repository, template: Repository, words: tuple[str, ...]
) -> None:
    before, after = (set(tool(r, "ruff", *words, ".").stdout.splitlines()[:-1]) for r in (template, fork))
    assert [line for line in sorted(after - before) if not line.startswith("Found ")] == []


def test_the_lock_is_what_uv_would_write(fork: Repository) -> None:
    before = (fork.root / "uv.lock").read_text()
    done = tool(fork, "uv", "lock", "--check", "--offline")
    assert done.returncode == 0, done.stderr
    assert (fork.root / "uv.lock").read_text() == before


def test_the_tests_that_are_left_can_be_collected(fork: Repository) -> None:
    done = tool(fork, "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    count = re.search(r"(\d+) tests collected", done.stdout)
    assert count and int(count.group(1)) > 1000, done.stdout[-500:]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", ["lint", "test"])
def test_what_a_pull_request_runs_passes(fork: Repository, tmp_path: Path, target: str) -> None:
    """`make lint` and `make test` with the locked packages of the template, which are those of the fork."""
    make(copied(fork, tmp_path), target)


# --- again, otherwise, in between -----------------------------------------------------------------------


def test_the_same_answers_again_are_nothing_to_do_and_others_are_refused(fork: Repository) -> None:
    head = fork.git("rev-parse", "HEAD")
    assert "nothing to do" in with_own_code(fork, "init", *OPTIONS).ok().out
    assert "nothing to do" in with_own_code(fork, "init").ok().out
    with_own_code(fork, "init", "--region", "westus2").refused(
        5, "initialised with other answers", "region 'swedencentral', now 'westus2'", "by hand"
    )
    with_own_code(fork, "init", "--keep-example").refused(5, "model 'prices', now 'not given'")
    assert fork.git("status", "--porcelain") == "" and fork.git("rev-parse", "HEAD") == head


def test_a_dry_run_says_the_same_and_changes_nothing(clone: Repository, fork: Repository) -> None:
    done = clone.call("init", *OPTIONS, "--dry-run", "--json").ok().json
    assert clone.git("status", "--porcelain") == ""
    changes = fork.git("diff", "--name-status", "--no-renames", "HEAD~1", "HEAD").splitlines()
    real = {kind: [line[2:] for line in changes if line.startswith(kind)] for kind in "AMD"}
    assert (done["written"], done["changed"], done["removed"]) == (real["A"], real["M"], real["D"])


def test_uncommitted_work_is_never_touched(clone: Repository) -> None:
    path = clone.root / "docs" / "architecture.md"
    path.write_text("mine\n")
    (clone.root / "notes.txt").write_text("mine too\n")
    clone.call("init", *OPTIONS).refused(
        5, "not committed", "docs/architecture.md", "notes.txt", "git restore"
    )
    assert path.read_text() == "mine\n"


def test_an_interrupted_run_is_finished_by_the_next(
    clone: Repository, fork: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = plan._replace

    def until_interrupted(source: Path, place: Path) -> None:
        if place.name == "mlops.toml":
            raise KeyboardInterrupt
        replace(source, place)

    monkeypatch.setattr(plan, "_replace", until_interrupted)
    given = answers(**GIVEN)
    with pytest.raises(KeyboardInterrupt), plan.plan(clone.root, given) as made:
        made.carry_out()
    monkeypatch.undo()
    assert len(clone.git("status", "--porcelain").splitlines()) > 0
    other = [word if word != "swedencentral" else "westus2" for word in OPTIONS]
    clone.call("init", *other).refused(5, "not committed", "environments/Pulumi.dev.yaml")
    with_own_code(clone, "init", *OPTIONS).ok()
    assert tree(clone) == fork.git("rev-parse", "HEAD^{tree}")
    assert "nothing to do" in clone.call("init", *OPTIONS).ok().out


# --- other answers --------------------------------------------------------------------------------------


def test_the_example_may_stay(clone: Repository) -> None:
    options = ["--project", "late", "--contact", "a@b.org", "--keep-example", "--region", "uksouth"]
    done = clone.call("init", *options, "--json").ok().json
    assert done["leftovers"] == []
    assert (clone.root / "src/flights/model.py").is_file() and not (clone.root / "CHANGELOG.md").exists()
    assert "demo" in with_own_code(clone, "--help").ok().out
    clone.call("check").ok()
    assert 'name = "late"' in (clone.root / "uv.lock").read_text()
    clone.commit("Initialise")
    assert "nothing to do" in clone.call("init", *options).ok().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--project", "Demand"], ["--project: must be 2 to 27 lower-case letters"]),
        (["--region", "moonbase"], ["--region: must be a public region of Azure"]),
        (["--organisation", "con-toso"], ["--organisation"]),
        (["--organisation", "abcdefghijkl", "--project", "a-name-of-seventeen"], ["--project", "27 may be"]),
        (["--forge", "gitlab"], ["--forge"]),
        (["--repository", "only-a-name"], ["--repository: must be owner/name on github"]),
        (["--forge", "azure-devops"], ["--repository: must be organization/project/name on azure-devops"]),
        (["--contact", "nobody"], ["--contact: must be an e-mail address"]),
        (["--model", "json"], ["the Python package 'json' exists already"]),
        (["--model", "flights"], ["--model", "is the example's name"]),
        (["--task", "poetry"], ["--task"]),
        (["--project", "X", "--region", "y"], ["--project", "--region"]),
    ],
)
def test_an_answer_that_cannot_be_is_refused_before_anything_happens(
    template: Repository, options: list[str], says: list[str]
) -> None:
    given = {**GIVEN, **{o.removeprefix("--"): v for o, v in zip(options[::2], options[1::2], strict=True)}}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    template.call("init", *words).refused(5, *says)
    assert template.git("status", "--porcelain") == ""


def test_without_a_terminal_nobody_is_asked(template: Repository) -> None:
    template.call("init", "--project", "demand").refused(5, "say --model NAME", "--keep-example")


@pytest.fixture
def recorded() -> Iterator[Answers]:
    yield answers(**GIVEN)


def test_answers_survive_their_file(recorded: Answers) -> None:
    text = manifest.with_answers('version = "1.2.3"\n', recorded)
    assert manifest.parse(text).answers == recorded
    assert manifest.with_answers(text, recorded) == text
