"""Azure ML's way to run a Python script on serverless or attached Spark, as the command that it amounts to.

So one runner knows it: a laptop runs the script, which opens a session of its own.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator

from mlops.pipeline.models import Component, ComponentFile, Literal_, Yaml, lower_case

INSTANCE_TYPES = tuple(f"standard_e{size}s_v3" for size in (4, 8, 16, 32, 64))
RUNTIMES = ("3.4", "3.5")
"""Of Azure ML's serverless Spark. The code here needs Python 3.11, which is what 3.5 has."""


class Entry(Yaml):
    """What Spark starts: a script, relative to the code, or a class of a jar."""

    file: str | None = None
    class_name: str | None = None


class SparkComponent(ComponentFile):
    """A Spark component, or a job that is written in place."""

    type: Annotated[Literal["spark"], BeforeValidator(lower_case)]
    code: str | None = None
    entry: Entry
    args: str | None = None
    py_files: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()

    @field_validator("entry", mode="before")
    @classmethod
    def _script(cls, raw: Any) -> Any:
        return {"file": raw} if isinstance(raw, str) else raw

    @field_validator("py_files", "jars", mode="before")
    @classmethod
    def _none(cls, raw: Any) -> Any:
        return () if raw is None else raw

    def not_here(self) -> str:
        """Why it needs Spark itself; empty when a Python process will do."""
        if self.entry.file is None:
            return f"runs the class {self.entry.class_name}, which needs a Spark cluster"
        return f"needs jars ({', '.join(self.jars)}), which only a Spark cluster loads" if self.jars else ""

    def as_command(self) -> Component:
        """What runs it without a cluster."""
        same = {name: getattr(self, name) for name in ComponentFile.model_fields}
        command = f"python {self.entry.file} {self.args or ''}".strip()
        folders = [f if f.endswith(".zip") else str(PurePosixPath(f).parent) for f in self.py_files]
        variables: dict[str, Literal_] = {"PYTHONPATH": ":".join(dict.fromkeys(folders))} if folders else {}
        return Component.model_construct(
            **same, type="command", code=self.code, command=command, environment_variables=variables
        )
