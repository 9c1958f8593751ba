"""The Pulumi CLI runs in jobs that hold an identity token: only the file that somebody looked at is
installed."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
VERSION = re.findall(
    r"^PULUMI_VERSION := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
)[0]
CPU = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x64"
NAME = f"pulumi-v{VERSION}-{platform.system().lower()}-{CPU}.tar.gz"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder that stands for the release: one archive, as Pulumi packs it."""
    (tmp_path / "pulumi").mkdir()
    (tmp_path / "pulumi/pulumi").write_text("#!/bin/sh\necho v0\n")
    (tmp_path / "release").mkdir()
    with tarfile.open(tmp_path / "release" / NAME, "w:gz") as tar:
        tar.add(tmp_path / "pulumi", "pulumi")
    return tmp_path / "release"


def _make(release: Path, sums: str) -> subprocess.CompletedProcess[str]:
    (release.parent / "sums").write_text(sums)
    return subprocess.run(
        ["make", "--no-print-directory", "pulumi", f"PULUMI_HOME={release.parent / 'home'}",
         f"PULUMI_FROM=file://{release}", f"PULUMI_SUMS={release.parent / 'sums'}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def _sum(release: Path) -> str:
    return hashlib.sha256((release / NAME).read_bytes()).hexdigest()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_archive_with_the_hash_is_installed(release: Path) -> None:
    done = _make(release, f"{_sum(release)}  {NAME}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (release.parent / "home/bin/pulumi").read_text().startswith("#!/bin/sh")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("sums", "said"),
    [(f"{'0' * 64}  {NAME}\n", "nothing was installed"), ("", f"has no hash of {NAME}")],
    ids=["another hash", "no hash"],
)
def test_any_other_archive_is_not(release: Path, sums: str, said: str) -> None:
    done = _make(release, sums)
    assert done.returncode != 0
    assert said in done.stdout
    assert not (release.parent / "home").exists()


def test_every_platform_has_a_hash_of_the_pinned_version() -> None:
    lines = [line.split("  ") for line in (ROOT / "infra/pulumi.sha256").read_text().splitlines()]
    assert {name for _, name in lines} == {
        f"pulumi-v{VERSION}-{system}-{cpu}.tar.gz"
        for system in ("linux", "darwin")
        for cpu in ("x64", "arm64")
    }
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest, _ in lines)
    assert len({digest for digest, _ in lines}) == 4
