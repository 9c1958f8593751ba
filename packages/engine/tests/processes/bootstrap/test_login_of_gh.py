"""The login that `gh` keeps is asked of `gh`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.forge import login


def test_the_login_of_gh_is_used_where_no_token_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\n[ "$*" = "auth token" ] && echo gho_1\n')
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GH_TOKEN", raising=False)
    assert login.github_token() == "gho_1"
    gh.unlink()
    with pytest.raises(Exception, match="gh auth login"):
        login.github_token()
