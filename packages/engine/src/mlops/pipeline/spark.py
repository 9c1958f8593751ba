"""Typed model of a Spark component: Azure ML's way to run a Python script on serverless or attached Spark.

Here it is read as the command that Spark amounts to, so that one runner and one lint know it: a laptop runs
the script, which opens a session of its own.
"""

from __future__ import annotations

from typing import Literal

from mlops.pipeline.models import Component, ComponentFile, Literal_, Yaml

INSTANCE_TYPES = tuple(f"standard_e{size}s_v3" for size in (4, 8, 16, 32, 64))
RUNTIMES = ("3.4", "3.5")
"""Of Azure ML's serverless Spark. The code here needs Python 3.11, which is what 3.5 has."""


class Entry(Yaml):
    """The script, relative to the code."""

    file: str


class SparkComponent(ComponentFile):
    """A Spark component whose entry is a Python script."""

    type: Literal["spark"]
    code: str
    entry: Entry
    args: str
    conf: dict[str, Literal_]
    py_files: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()

    def as_command(self) -> Component:
        """What runs it without a cluster."""
        same = {name: getattr(self, name) for name in ComponentFile.model_fields}
        command = f"python {self.entry.file} {self.args}"
        return Component.model_construct(**same, type="command", code=self.code, command=command)
