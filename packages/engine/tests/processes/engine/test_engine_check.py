"""What `mlops check` lets through is merged by people who trust it: each rule has a change that it stops."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from engine_world import write_artifact
from git_world import MODEL, GitWorld, git

from mlops.errors import Forbidden, IntegrityError, InvalidInput, MlopsError, Unproven
from mlops.lifecycle.desired.check import check
from mlops.lifecycle.desired.proven import recorded
from mlops.lifecycle.propose.promote import promote as propose_promotion
from mlops.spec.files import release_path
from mlops.spec.proof import released_tags

STAGING, PROD = "environments/staging/freight.yaml", "environments/prod/freight.yaml"

BYPASS = "{gates: [order], reason: login is broken, approver: grace}"


def problems(world: GitWorld, base: str | None = "HEAD", *, asks: bool = False) -> list[str]:
    """`asks`: the registry and the journals too."""
    target = world.target if asks else None
    return [str(p) for p in check(world.root, base, now=world.clock.now(), target=target)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[GitWorld, str]:
    folder = tmp_path_factory.mktemp("check")
    world = GitWorld(folder, write_artifact(folder / "artifact"))
    world.stage(world.released())
    world.stage(1, env="prod")
    return world, world.stage(world.released(), replaces=1)


@pytest.fixture
def two(built: tuple[GitWorld, str]) -> GitWorld:
    """Two releases; staging asks for the second, prod for the first."""
    world, head = built
    git(world.root, "reset", "-q", "--hard", head)
    git(world.root, "clean", "-qfd")
    return world


def edit(world: GitWorld, name: str, old: str, new: str) -> None:
    path = world.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def promote(world: GitWorld) -> None:
    edit(world, PROD, "release: 1", "release: 2")
    edit(world, PROD, "replaces: null", "replaces: 1")


def test_a_good_tree_and_a_good_promotion_have_no_problems(two: GitWorld):
    assert problems(two, None) == []
    promote(two)
    assert problems(two) == []


def test_a_git_revert_is_legal(two: GitWorld):
    promote(two)
    two.commit("Promote")
    git(two.root, "revert", "--no-edit", "HEAD")
    assert problems(two, "HEAD~1") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            STAGING,
            "release: 2",
            "release: 7",
            f"{STAGING}:2: release: there is no release 7 of freight",
        ),
        (STAGING, "release: 2", "relaese: 2", "unknown field; allowed:"),
        (STAGING, "canary: [10, 100]", "canary: [50, 10]", "must rise from 1 or more to 100"),
        (
            STAGING,
            "hold: null",
            "bypass: {gates: [freeze], reason: because I can, approver: me}",
            "'freeze' cannot be skipped; allowed: order, soak, absolute",
        ),
        ("environments/policy.yaml", "order: [staging, prod]", "order: [staging]", "exactly once"),
        ("environments/freeze.yaml", "windows: []", "windows: 7", "environments/freeze.yaml:1: windows"),
        ("mlops.toml", "usecase", "use_case", ": models.freight"),
        ("pipelines/freight/model.yaml", "metrics:", "metrix:", "pipelines/freight/model.yaml:"),
        ("releases/freight/2.yaml", "version: 2", "version: 3", "its name says freight 2"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_field(two: GitWorld, name: str, old: str, new: str, says: str):
    edit(two, name, old, new)
    found = problems(two, None)
    assert any(says in line for line in found), found


def test_a_freeze_that_would_freeze_nothing(two: GitWorld):
    window = "start: 2030-12-23T18:00, end: 2031-01-02T08:00, timezone: UTC, reason: audit, by: ann"
    right = f"{{environments: [staging, prod], models: [freight], {window}}}"
    wrong = f"{{environments: [prd], models: [fright], {window}}}"
    edit(two, "environments/freeze.yaml", "windows: []", f"windows:\n- {right}\n- {wrong}")
    at = "environments/freeze.yaml:3: windows.1"
    assert problems(two, None) == [
        f"{at}.environments.0: there is no environment 'prd'; known: staging, prod",
        f"{at}.models.0: there is no model 'fright'; known: freight",
    ]


def test_all_problems_are_told_at_once(two: GitWorld):
    edit(two, STAGING, "release: 2", "release: 7")
    edit(two, PROD, "release: 1", "release: 8")
    assert len(problems(two, None)) >= 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("environments/moon/freight.yaml", "there is no environment 'moon'"),
        ("environments/prod/trains.yaml", "allowed here: freight.yaml"),
        ("releases/trains/1.yaml", "mlops.toml has no model 'trains'"),
        ("releases/freight/latest.yaml", "a release file is called <version>.yaml"),
        ("releases/freight/007.yaml", "a release file is called <version>.yaml"),
    ],
)
def test_a_file_in_the_wrong_place_is_a_problem(two: GitWorld, name: str, says: str):
    two.write(name, (two.root / STAGING).read_text())
    found = problems(two, None)
    assert any(line.startswith(name) and says in line for line in found), found


def test_releases_are_immutable(two: GitWorld):
    edit(two, "releases/freight/1.yaml", "0.72", "0.99")
    (two.root / "releases/freight/2.yaml").unlink()
    found = problems(two)
    assert any("freight/1.yaml:1: changed; a release is never edited" in line for line in found), found
    assert any("releases/freight/2.yaml: deleted" in line for line in found), found


def test_a_dirty_release_is_a_problem(two: GitWorld):
    edit(two, "releases/freight/2.yaml", "dirty: false", "dirty: true")
    assert any("source.dirty: was trained from uncommitted changes" in line for line in problems(two, None))


def test_a_digest_that_the_registry_does_not_know_is_a_problem(two: GitWorld):
    edit(two, "releases/freight/2.yaml", f"sha256:{2:064x}", f"sha256:{9:064x}")
    assert any("digest: the release says sha256:" in line for line in problems(two, None, asks=True))


def test_a_version_that_the_registry_does_not_have_is_a_problem(two: GitWorld):
    text = (two.root / "releases/freight/2.yaml").read_text().replace("version: 2", "version: 9")
    two.write("releases/freight/9.yaml", text)
    assert any("the registry has no version 9 of freight" in line for line in problems(two, None, asks=True))


def test_prod_names_only_what_staging_named(two: GitWorld):
    edit(two, PROD, "release: 1", f"release: {two.released()}")
    edit(two, PROD, "replaces: null", "replaces: 1")
    assert any("staging asks for release 2, not release 3" in line for line in problems(two))
    edit(two, PROD, "hold: null", f"bypass: {BYPASS}")
    assert problems(two) == []


def test_replaces_must_be_what_the_file_named(two: GitWorld):
    edit(two, PROD, "release: 1", "release: 2")
    assert any(f"{PROD}:3: replaces: must be 1" in line for line in problems(two))


def test_replaces_alone_may_not_change(two: GitWorld):
    edit(two, STAGING, "replaces: 1", "replaces: null")
    assert any("only a move changes it" in line for line in problems(two))


def test_a_freeze_blocks_forward_and_not_backward(two: GitWorld):
    local = two.clock.now().replace(tzinfo=None)
    start, end = local - timedelta(hours=1), local + timedelta(hours=1)
    two.write(
        "environments/freeze.yaml",
        f"windows: [{{environments: [prod], start: {start.isoformat()}, end: {end.isoformat()}, "
        "timezone: UTC, reason: year end, by: ops}]\n",
    )
    two.commit("Freeze")
    promote(two)
    assert any("prod is frozen until" in line and "year end, ops" in line for line in problems(two))
    promoted = two.commit("Promote anyway")
    git(two.root, "revert", "--no-edit", promoted)
    assert check(two.root, promoted, now=two.clock.now()) == []
    # The journal knows better than the file's history: prod never served release 1, so it is no way back.
    assert any("prod is frozen until" in line for line in problems(two, promoted, asks=True))


def test_a_hold_blocks_forward(two: GitWorld):
    promote(two)
    edit(two, PROD, "hold: null", "hold: {reason: wait, since: 2026-03-01T00:00:00Z, by: ada}")
    assert any(f"{PROD}:5: hold: ada put freight in prod on hold" in line for line in problems(two))


def test_deleting_desired_state_is_a_problem(two: GitWorld):
    (two.root / PROD).unlink()
    assert any("deleted, which would stop nothing" in line for line in problems(two))


def test_an_unknown_base_is_a_sentence(two: GitWorld):
    with pytest.raises(InvalidInput, match="no-such is not a commit"):
        problems(two, "no-such")


def test_a_signature_lies_beside_its_release_and_may_be_made_anew_but_not_be_lost(two: GitWorld):
    two.write("releases/freight/1.sig", "{}")
    assert problems(two) == []
    head = two.commit("Sign")
    two.write("releases/freight/1.sig", "{ }")
    assert problems(two, head) == []
    (two.root / "releases/freight/1.sig").unlink()
    assert any("releases/freight/1.sig" in line and "deleted" in line for line in problems(two, head))
    two.write("releases/freight/9.sig", "{}")
    assert any(
        "releases/freight/9.sig: is the signature of no release" in line for line in problems(two, head)
    )


# --- a release counts when the lifecycle made it ----------------------------------------------------


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


# --- check and apply have one notion of "unchanged" -------------------------------------------------

RELEASE = "releases/freight/2.yaml"


def crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def comment(path: Path) -> None:
    path.write_text(path.read_text() + "# more\n")


def latin_1(path: Path) -> None:
    path.write_bytes(path.read_bytes() + "# caf\u00e9\n".encode("latin-1"))


def executable(path: Path) -> None:
    path.chmod(0o755)


def linked(path: Path) -> None:
    path.rename(path.parents[2] / "real.yaml")
    path.symlink_to("../../real.yaml")


def byte_order_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def utf_16(path: Path) -> None:
    path.write_text(path.read_text(), encoding="utf-16")


def no_line_feed_at_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))


def zero_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_key_twice(path: Path) -> None:
    path.write_text(path.read_text() + "version: 2\n")


def second_document(path: Path) -> None:
    path.write_text(path.read_text() + "---\nversion: 3\n")


def document_end(path: Path) -> None:
    path.write_text(path.read_text() + "...\n")


def deleted(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("99.yaml"))


def other_ending(path: Path) -> None:
    path.rename(path.with_suffix(".yml"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "2.yaml").write_text("version: 2\n")


def submodule(path: Path) -> None:
    path.unlink()
    path.mkdir()
    git(path, "init", "-q")
    git(path, "commit", "-q", "--allow-empty", "-m", "Inside")


EDITS = [
    crlf, comment, latin_1, executable, linked, byte_order_mark, utf_16, no_line_feed_at_the_end, zero_byte,
    empty, a_key_twice, second_document, document_end, deleted, renamed, other_ending, folder, submodule,
]  # fmt: skip


@pytest.mark.parametrize("edits", EDITS, ids=lambda f: f.__name__)
def test_check_and_apply_agree_on_every_edit_of_a_release_and_the_way_back_that_is_told_works(
    two: GitWorld, edits: Callable[[Path], None]
):
    base = git(two.root, "rev-parse", "HEAD")
    git(two.root, "config", "core.autocrlf", "false")
    assert problems(two, base) == []
    edits(two.root / RELEASE)
    assert any(RELEASE in line for line in problems(two, base)), "before it is committed"
    with pytest.raises(MlopsError):
        two.run("staging")
    two.commit("Edit a release")
    told = [line for line in problems(two, base) if RELEASE in line]
    assert told
    assert any(RELEASE in line for line in problems(two, "HEAD")), "and for everybody after it"
    with pytest.raises(MlopsError) as refusal:
        two.run("staging")
    assert refusal.value.exit_code in (5, 6, 7)
    edited = git(two.root, "rev-parse", "HEAD")
    back = re.search(r"git checkout ([0-9a-f]+) -- (\S+\.yaml)", "\n".join([*told, str(refusal.value)]))
    assert back is not None, "\n".join([*told, str(refusal.value)])
    path = two.root / RELEASE
    if path.is_dir():
        shutil.rmtree(path)
    git(two.root, "checkout", back[1], "--", back[2])
    for left in ("99.yaml", "2.yml"):
        (path.parent / left).unlink(missing_ok=True)
    two.commit("Restore a release")
    assert problems(two, base) == problems(two, edited) == []
    two.run("staging")
    git(two.root, "reset", "-q", "--hard", edited)
    git(two.root, "revert", "--no-edit", "HEAD")
    assert problems(two, base) == problems(two, "HEAD~1") == []
    two.run("staging")
