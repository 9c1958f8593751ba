"""A release counts when the lifecycle made it: check, promote and apply refuse one written by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from check_world import STAGING, problems
from git_world import MODEL, GitWorld, git

from mlops.errors import Forbidden, IntegrityError, MlopsError, Unproven
from mlops.lifecycle.desired.check import check
from mlops.lifecycle.desired.proven import recorded
from mlops.lifecycle.propose.promote import promote as propose_promotion
from mlops.spec.files import release_path
from mlops.spec.proof import released_tags


def forge(world: GitWorld) -> int:
    """A release whose gates had blocked it; a hand-written file says pass, and staging asks for it."""
    version = world.released()
    made = world.releases[version]
    blocked = [made.gates[0].model_copy(update={"verdict": "blocked", "observed": "0.41"})]
    found = recorded(world.registry, world.registry.get(MODEL, version))
    world.registry.tag(MODEL, version, released_tags(found, made.model_copy(update={"gates": blocked})))
    world.stage(version, replaces=2)
    return version


def test_check_promote_and_apply_refuse_a_release_that_its_author_wrote(two: GitWorld):
    two.run("staging")
    base = git(two.root, "rev-parse", "HEAD")
    version = forge(two)
    assert problems(two, base) == [], "who asks no registry sees a file as good as any"
    found = check(two.root, base, now=two.clock.now(), target=two.target)
    assert [(type(p), p.field) for p in found] == [(Unproven, "gates.0.verdict")]
    assert found[0].where.startswith(f"releases/freight/{version}.yaml:")
    with pytest.raises(IntegrityError, match=r"gates\.0\.verdict: the release says pass") as refusal:
        two.run("staging")
    assert refusal.value.exit_code == 7 and two.served("staging") == 2
    with pytest.raises(IntegrityError, match=r"gates\.0\.verdict"):
        propose_promotion(
            two.root, two.target, two.forge, "prod", MODEL, actor="ada", now=two.clock.now(), release=version
        )
    assert two.forge.list_open() == []


def other_commit(world: GitWorld, text: str) -> str:
    return text.replace(git(world.root, "rev-parse", "HEAD~1"), git(world.root, "rev-parse", "HEAD~4"))


FORGED: dict[str, tuple[Callable[[GitWorld, str], str], str]] = {
    "another artifact": (lambda w, t: t.replace("digest: sha256:000", "digest: sha256:fff", 1), "digest"),
    "a verdict for another commit": (other_commit, "source.commit"),
    "a run that is not its own": (lambda w, t: re.sub("run_id: .*", "run_id: mine", t), "source.run_id"),
    "other data": (lambda w, t: re.sub("window: .*", "window: 2012-01..2012-02", t, count=1), "data."),
    "another file of gates": (
        lambda w, t: re.sub("gates_digest: .*", f"gates_digest: sha256:{'e' * 64}", t),
        "gates_digest",
    ),
    "a better number": (lambda w, t: t.replace("value: 0.7", "value: 0.9"), "metrics.roc_auc"),
    "another gate": (lambda w, t: t.replace("name: absolute", "name: size"), "gates"),
    "another limit": (lambda w, t: t.replace("limit: '0.60'", "limit: '0.10'"), "gates.0.limit"),
    "made at another time": (
        lambda w, t: re.sub("created: .*", "created: '2020-01-01T00:00:00Z'", t),
        "created",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_hand_written_release_of_a_version_that_exists_is_refused_by_all_three(two: GitWorld, kind: str):
    """The version passed its gates, and the branch writes its file before the lifecycle does."""
    two.run("staging")
    base = git(two.root, "rev-parse", "HEAD")
    version = two.released()
    name = release_path(MODEL, version)
    text = (two.root / name).read_text()
    edit, field = FORGED[kind]
    edited = edit(two, text)
    assert edited != text, "the edit changes nothing"
    git(two.root, "reset", "-q", "--hard", "HEAD~1")
    two.write(name, edited)
    two.commit(f"Release freight {version}")
    two.stage(version, replaces=2)
    found = check(two.root, base, now=two.clock.now(), target=two.target)
    assert [p.field for p in found if isinstance(p, Unproven) and p.field.startswith(field)], found
    with pytest.raises(IntegrityError, match=rf"{re.escape(field)}"):
        two.run("staging")
    assert two.served("staging") == 2
    with pytest.raises(IntegrityError, match=rf"{re.escape(field)}"):
        propose_promotion(
            two.root, two.target, two.forge, "prod", MODEL, actor="ada", now=two.clock.now(), release=version
        )


@pytest.mark.parametrize("kind", ["no such version", "no record", "the same model again", "of another model"])
def test_a_release_that_the_registry_does_not_know_as_such_is_refused(two: GitWorld, kind: str):
    two.run("staging")
    base = git(two.root, "rev-parse", "HEAD")
    first = (two.root / release_path(MODEL, 2)).read_text()
    version = two.released() if kind == "no record" else len(two.releases) + 1
    if kind == "no record":
        tags = two.registry.get(MODEL, version).tags
        two.registry.tag(MODEL, version, {k: None for k in tags if k.startswith("mlops.")})
    else:
        two.write(release_path(MODEL, version), first.replace("version: 2\n", f"version: {version}\n", 1))
    if kind == "the same model again":
        # Registered anew by hand: the same bytes, all tags of the first but the record of a release.
        tags = two.registry.get(MODEL, 2).tags
        two.registry.add(two.releases[2].model_copy(update={"version": version}), two.artifact)
        mine = two.registry.get(MODEL, version).tags
        two.registry.tag(MODEL, version, {k: None for k in mine if k.startswith("mlops.released")})
        two.registry.tag(
            MODEL, version, {k: v for k, v in tags.items() if not k.startswith("mlops.released")}
        )
    if kind == "of another model":
        two.write(release_path(MODEL, version), first.replace("model: freight", "model: cargo", 1))
    two.commit(f"Release freight {version}")
    two.stage(version, replaces=2)
    assert check(two.root, base, now=two.clock.now(), target=two.target)
    with pytest.raises(MlopsError):
        two.run("staging")
    assert two.served("staging") == 2
    with pytest.raises(MlopsError):
        propose_promotion(
            two.root, two.target, two.forge, "prod", MODEL, actor="ada", now=two.clock.now(), release=version
        )


def test_a_release_that_is_edited_while_it_is_rolled_back_does_not_come_back(two: GitWorld):
    """Nobody asks for it meanwhile, so only its history tells."""
    two.run("staging")
    name = release_path(MODEL, 1)
    two.write(name, (two.root / name).read_text().replace("value: 0.7", "value: 0.9"))
    base = two.commit("Polish")
    two.stage(1, replaces=None)
    found = check(two.root, base, now=two.clock.now(), target=two.target)
    assert any("a release is never edited" in str(p) for p in found), found
    with pytest.raises(IntegrityError, match="never edited"):
        two.run("staging")


def test_who_may_not_read_journals_compares_releases_and_judges_moves_by_files(
    two: GitWorld, monkeypatch: pytest.MonkeyPatch
):
    """The identity of a pull request reads the registry only."""
    two.run("staging")
    base = git(two.root, "rev-parse", "HEAD")
    version = forge(two)

    def refused(*_: object) -> None:
        raise Forbidden("this identity may not read the journal")

    monkeypatch.setattr(two.target.store, "entries", refused)
    told: list[str] = []
    found = check(two.root, base, now=two.clock.now(), target=two.target, note=told.append)
    assert [(type(p), p.field) for p in found] == [(Unproven, "gates.0.verdict")], version
    assert any("judged by the files alone" in line for line in told), told
    monkeypatch.setattr(two.target.registry, "get", refused)
    found = check(two.root, base, now=two.clock.now(), target=two.target)
    assert any("may not read" in str(p) for p in found), "a registry that cannot be asked is no yes"


def forget(world: GitWorld, version: int) -> None:
    """As a registry from before there were records has it."""
    tags = world.registry.get(MODEL, version).tags
    world.registry.tag(MODEL, version, {k: None for k in tags if k.startswith("mlops.released")})


def test_a_release_from_before_there_were_records_counts_where_it_was_verified(two: GitWorld):
    two.run("staging")
    forget(two, 2)
    two.run("staging")
    assert problems(two, None, asks=True) == [], "an upgrade bars no way back"
    third = two.released()
    forget(two, third)
    two.stage(third, replaces=2)
    assert any(f"mlops gate {third} " in line for line in problems(two, None, asks=True))
    with pytest.raises(IntegrityError, match=f"mlops gate {third} "):
        two.run("staging")


@pytest.mark.parametrize(
    "place",
    ["releases", "releases/freight", "environments", "environments/policy.yaml", "environments/freeze.yaml",
     "environments/staging", STAGING, "pipelines/freight", "pipelines/freight/model.yaml"],
)  # fmt: skip
def test_no_link_is_read_on_the_way_to_what_decides(two: GitWorld, place: str):
    # Git keeps a link's name only: apply, which reads commits, would find nothing behind it.
    (two.root / place).rename(two.root / "elsewhere")
    (two.root / place).symlink_to(two.root / "elsewhere")
    found = problems(two, None)
    (two.root / place).unlink()
    (two.root / "elsewhere").rename(two.root / place)
    assert any(line.startswith(f"{place}: is a symbolic link") for line in found), found


def test_a_pipe_is_not_waited_for(two: GitWorld):
    pipe = two.root / "releases/freight/5.yaml"  # which `git clean` leaves
    os.mkfifo(pipe)
    found = problems(two, None)
    pipe.unlink()
    assert found == ["releases/freight/5.yaml: is no regular file; put one in its place"]
