"""A work tree and its history in memory, small enough to ask `mlops check` about it without a process."""

from __future__ import annotations

from pathlib import Path

from engine_world import MODEL, START, World, make_release
from memory_git import MemoryGit

from mlops.errors import Problem
from mlops.lifecycle.desired import check as module
from mlops.spec._emit import dump
from mlops.spec.files import POLICY, desired_path, release_path
from mlops.spec.release import Release

SETTINGS = '[project]\nname = "freight-mlops"\n[models.freight]\nusecase = "freight"\n'
GATES = min((Path(__file__).parents[5] / "pipelines").glob("*/model.yaml")).read_text(encoding="utf-8")
STAGING, PROD = desired_path("staging", MODEL), desired_path("prod", MODEL)
WINDOW = "start: 2026-01-01T00:00, end: 2027-01-01T00:00, timezone: UTC, reason: audit, by: ann"


def text_of(release: Release) -> str:
    return dump(release.model_dump(mode="json"))


def record(version: int, commit: str, **gate: str) -> Release:
    made = make_release(version)
    gates = [made.gates[0].model_copy(update=gate)]
    return made.model_copy(
        update={"source": made.source.model_copy(update={"commit": commit}), "gates": gates}
    )


def asks(release: int, replaces: int | None = None, more: str = "") -> str:
    return f"release: {release}\nreplaces: {replaces or 'null'}\n{more}"


class Tree:
    """A work tree and its history: releases 1 and 2; staging asks for 2 after 1, prod for 1."""

    def __init__(self, root: Path) -> None:
        self.root, self.git = root, MemoryGit(root)
        trained = self.git.commit(
            {
                "mlops.toml": SETTINGS,
                POLICY: "order: [staging, prod]\nenvironments: {staging: {}, prod: {soak: 1h}}\n",
                f"pipelines/{MODEL}/model.yaml": GATES,
            }
        )
        for version in (1, 2):
            self.git.commit({release_path(MODEL, version): text_of(record(version, trained))})
        self.trained = trained
        self.git.commit({STAGING: asks(1)})
        self.git.commit({STAGING: asks(2, 1), PROD: asks(1)})
        self.out()

    def out(self) -> None:
        """The files of the newest commit, on the disk."""
        for name, text in self.git.commits[-1].items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def merged(self, name: str, text: str | None) -> None:
        self.git.commit({name: text})
        self.out()

    def problems(self, base: str | None = "HEAD", world: World | None = None) -> list[Problem]:
        return module.check(self.root, base, now=START, target=world.target if world else None)

    def fields(self, base: str | None = "HEAD") -> list[tuple[str, str]]:
        return [(problem.where, problem.field) for problem in self.problems(base)]
