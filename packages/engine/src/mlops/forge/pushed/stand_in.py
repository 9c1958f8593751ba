"""`python -m mlops.forge.pushed.stand_in ACTION`: what the local actions below `actions/` do.

Each stands in for an action of GitHub's market place, with the inputs that the workflows use (a test holds
them to it). Inputs come as variables `INPUT_…`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from mlops.errors import InvalidInput, MlopsError, TargetError
from mlops.forge.pushed import warm
from mlops.forge.pushed.admit import admit
from mlops.forge.pushed.locked import lock_digest
from mlops.forge.pushed.store import Store
from mlops.spec.sources import source_folders

KEPT = "MLOPS_STATE"
"""The repository variable that says whether the local target's state outlives a job."""


class Runner:
    """The job around an action."""

    def __init__(self) -> None:
        self.store = Store(Path(os.environ["MLOPS_FORGE"]))
        self.number = int(os.environ["MLOPS_FORGE_RUN"])
        self.job = os.environ["GITHUB_JOB"]
        self.workspace = Path.cwd()
        self.artifacts = self.store.run_folder(self.number) / "artifacts"

    def input(self, name: str, default: str = "") -> str:
        return os.environ.get(f"INPUT_{name.upper().replace('-', '_')}", "") or default

    def say(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def export(self, name: str, value: str) -> None:
        """For the steps that follow."""
        with Path(os.environ["GITHUB_ENV"]).open("a", encoding="utf-8") as stream:
            stream.write(f"{name}={value}\n")

    def git(self, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=self.workspace, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TargetError(f"git {args[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()


def checkout(runner: Runner) -> None:
    """Let the job in, then give it the commit."""
    admit(runner.store, runner.number, runner.job, runner.say)
    run, bare = runner.store.get(runner.number), str(runner.store.bare)
    default = runner.store.settings().default_branch
    wanted = runner.input("ref")
    commit = runner.git("-C", bare, "rev-parse", "--verify", f"{wanted or run.sha}^{{commit}}")
    depth = int(runner.input("fetch-depth", "1"))
    runner.git("init", "--quiet", "--initial-branch", default)
    runner.git("remote", "add", "origin", bare)
    # By its file:// address a repository gives as much history as it is asked for, and no more.
    limit = [f"--depth={depth}"] if depth else []
    branches = [] if depth else ["+refs/heads/*:refs/remotes/origin/*"]
    runner.git("fetch", "--quiet", "--no-tags", *limit, f"file://{bare}", commit, *branches)
    branch = wanted or run.ref.removeprefix("refs/heads/")
    on_branch = runner.git("-C", bare, "for-each-ref", "--format=%(refname)", f"refs/heads/{branch}")
    where = ["-B", branch] if on_branch else ["--detach"]
    runner.git("checkout", "--quiet", *where, commit)
    runner.say(f"{commit[:8]} {runner.git('log', '-1', '--format=%s')}")
    if runner.input("persist-credentials", "true") == "true":
        runner.export("MLOPS_FORGE_TOKEN", "job")
    _state(runner)


def _state(runner: Runner) -> None:
    settings = runner.store.settings()
    if settings.vars.get(KEPT) != "kept" or not settings.state:
        return
    document = tomllib.loads((runner.workspace / "mlops.toml").read_text(encoding="utf-8"))
    name = document.get("local", {}).get("state", ".mlops")
    link = runner.workspace / name
    if not link.resolve().is_relative_to(runner.workspace.resolve()):
        return  # outside of the checkout it is the same folder for every job anyway
    Path(settings.state).mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(settings.state)
    _ignore(runner, name)


def setup_python(runner: Runner) -> None:
    """The virtual environment of this machine, when the commit locks the same packages."""
    settings = runner.store.settings()
    here = lock_digest(runner.workspace)
    if here != settings.locked:
        runner.say(
            "uv.lock or pyproject.toml is not that of the virtual environment here: this job makes its own"
        )
        return
    shared = Path(settings.python).parents[1]
    own = runner.workspace / ".venv"
    own.mkdir()
    for part in ("lib", "pyvenv.cfg"):
        (own / part).symlink_to(shared / part)
    _programs(own / "bin", shared / "bin", warm.script(settings))
    (own / ".ready").touch()  # `make setup` finds nothing to do
    _ignore(runner, ".venv")
    runner.export("PYTHONPATH", _code(runner))
    runner.say(f"uses {shared}, with the code of this commit")


def _programs(folder: Path, made: Path, script: str | None) -> None:
    """Those of the environment, of which `mlops` starts without its imports."""
    folder.mkdir()
    for program in made.iterdir():
        if script is None or program.name != "mlops":
            (folder / program.name).symlink_to(program)
    if script is not None:
        (folder / "mlops").write_text(script, encoding="utf-8")
        (folder / "mlops").chmod(0o755)


def _code(runner: Runner) -> str:
    """PYTHONPATH of the commit's code, kept for servers that outlive the job's folder."""
    folders = [folder.relative_to(runner.workspace) for folder in source_folders(runner.workspace)]
    trees = [runner.git("rev-parse", f"HEAD:{folder.as_posix()}") for folder in folders]
    name = hashlib.sha256("\n".join(trees).encode()).hexdigest()[:40]
    kept = runner.store.folder / "code" / name
    if not kept.is_dir():
        draft = kept.with_name(f"{name}.{os.getpid()}")
        for folder in folders:
            shutil.copytree(runner.workspace / folder, draft / folder)
        try:
            draft.rename(kept)
        except OSError:  # another job was faster
            shutil.rmtree(draft)
    return os.pathsep.join(str(kept / folder) for folder in folders)


def _ignore(runner: Runner, name: str) -> None:
    with (runner.workspace / ".git" / "info" / "exclude").open("a", encoding="utf-8") as stream:
        stream.write(f"/{name}\n")


def cache(runner: Runner) -> None:
    """Caches of this machine are where they always are."""
    runner.say("nothing to restore: this machine keeps its caches")


def dependency_review(runner: Runner) -> None:
    """Only GitHub has the graph that it compares."""
    runner.say("nothing compared: GitHub does that; `mlops audit` reads what this commit locks")


def upload_artifact(runner: Runner) -> None:
    """Copies one file or folder into the run's folder."""
    path, name = runner.workspace / runner.input("path"), runner.input("name", "artifact")
    if not path.exists():
        missing = runner.input("if-no-files-found", "warn")
        if missing == "error":
            raise InvalidInput(f"artifact {name}: there is no {runner.input('path')}")
        runner.say(f"artifact {name}: there is no {runner.input('path')}")
        return
    place = runner.artifacts / name
    place.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, place, dirs_exist_ok=True)
    else:
        shutil.copy2(path, place)
    runner.say(f"artifact {name}: {place}")


def download_artifact(runner: Runner) -> None:
    """Out of the folder of this run, or of the one with `run-id`."""
    number, name = runner.input("run-id", str(runner.number)), runner.input("name", "artifact")
    place = runner.store.run_folder(int(number)) / "artifacts" / name
    if not place.is_dir():
        raise TargetError(f"run {number} has no artifact {name}")
    shutil.copytree(place, runner.workspace / runner.input("path", "."), dirs_exist_ok=True)


IMPOSSIBLE = {
    "azure/login": "it cannot log in to Azure: GitHub vouches for its jobs, and this machine cannot. "
    "Leave the variable MLOPS_TARGET at local here",
    "actions/create-github-app-token": "it needs no App: leave RELEASE_APP_CLIENT_ID unset here",
    "actions/upload-pages-artifact": "it publishes no site: leave MLOPS_BOARD unset here",
    "actions/deploy-pages": "it publishes no site: leave MLOPS_BOARD unset here",
    "actions/attest": "it vouches for no build: push the tag to GitHub",
}
"""Actions whose effect is elsewhere; workflows use them on conditions that are false here, or to publish."""
ACTIONS: dict[str, Callable[[Runner], None]] = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/cache": cache,
    "actions/upload-artifact": upload_artifact,
    "actions/download-artifact": download_artifact,
    "actions/dependency-review-action": dependency_review,
}


def main() -> int:
    try:
        if reason := IMPOSSIBLE.get(sys.argv[1]):
            raise TargetError(f"the local forge has no {sys.argv[1]}: {reason}")
        ACTIONS[sys.argv[1]](Runner())
    except MlopsError as error:
        sys.stdout.write(f"::error::{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
