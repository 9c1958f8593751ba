"""What a person gets who asks for something that is not there: a sentence that helps, and a code CI can read.

`CliRunner` keeps an exception that no handler turned into a sentence, so `refused` fails on a traceback.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.spec.settings import load_settings

ROOT = Path(__file__).parents[5]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The template's settings, environments and pipelines; no git, no state."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(ROOT / "mlops.toml", folder)
    for name in ("environments", "pipelines"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(_app.app, ["-C", str(folder), *words])


def refused(result: Result, code: int, *parts: str) -> None:
    """It ended with `code`, and its only words are one error sentence that has all `parts`."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert not result.stdout, "a refusal belongs on standard error"
    for part in parts:
        assert part in result.stderr, result.stderr


def test_outside_of_a_repository(tmp_path: Path) -> None:
    refused(call(tmp_path, "status"), 5, f"no mlops.toml in {tmp_path} or above", "made from the template")


def test_a_folder_below_the_repository_is_inside_it(repository: Path) -> None:
    refused(call(repository / "pipelines" / "flights", "apply", "moon"), 5, "no environment 'moon'")


@pytest.mark.parametrize(
    "words", [("status",), ("train",), ("gate",), ("apply", "prod"), ("versions", "list")], ids=" ".join
)
def test_unknown_model(repository: Path, words: tuple[str, ...]) -> None:
    result = call(repository, *words, "--model", "trains")
    refused(result, 5, "mlops.toml: models.trains: there is no model 'trains'; known: flights")


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "moon"),
        ("diff", "moon"),
        ("history", "moon"),
        ("stop", "moon"),
        ("promote", "moon"),
        ("rollback", "moon", "--reason", "why"),
        ("score", "--env", "moon", "--input", "{rows}"),
    ],
    ids=lambda words: words[0],
)
def test_unknown_environment(
    repository: Path, tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('{"input_data": {"columns": [], "data": []}}')
    monkeypatch.setattr("mlops.cli._promote._forge", lambda: None)
    result = call(repository, *(word.replace("{rows}", str(rows)) for word in words))
    refused(result, 5, "there is no environment 'moon'; environments/policy.yaml knows staging, prod")


def test_an_endpoint_whose_state_cannot_be_read_can_be_stopped(repository: Path) -> None:
    """The sentence names commands that help."""
    folder = repository / ".mlops/endpoints/staging/flights"
    folder.mkdir(parents=True)
    (folder / "endpoint.json").write_text("{")
    refused(call(repository, "endpoints"), 5, "run `mlops stop staging`, then `mlops apply staging`")
    refused(call(repository, "stop"), 5, "run `mlops stop staging`")
    done = call(repository, "stop", "staging")
    assert (done.exit_code, "stopped flights in staging" in done.output) == (0, True), done.output
    assert call(repository, "endpoints").exit_code == 0


def test_unknown_target(repository: Path) -> None:
    refused(
        call(repository, "--target", "moon", "status"),
        5,
        "there is no target 'moon'; known: azure, databricks, local",
    )


@pytest.mark.parametrize("pair", ["max_iter", "=5", ""])
def test_a_setting_that_is_no_pair(repository: Path, pair: str) -> None:
    refused(call(repository, "train", "--set", pair), 5, f"--set {pair!r} is not of the form name=value")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("january", "a window is written 2013-01..2013-03 (months)"),
        ("2013-13", "month must be in 1..12"),
        ("2013-03..2013-01", "the last month of a window must not be before its first"),
        ("", "a window is written"),
    ],
)
@pytest.mark.parametrize("option", ["--window", "--test-window"])
def test_a_wrong_window(repository: Path, option: str, text: str, says: str) -> None:
    """Refused before a run is started."""
    refused(call(repository, "train", option, text), 5, f"{option}: ", says, f"got {text!r}")
    assert not (repository / ".mlops").exists()


