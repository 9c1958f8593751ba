"""The files of a fork that nobody has named yet, whoever this repository belongs to by now."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROJECT, REGION = "flights-mlops", "westeurope"


def pristine(folder: Path) -> Path:
    """`mlops.toml`, stack files and Azure's pipelines in `folder`, with the template's names in them."""
    for name in ("environments", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("mlops.toml", "Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder / name)
    settings = folder / "mlops.toml"
    text = re.sub(r"^\[forge\]\n(?:(?!\[).*\n)*", '[forge]\nkind = "local"\n', _read(settings), flags=re.M)
    text = re.sub(r'(\[project\]\nname = )".*"', rf'\1"{PROJECT}"', text)
    settings.write_text(re.sub(r'^target = ".*"', 'target = "local"', text, flags=re.M), encoding="utf-8")
    for path in (folder / "environments").glob("Pulumi.*.yaml"):
        text = re.sub(r"^(secretsprovider|encryptedkey):.*\n", "", _read(path), flags=re.M)
        text = re.sub(r"(mlops:location: ).*", rf"\1{REGION}", text)
        text = re.sub(r"( subject_prefix: ).*", r"\1repo:OWNER/REPO", text)
        text = re.sub(r"\[\S+@\S+\]", "[ml-team@example.com]", text)
        path.write_text(text, encoding="utf-8")
    return folder


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
