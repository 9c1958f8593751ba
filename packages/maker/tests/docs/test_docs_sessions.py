"""The commands of each page are typed, in order, in a fresh copy of the repository.

Blocks without a note above them run in the normal suite; `run: slow` joins them in the slow one, where the
whole page is one session. What a block needs that is not here, it says (test_docs_commands.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import Block, blocks, pages
from doc_session import Session

RUNNABLE = ("sh", "diff")


def session_of(page: str, *, slow: bool) -> list[Block]:
    """The blocks of a page that are run, in order."""
    found = [b for b in blocks(page) if b.language in RUNNABLE and not b.note("needs")]
    return [b for b in found if b.note("run") is None or (slow and b.note("run") == "slow")]


def has_slow(page: str) -> bool:
    return any(b.note("run") == "slow" for b in blocks(page))


QUICK = [page for page in pages() if any(b.language == "sh" for b in session_of(page, slow=False))]
SLOW = [page for page in pages() if has_slow(page)]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """For blocks that change nothing."""
    return Session(tmp_path_factory.mktemp("copy"))


@pytest.mark.parametrize("page", QUICK)
def test_the_commands_of_a_page_work(page: str, session: Session) -> None:
    session.run(session_of(page, slow=False), seconds=120)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("page", SLOW)
def test_the_commands_of_a_long_page_work(page: str, session: Session) -> None:
    session.run(session_of(page, slow=True), seconds=2300)


def test_the_tutorial_is_run_as_a_whole():
    left_out = [b.where for b in blocks("docs/tutorial.md") if b.language in RUNNABLE and b.note("needs")]
    assert "docs/tutorial.md" in SLOW
    assert len(left_out) == 1, f"only the clone and the set-up of the tutorial are not run, but {left_out}"


def test_a_command_that_fails_is_told_with_its_line(copy: Session) -> None:
    first, second = (
        "```sh\ntrue\ncd environments\n```\n",
        "```sh\ntest -f policy.yaml\nmlops history nowhere\n```\n",
    )
    page = f"Text.\n\n{first}\n{second}"
    with pytest.raises(AssertionError, match=r"page\.md:8 ended with 5:\n.*no environment 'nowhere'"):
        copy.run(blocks("page.md", page), seconds=60)


def test_an_edit_that_does_not_apply_is_told(copy: Session) -> None:
    edit = "--- a/mlops.toml\n+++ b/mlops.toml\n@@ -1,1 +1,1 @@\n-no such line\n+another\n"
    with pytest.raises(AssertionError, match=r"page\.md:1 ended with 1"):
        copy.run(blocks("page.md", f"```diff\n{edit}```\n"), seconds=60)


@pytest.mark.parametrize("command", ["uv sync", ".venv/bin/uv lock", "az login", "apt-get install x"])
def test_nothing_is_installed_or_asked_for(copy: Session, command: str) -> None:
    with pytest.raises(AssertionError, match=r"ended with 97:\n.*is not run by the tests"):
        copy.run(blocks("page.md", f"```sh\n{command}\n```\n"), seconds=60)


def test_a_command_that_hangs_is_ended(copy: Session) -> None:
    with pytest.raises(AssertionError, match="not done after 1 s"):
        copy.run(blocks("page.md", "```sh\nsleep 60\n```\n"), seconds=1)