def test_settings_that_are_no_toml(repository: Path) -> None:
    (repository / "mlops.toml").write_text('target = "local\n')
    refused(call(repository, "status"), 5, "mlops.toml: not valid TOML", "line 1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\xff\xfe\x00", "mlops.toml: not UTF-8 text (byte 0); save it as UTF-8"),
        (b'\n<<<<<<< HEAD\ntarget = "local"\n', "mlops.toml:2: a merge conflict"),
    ],
)
def test_settings_that_a_tool_has_spoilt(repository: Path, text: bytes, says: str) -> None:
    (repository / "mlops.toml").write_bytes(text)
    refused(call(repository, "status"), 5, says)


def test_settings_saved_on_windows(repository: Path) -> None:
    path = repository / "mlops.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_settings(repository).project.name


def test_settings_with_an_unknown_key(repository: Path) -> None:
    text = (repository / "mlops.toml").read_text()
    (repository / "mlops.toml").write_text(text.replace("usecase =", "use_case ="))
    refused(call(repository, "status"), 5, "mlops.toml", "models.flights.use_case")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.json", None, "does not exist"),
        ("rows.csv", None, "does not exist"),
        ("rows.json", b"{", "is not JSON"),
        ("rows.json", b"\xff\xfe", "is not JSON"),
        ("rows.json", b"[1]", "must hold an object"),
        ("rows.json", b"[" * 100_000, "nest too deeply"),
        ("", None, "is no file"),
        ("rows.csv", b"", "is not CSV with a header"),
        ("rows.csv", b'a,b\n1,"2\n', "is not CSV with a header"),
        ("rows.csv", b"a,b\n1,2\n3,4,5,6\n", "is not CSV with a header"),
        ("rows.csv", b"a,b\n\xff\xfe,2\n", "is not CSV with a header"),
    ],
)
def test_input_rows_that_cannot_be_read(
    repository: Path, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    rows = tmp_path / name
    if content is not None:
        rows.write_bytes(content)
    refused(call(repository, "score", "--env", "prod", "--input", str(rows)), 5, str(rows), says)


def test_nothing_is_served_yet(repository: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('{"input_data": {"columns": [], "data": []}}')
    result = call(repository, "score", "--env", "prod", "--input", str(rows))
    refused(result, 6, "flights has no endpoint in prod", "mlops apply prod")


def test_a_hotfix_that_nobody_answers_for(repository: Path) -> None:
    result = call(repository, "promote", "prod", "--bypass", "soak", "--reason", "the site is down")
    refused(result, 5, "a hotfix needs --bypass, --reason and --approver", "--approver")


def test_a_page_without_runs(repository: Path) -> None:
    refused(call(repository, "ui"), 6, f"there are no runs in {repository / '.mlops'} yet", "mlops train")


def test_wrong_usage_is_code_two(repository: Path) -> None:
    for words in (
        ["fly"],
        ["apply"],
        ["gate", "seven"],
        ["gate", "0"],
        ["promote", "prod", "--release", "0"],
    ):
        result = call(repository, *words)
        assert result.exit_code == 2, f"{words}: {result.output}"
        assert "Usage: " in result.output


def test_a_full_disk_has_a_sentence() -> None:
    full = OSError(28, "No space left on device", "/data/mlflow.db")
    assert _app.os_sentence(full) == (
        "the disk is full (/data/mlflow.db); free some space and run the same command again"
    )


def test_a_sentence_is_not_wrapped_for_a_machine(repository: Path) -> None:
    """A log is searched line by line."""
    result = call(repository, "status", "--model", "m" * 120)
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_two_calls_in_one_process_know_nothing_of_each_other(repository: Path, tmp_path: Path) -> None:
    refused(call(repository, "apply", "moon"), 5, "no environment 'moon'")
    refused(call(tmp_path, "apply", "moon"), 5, f"no mlops.toml in {tmp_path}")


def test_debugging_shows_the_traceback(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_DEBUG", "1")
    assert "InvalidInput" in repr(call(repository, "apply", "moon").exception)
