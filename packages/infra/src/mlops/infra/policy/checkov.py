"""Run checkov over the ARM templates of all stacks in one process, in an environment of its own.

Its dependencies conflict with Pulumi's, so it is never installed in the project's environment. The
environment is made from `checkov-requirements.txt` (every file by hash) in the user's cache, named by
that file's digest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlops.errors import Inconclusive
from mlops.infra.model import Finding

LOCK = Path(__file__).with_name("checkov-requirements.txt")
TIMEOUT = 300
"""Seconds that one run may take; it needs about five."""


def scan(templates: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """What checkov finds in the ARM template of each stack, sorted.

    Raises `Inconclusive` when its environment cannot be made or its answer cannot be read: never a silent
    pass.
    """
    python = environment()
    with tempfile.TemporaryDirectory(prefix="mlops-arm-") as folder:
        for stack, template in templates.items():
            Path(folder, f"{stack}.json").write_text(json.dumps(template), encoding="utf-8")
        report = _run(python, Path(folder))
    scanned = {str(Path(r["file_path"]).stem) for r in report["passed"] + report["failed"]}
    if missing := sorted(set(templates) - scanned):
        raise Inconclusive(f"checkov judged no resource of stack {missing[0]}; its answer proves nothing")
    findings = [_finding(r, templates) for r in report["failed"]]
    return sorted(findings, key=lambda f: (f.stack, f.check, f.resource))


def environment() -> Path:
    """The Python of checkov's environment, made on first use. Raises `Inconclusive` when it cannot be
    made."""
    home = cache_home() / f"checkov-{sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python = home / "bin" / "python"
    if (home / ".complete").is_file():
        return python
    home.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="checkov-", dir=home.parent))
    try:
        _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(made))
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(made / "bin" / "python"), str(LOCK))
        (made / ".complete").touch()
        try:
            made.rename(home)
        except OSError:
            # Somebody else was faster; theirs is as good.
            if not (home / ".complete").is_file():
                raise
    except (subprocess.CalledProcessError, OSError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        last = detail.strip().splitlines()[-1] if detail.strip() else type(error).__name__
        raise Inconclusive(
            f"checkov's environment cannot be made in {home}: {last}. "
            "It needs a Python package index once; nothing was judged"
        ) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return python


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/mlops`, or `~/.cache/mlops`."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "mlops"


def _uv(*args: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise Inconclusive("uv is not in the project's environment; run `make setup`")
    subprocess.run([uv, *args], check=True, capture_output=True, text=True, timeout=TIMEOUT)


def _run(python: Path, folder: Path) -> dict[str, list[dict[str, Any]]]:
    command = [
        str(python), "-m", "checkov.main", "--framework", "arm", "--directory", str(folder),
        "--output", "json", "--compact", "--soft-fail", "--skip-download", "--skip-results-upload",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=_alone(folder),
            cwd=folder,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Inconclusive(f"checkov gave no answer in {TIMEOUT} seconds") from None
    except json.JSONDecodeError:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise Inconclusive(
            f"checkov failed: {last[-1] if last else f'exit code {done.returncode}'}"
        ) from None
    return _results(answer)


def _results(answer: Any) -> dict[str, list[dict[str, Any]]]:
    reports: Sequence[Any] = answer if isinstance(answer, list) else [answer]
    passed: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for report in reports:
        results = report.get("results") or {}
        errors = results.get("parsing_errors") or []
        if errors:
            raise Inconclusive(f"checkov cannot read {errors[0]}")
        passed += results.get("passed_checks") or []
        failed += results.get("failed_checks") or []
    return {"passed": passed, "failed": failed}


def _alone(home: Path) -> dict[str, str]:
    """No credentials, no proxies, no configuration of the user: the same answer on every machine, nothing
    sent."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LOG_LEVEL": "ERROR"}


def _finding(record: Mapping[str, Any], templates: Mapping[str, Mapping[str, Any]]) -> Finding:
    stack = Path(record["file_path"]).stem
    return Finding(
        stack,
        record["check_id"],
        _logical(record["resource"], templates[stack]),
        record["check_name"],
        "checkov",
    )


def _logical(resource: str, template: Mapping[str, Any]) -> str:
    """checkov says `<type>.<name>`; people and suppressions say the logical name."""
    for entry in template["resources"]:
        if resource == f"{entry['type']}.{entry['name']}":
            return str(entry["metadata"]["resource"])
    return resource
