"""Every example of the documentation is typed, in a world in which it makes sense, and does what it should.

The table is in example_acts.py. That it is complete is proven in seconds; typing it all takes minutes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from doc_examples import Act, World, examples, gaps, perform
from doc_pages import blocks
from doc_session import Session
from example_acts import ELSEWHERE, WORLDS

from tests.e2e.template_copy import PACKAGES

ACTS = [act for world in WORLDS for act in world.acts]
WORLD = World("nowhere", [], prelude="two() { echo 2; }")


@dataclass
class Typist:
    """What `perform` needs of a session."""

    root: Path
    env: dict[str, str]


@pytest.fixture
def typist(tmp_path: Path) -> Typist:
    return Typist(tmp_path, {"PATH": os.environ["PATH"]})


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_the_examples_of_a_world_work(world: World, tmp_path: Path, raw_sample: Path) -> None:
    (tmp_path / "sample").symlink_to(raw_sample)
    session = Session(tmp_path)
    session.env |= PACKAGES
    failed = []
    try:
        for act in world.acts:
            try:
                perform(session, world, act)
            except AssertionError as error:
                failed.append(str(error))
    finally:
        session.stop()
    assert not failed, "\n\n".join(failed)
    assert not Path(session.env["UV_PROJECT_ENVIRONMENT"]).exists(), "something was installed"


def test_every_example_is_typed_somewhere_and_nothing_else_is() -> None:
    assert len(examples()) > 80
    found = gaps(examples(), ACTS, ELSEWHERE)
    assert not found, "\n".join(found)


# --- that the check blocks ------------------------------------------------------------------------------

PAGE = """\
<!-- run: example -->
```sh
mlops status         # look
mlops diff \\
  prod
```

```sh
mlops of a session
```
"""


@pytest.fixture
def shown() -> dict[str, list[str]]:
    return examples(blocks("page.md", PAGE))


def test_lines_are_taken_from_blocks_with_the_note(shown: dict[str, list[str]]) -> None:
    assert shown == {"mlops status": ["page.md:2"], "mlops diff prod": ["page.md:2"]}


STATUS, DIFF = Act("mlops status"), Act("mlops diff prod")


@pytest.mark.parametrize(
    ("acts", "elsewhere", "said"),
    [
        ([STATUS], {}, "page.md:2: nothing types `mlops diff prod`; give it an Act"),
        ([STATUS, DIFF, Act("mlops stop")], {}, "no page shows `mlops stop` any more; remove its Act"),
        ([STATUS, DIFF, STATUS], {}, "`mlops status` has two Acts"),
        ([STATUS, Act("mlops diff prod", {"7": "2"})], {}, "`mlops diff prod` has no '7'"),
        ([STATUS, DIFF], {"mlops stop": "is dangerous"}, "`mlops stop` is not shown, or has an Act"),
        ([STATUS, DIFF], {"mlops status": "is dangerous"}, "`mlops status` is not shown, or has an Act"),
        ([STATUS], {"mlops diff prod": "tests/none.py"}, "tests/none.py does not type `mlops diff prod`"),
        ([STATUS], {"mlops diff prod": "tests/conftest.py"}, "tests/conftest.py does not type"),
    ],
)
def test_a_gap_is_found(
    shown: dict[str, list[str]], acts: list[Act], elsewhere: dict[str, str], said: str
) -> None:
    (found,) = gaps(shown, acts, elsewhere)
    assert found.startswith(said)


def test_a_table_without_gaps_has_none(shown: dict[str, list[str]]) -> None:
    assert gaps(shown, [STATUS, DIFF], {}) == []
    assert gaps(shown, [STATUS], {"mlops diff prod": "needs no act, for a reason"}) == []


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Act("exit 2"), "ended with 2, not 0"),
        (Act("true", codes=(2,)), "ended with 0, not 2"),
        (Act("false", before="false", codes=(2,)), "ended with 1, not 2"),
        (Act("echo done", sees="live"), "did not say 'live'"),
        (Act("touch there", before="touch there", makes="nothing"), "did not make nothing"),
        (Act("touch old", makes="old"), "did not make old"),
        (Act("echo done", parses=True), "did not print JSON"),
        (Act("echo 'Traceback (most recent call last)'"), "showed a traceback"),
        (Act("sleep 60"), r"ended with 124.*\n.*not done after 0 s"),
        (Act("sleep 60", until="never said"), "ended with 124"),
    ],
)
def test_an_example_that_does_not_work_is_told(act: Act, said: str, typist: Typist) -> None:
    (typist.root / "old").touch()
    with pytest.raises(AssertionError, match=f"(?s)no page: `.*` {said}"):
        perform(typist, WORLD, act, seconds=0.3)


@pytest.mark.parametrize(
    "act",
    [
        Act("echo 7", {"7": "$(two)"}, sees="^2$"),
        Act("cat > made", {"cat": "echo made"}, makes="m*"),
        Act("read -r answer && echo said $answer", answers="yes\n", sees="said yes"),
        Act("test -t 0", answers="\n"),
        Act("test -t 0", codes=(1,)),
        Act("echo ready; sleep 60", until="ready", codes=(130,)),
        Act("basename $PWD", at="inner", sees="inner"),
    ],
)
def test_an_example_that_works_is_passed(act: Act, typist: Typist) -> None:
    (typist.root / "inner").mkdir()
    perform(typist, WORLD, act, seconds=10)
