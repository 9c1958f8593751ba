"""`python -m tests.pipelines.spark_environment`: makes the environment in which tests run Spark.

PySpark is 300 MB, too much for the environment of everybody. This one lies in the user's cache, named by the
digest of `spark-requirements.txt`, which lists every file by hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

LOCK = Path(__file__).with_name("spark-requirements.txt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops"
"""Read when this module is imported: tests have a HOME of their own."""


def python() -> Path:
    """The interpreter of the environment, whether it is there or not."""
    return CACHE / f"spark-{sha256(LOCK.read_bytes()).hexdigest()[:16]}" / "bin" / "python"


def missing() -> str:
    """What keeps tests from running Spark here, and what to do; empty when nothing does."""
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        return "Spark needs Java, which is not here; apt-get install --yes default-jre-headless"
    if not (python().parents[1] / ".complete").is_file():
        return "PySpark is not here; make its environment: python -m tests.pipelines.spark_environment"
    return ""


def make() -> Path:
    """The interpreter, with everything installed. Raises `subprocess.CalledProcessError`."""
    home = python().parents[1]
    if not (home / ".complete").is_file():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True)
        command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python()), str(LOCK)]
        subprocess.run(command, check=True)
        (home / ".complete").touch()
    return python()


if __name__ == "__main__":
    sys.stdout.write(f"{make()}\n")
