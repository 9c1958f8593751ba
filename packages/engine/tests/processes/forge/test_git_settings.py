"""What is read of git decides what is served, so nobody's own settings change it: colours, signatures that
are shown with a log, renames that are followed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from git_world import git

from mlops.forge.git import Git

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="makes the key that signs")

NAME = "releases/freight/2.yaml"
SETTINGS = {
    "colours": "[color]\nui = always\n",
    "signatures": "[log]\nshowSignature = true\n",
    "followed renames": "[log]\nfollow = true\n",
    "another form": "[log]\ndate = relative\ndecorate = full\n[format]\npretty = oneline\n",
    "other differences": "[diff]\nrenames = copies\nnoprefix = true\n[log]\ndiffMerges = off\n",
    "another status": "[status]\nshowUntrackedFiles = no\nbranch = true\n[column]\nui = always\n",
    "quoted paths": "[core]\nquotePath = true\n",
    "another search": "[grep]\nlineNumber = true\nfullName = true\npatternType = perl\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A signed release that was edited and renamed, and changes that are not committed."""
    root = tmp_path / "repository"
    root.mkdir()
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    git(root, "init", "-q", "-b", "main")
    for name, value in (("format", "ssh"), ("ssh.allowedSignersFile", "/dev/null")):
        git(root, "config", f"gpg.{name}", value)
    git(root, "config", "user.signingKey", str(key))
    git(root, "config", "commit.gpgSign", "true")
    release = root / "releases/freight/1.yaml"
    release.parent.mkdir(parents=True)
    for text in ("a: 1\n", "a: é\n"):
        release.write_text(text)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", text)
    release.rename(root / NAME)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Rename")
    (root / "new.yaml").write_text("")
    return root


READ: list[Callable[[Git], object]] = [
    lambda g: g.changes("releases"),
    lambda g: g.texts("releases"),
    lambda g: g.log(NAME),
    lambda g: g.uncommitted("new.yaml", NAME),
    lambda g: g.files("HEAD", "releases"),
    lambda g: g.subjects("HEAD~2", "HEAD"),
    lambda g: g.answer("grep", "-I", "-l", "-e", "a:"),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_nobodys_own_settings_change_what_is_read(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plain = [read(Git(repository)) for read in READ]
    own = tmp_path / "gitconfig"
    own.write_text(SETTINGS[name])
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    assert [read(Git(repository)) for read in READ] == plain
