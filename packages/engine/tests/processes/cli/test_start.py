"""A verb that imports MLflow takes seconds: what a fresh process has loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "attr",
    "azure",
    "httpx",
    "jinja2",
    "markdown_it",
    "matplotlib",
    "mlflow",
    "numpy",
    "onnxruntime",
    "pandas",
    "pandera",
    "pulumi",
    "pyarrow",
    "pydantic",
    "pygments",
    "rich",
    "sklearn",
    "sqlalchemy",
    "uvicorn",
    "yaml",
}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from mlops.cli import main\n"
        "sys.argv = ['mlops', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    sys.stderr.write('\\n'.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded, "the list of modules was not written"
    assert not loaded & HEAVY, f"`mlops --help` imports {sorted(loaded & HEAVY)}"


SLOW = HEAVY - {"attr", "pydantic", "rich", "yaml"} | {"mlops.pipeline.run.work", "mlops.lint"}
"""What a verb that only looks at files and journals has no use for."""


@pytest.mark.parametrize("line", ["check", "status", "history staging"])
def test_what_only_looks_loads_no_library_of_training(line: str) -> None:
    code = (
        "import sys\n"
        "from mlops.cli import main\n"
        f"sys.argv = ['mlops', *{line.split()!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    sys.stderr.write('\\n' + '\\n'.join(sys.modules))\n"
    )
    root = Path(__file__).parents[5]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    loaded = set(done.stderr.split())
    assert "pydantic" in loaded, "the list of modules was not written"
    assert not loaded & SLOW, f"`mlops {line}` imports {sorted(loaded & SLOW)}"
