"""A folder with a pipeline that runs here as it would on Azure ML."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tiny_pipeline import MemoryTracker

from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent, run_pipeline

HEAD = "type: pipeline\nsettings: {default_compute: azureml:small}\n"


OUT = "outputs: {o: {type: uri_folder}}"


COMPONENT = """
type: command
name: part
version: "1"
environment: azureml:tools:3
"""


@dataclass
class World:
    """A folder with a space in its name, in which a test writes a pipeline and runs it."""

    root: Path
    tracker: MemoryTracker = field(default_factory=MemoryTracker)
    events: list[StepEvent] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(
        self,
        text: str,
        *,
        head: str = HEAD,
        workers: int | None = None,
        selection: Selection = WHOLE,
        **inputs: str,
    ) -> JobResult:
        return run_pipeline(
            self.write("pipeline.yml", head + textwrap.dedent(text)),
            inputs,
            tracker=self.tracker,
            state_dir=self.root / "state",
            resolve_asset=lambda name, version: str(self.root / "assets" / name / version),
            progress=self.events.append,
            preload=(),
            workers=workers,
            selection=selection,
        )

    @property
    def states(self) -> dict[str, str]:
        """The last state of each step."""
        return {event.step: event.state for event in self.events}

    def said(self, text: str, step: str = "one.o", **inputs: str) -> str:
        """What the file `a` of an output holds after the run."""
        return (self.run(text, **inputs).outputs[step] / "a").read_text(encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "a b")


def one(command: str, more: str = "", inputs: str = "") -> str:
    """A pipeline of one step with an output folder `o`; `more` are lines of the step."""
    lines = [f"command: {command}", "environment: azureml:tools:3", OUT, *more.splitlines()]
    return f"{inputs}\njobs:\n  one:\n" + "".join(f"    {line}\n" for line in lines)
