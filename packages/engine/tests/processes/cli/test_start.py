"""A help page that imports MLflow takes seconds: what a fresh process has loaded."""

from __future__ import annotations

import subprocess
import sys

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
