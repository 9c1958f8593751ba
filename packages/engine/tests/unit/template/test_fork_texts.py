"""What `init` does to single files: a cut too many breaks a fork at once, one too few leaves a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.template import manifest, values
from mlops.template.answers import answers
from mlops.template.migrations import migrate, v0_2_0_engine_outside
from mlops.template.migrations.edit import rename_toml_key, rename_yaml_key
from mlops.template.regions import unmarked, without
from mlops.template.versions import notes, order

GIVEN = answers(project="demand", contact="a@b.org", forge="github", repository="Acme/demand", model="prices")


# --- marked parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\n# <example>\nb\n# </example>\nc\n", "a\nc\n"),
        ("a\n\n\n# <example>\nb\n# </example>\n\n\nc\n", "a\n\n\nc\n"),
        ("a\n<!-- <example> -->\nb\n<!-- </example> -->\n", "a\n"),
        ("a\n\n\n// <example>\nb\n// </example>\n", "a\n"),
        ("(\n    a,\n    b,  # <example/>\n)\n", "(\n    a,\n)\n"),
        ("| a |\n| b <!-- <example/> --> |\n| c |\n", "| a |\n| c |\n"),
        ("say <example> in words\n", "say <example> in words\n"),
    ],
)
def test_marked_parts_go_with_the_gap_around_them(before: str, after: str) -> None:
    assert without("f", before, "example") == after


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# <example>\nb\n", r"f:1: <example> is never closed"),
        ("a\n# </example>\n", r"f:2: .*has no other half"),
        ("# <example>\n# <example>\n# </example>\n", r"f:2: .*has no other half"),
    ],
)
def test_a_mark_without_its_other_half_is_found(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        without("f", text, "example")


def test_parts_that_are_meant_stay_without_their_marks() -> None:
    text = "a\n# <github>\nb\n# </github>\n\tc # <github/>\nd <!-- <github/> -->\n# <home>\ne\n# </home>\n"
    assert unmarked(text, "github") == "a\nb\n\tc\nd\n# <home>\ne\n# </home>\n"


# --- names ----------------------------------------------------------------------------------------------


def test_settings_keep_all_but_the_example() -> None:
    text = (
        '# Settings.\ntarget = "local"\n\n[project]\nname = "old"\n\n[models.old]\nusecase = "old"\n\n'
        '# About old.\n[models.old.capture]\nenabled = true\n\n[models.prices]\nusecase = "prices"\n\n'
        '# Who.\n[forge]\nkind = "local"\n'
    )
    edit = values.edits("mlops.toml")
    assert edit is not None
    assert values.without_model(edit(text, GIVEN), "old") == (
        '# Settings.\ntarget = "local"\n\n[project]\nname = "demand"\n\n'
        '[models.prices]\nusecase = "prices"\n\n'
        '# Who.\n[forge]\nkind = "github"\nrepository = "Acme/demand"\n'
    )


def test_a_file_without_the_place_for_a_name_stops_everything() -> None:
    edit = values.edits("mlops.toml")
    assert edit is not None
    with pytest.raises(InvalidInput, match=r"mlops\.toml: nothing here matches"):
        edit("[tool.ruff]\n", GIVEN)


# --- migrations and versions ----------------------------------------------------------------------------


def test_a_renamed_key_keeps_comments_and_every_other_byte(tmp_path: Path) -> None:
    toml, yaml = tmp_path / "a.toml", tmp_path / "a.yaml"
    toml.write_text("rate = 1\n[models.a.capture] # x\nrate = 2  # half\nrates = 3\n[models.a]\nrate = 4\n")
    assert rename_toml_key(toml, r"models\.\w+\.capture", "rate", "share")
    assert toml.read_text() == (
        "rate = 1\n[models.a.capture] # x\nshare = 2  # half\nrates = 3\n[models.a]\nrate = 4\n"
    )
    yaml.write_text("soak: 1\nenvironments:\n  a:\n    soak: 2  # two\n  b:\n    soak: 3\nlast: {soak: 4}\n")
    assert rename_yaml_key(yaml, ("environments", "a", "soak"), "wait")
    assert yaml.read_text() == (
        "soak: 1\nenvironments:\n  a:\n    wait: 2  # two\n  b:\n    soak: 3\nlast: {soak: 4}\n"
    )
    assert not rename_toml_key(toml, r"models\.\w+\.capture", "rate", "share"), "the second time: nothing"
    assert not rename_yaml_key(yaml, ("environments", "a", "soak"), "wait")
    assert not rename_yaml_key(tmp_path / "none.yaml", ("a",), "b")


def test_migrations_run_in_the_order_of_versions_and_only_those_that_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops.template import migrations

    for name in ("v0_10_0_later", "v0_9_0_b", "v0_9_0_a", "v0_8_0_known", "edit"):
        (tmp_path / f"{name}.py").write_text(
            "def migrate(root):\n    (root / 'log').open('a').write(WHAT + ' ')\n"
            "    return WHAT != 'v0_9_0_b'\n"
            f"WHAT = {name!r}\n"
        )
    monkeypatch.setattr(migrations, "__path__", [str(tmp_path)])
    assert migrate(tmp_path, "0.8.0") == ["v0_9_0_a", "v0_10_0_later"]
    assert (tmp_path / "log").read_text() == "v0_9_0_a v0_9_0_b v0_10_0_later "
    with pytest.raises(InvalidInput, match="'main' is no version"):
        migrate(tmp_path, "main")


def test_what_named_the_copied_engine_asks_the_installed_one(tmp_path: Path) -> None:
    """A fork of a version with the engine inside would train without an engine, and start no training."""
    before = {
        ".github/CODEOWNERS": "/infra/ @a/b\n/src/mlops/ @a/b\n",
        ".github/workflows/train-pay.yml": "    paths:\n      - src/pay/**\n      - src/mlops/steps/**\n",
        "pipelines/pay/components/train.yml": "code: ../../../src\ncommand: python -m mlops.steps.train\n",
        "pipelines/pay/components/monitor.yml": "code: ../../..\ncommand: python src/mlops/cli/job.py x\n",
        "pipelines/pay/sweep.yml": "trial:\n  code: ../../src\n",
    }
    for name, text in before.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert v0_2_0_engine_outside.migrate(tmp_path)
    assert {name: (tmp_path / name).read_text() for name in before} == {
        ".github/CODEOWNERS": "/infra/ @a/b\n",
        ".github/workflows/train-pay.yml": "    paths:\n      - src/pay/**\n",
        "pipelines/pay/components/train.yml": "code: ../../../src\n"
        "additional_includes: [../../../.mlops/engine/steps/mlops]\ncommand: python -m mlops.steps.train\n",
        "pipelines/pay/components/monitor.yml": "additional_includes:\n"
        "  - ../../../src\n  - ../../../environments\n  - ../../../pipelines\n  - ../../../mlops.toml\n"
        "  - ../../../.mlops/engine/verbs/mlops\ncommand: python -m mlops.cli x\n",
        "pipelines/pay/sweep.yml": "trial:\n  code: ../../.mlops/engine/sources\n",
    }
    assert not v0_2_0_engine_outside.migrate(tmp_path), "the second time: nothing"


def test_a_manifest_of_a_fork_with_the_engine_inside_is_read(tmp_path: Path) -> None:
    (tmp_path / "template.toml").write_text(
        'version = "0.1.0"\nhome = ["/x"]\n[[zones]]\npaths = ["/src/*/"]\nwhat = "w"\nowner = "fork"\n'
        '[[zones]]\npaths = ["/docs/"]\nwhat = "w"\nowner = "template"\n'
        '[answers]\nproject = "pay"\ncontact = "a@b.org"\n'
    )
    found = manifest.load(tmp_path)
    assert found.owned_by_fork("src/pay/a.py") and not found.owned_by_fork("docs/a.md")
    assert found.answers is not None and found.answers.source() is None


def test_versions_are_numbers() -> None:
    assert max(["0.9.0", "0.10.0"], key=order) == "0.10.0"


def test_a_fork_is_told_of_what_is_new_to_it_and_not_of_what_is_not_released() -> None:
    log = (
        "# Changelog\n\n## [Unreleased]\n\n- x\n\n## [0.10.0] - d\n\n- ten\n\n"
        "## [0.9.0] - d\n\n- nine\n\n## [0.8.0]\n\n- eight\n"
    )
    assert notes(log, "0.8.0", "0.10.0") == "## [0.10.0] - d\n\n- ten\n\n## [0.9.0] - d\n\n- nine"
    assert notes(log, "0.10.0", "0.10.0") == ""


# --- what the template asks another version of itself ---------------------------------------------------
