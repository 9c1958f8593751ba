"""Repositories of any size, made at once: models, releases, history in git, journals and a registry."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
ENVIRONMENTS = ("staging", "prod")
_POLICY = """\
order: [staging, prod]
environments:
  staging: {auto_merge: true, synthetic_traffic: true}
  prod: {soak: 1h, approvers: [grace]}
"""
_RELEASE = """\
# yaml-language-server: $schema=../../docs/schemas/release.json
# Written once by mlops release, never edited.
model: %(model)s
version: %(version)d
digest: sha256:%(version)064x
created: 2026-01-01T00:00:00Z
source:
  commit: '%(commit)s'
  branch: main
  dirty: false
  actor: ada
  run_id: run%(version)d
  pipeline: pipelines/%(model)s/training.yml
  pipeline_digest: sha256:1111111111111111111111111111111111111111111111111111111111111111
data:
  name: raw
  version: '1'
  digest: sha256:2222222222222222222222222222222222222222222222222222222222222222
  window: 2013-01..2013-03
  test_window: 2013-04
environment: sha256:3333333333333333333333333333333333333333333333333333333333333333
metrics:
  roc_auc: {value: 0.70, low: 0.68, high: 0.72, champion: 0.69}
  brier: {value: 0.20, low: 0.19, high: 0.21, champion: 0.21}
gates:
  - {name: metrics, verdict: pass, observed: roc_auc 0.700, limit: at least 0.620, detail: ''}
  - {name: champion, verdict: pass, observed: 0.010 better, limit: at most 0.005 worse, detail: ''}
gates_digest: sha256:4444444444444444444444444444444444444444444444444444444444444444
"""
_DESIRED = (
    "release: %d\nreplaces: %s\nstrategy: {canary: [10, 100], analysis: 1s, min_requests: 20}\nhold: null\n"
)


def repository(root: Path, template: Path, models: int, releases: int) -> Path:
    """`models` models that share `releases` releases evenly; each was served, one after the other."""
    root.mkdir(parents=True)
    names = [f"model{number:03d}" for number in range(models)]
    source = next((template / "pipelines").glob("*/model.yaml")).parent
    for name in names:
        shutil.copytree(source, root / "pipelines" / name)
    settings = "".join(f'[models.{name}]\nusecase = "{source.name}"\n' for name in names)
    files = {
        "mlops.toml": f'[project]\nname = "growth"\n{settings}',
        "environments/policy.yaml": _POLICY,
        "environments/freeze.yaml": "windows: []\n",
        ".gitignore": ".mlops/\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for folder in ("src", "environments/training"):
        if (template / folder).is_dir():
            shutil.copytree(template / folder, root / folder, dirs_exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Start")
    trained = git(root, "rev-parse", "HEAD")
    each = [releases // models + (number < releases % models) for number in range(models)]
    _import(
        root,
        trained,
        [(name, v) for name, count in zip(names, each, strict=True) for v in range(1, count + 1)],
    )
    journals(root / ".mlops", dict(zip(names, each, strict=True)))
    return root


def _import(root: Path, trained: str, released: list[tuple[str, int]]) -> None:
    """One commit a release that adds its file, and asks for it in each environment."""
    stream = []
    for number, (model, version) in enumerate(released):
        stream += [
            f"commit refs/heads/main\ncommitter Ada <a@example.org> {int(START.timestamp()) + number} +0000",
            _data(f"Release {model} {version}\n"),
            f"from {trained}" if number == 0 else None,
            f"M 100644 inline releases/{model}/{version}.yaml",
            _data(_RELEASE % {"model": model, "version": version, "commit": trained}),
        ]
        for env in ENVIRONMENTS:
            stream.append(f"M 100644 inline environments/{env}/{model}.yaml")
            stream.append(_data(_DESIRED % (version, version - 1 if version > 1 else "null")))
    text = "\n".join(line for line in stream if line is not None)
    git(root, "fast-import", "--quiet", "--force", text=text + "\n")
    git(root, "reset", "-q", "--hard", "main")


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def journals(state: Path, released: dict[str, int]) -> None:
    """What apply wrote of each release: start, create, smoke, canary, finish."""
    for env in ENVIRONMENTS:
        path = state / "environments" / env / "journal.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(entry) + "\n" for entry in _entries(released))


def _entries(released: dict[str, int]) -> Iterator[dict[str, object]]:
    second = 0
    for model, count in released.items():
        for version in range(1, count + 1):
            for kind, data in (
                ("apply.started", {}),
                ("step.started", {"step": "create", "text": "create blue"}),
                ("step.done", {"step": "create"}),
                ("step.started", {"step": "smoke", "text": "smoke test"}),
                ("step.done", {"step": "smoke"}),
                ("analysis.passed", {"percent": 10, "summary": "fine", "live": None}),
                ("step.started", {"step": "finish", "text": "finish"}),
                (
                    "apply.finished",
                    {"digest": f"sha256:{version:064x}", "file_commit": "1" * 40, "reason": ""},
                ),
            ):
                second += 1
                yield {
                    "at": (START + timedelta(seconds=second)).isoformat(),
                    "kind": kind,
                    "model": model,
                    "release": version,
                    "actor": "ada",
                    "commit": "1" * 40,
                    "data": data,
                }


def git(root: Path, *args: str, text: str | None = None) -> str:
    """Standard output; raises when git does."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", "-C", str(root), *who, *args]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.strip()
