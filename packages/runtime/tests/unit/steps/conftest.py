"""The real steps on a small sample: prepared once, trained once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.steps import prep, train, validate


@pytest.fixture(scope="session")
def prepared(raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `train` (January to March) and `test` (April), as the step prep writes them. Read only."""
    out = tmp_path_factory.mktemp("prepared")
    assert prep.main(prep_options(raw_sample, out)) == 0
    return out


@pytest.fixture(scope="session")
def contract_report(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of validate on `prepared`. Read only."""
    report = tmp_path_factory.mktemp("validated") / "report"
    options = ["--usecase", "flights", "--train", f"{prepared}/train", "--test", f"{prepared}/test"]
    assert validate.main([*options, "--report", str(report)]) == 0
    return report


@pytest.fixture(scope="session")
def train_options(prepared: Path, contract_report: Path) -> Callable[[Path], list[str]]:
    """Options of the step train for an output folder."""

    def options(model: Path) -> list[str]:
        fixed = ["--usecase", "flights", "--train", f"{prepared}/train", "--contract", str(contract_report)]
        return [*fixed, "--param", "max_iter=40", "--param", "min_samples_leaf=20.0", "--model", str(model)]

    return options


@pytest.fixture(scope="session")
def artifact(train_options: Callable[[Path], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model artifact, as the step train writes it. Read only."""
    model = tmp_path_factory.mktemp("trained") / "model"
    assert train.main(train_options(model)) == 0
    return model


def prep_options(raw: Path, out: Path, window: str = "2013-01..2013-03", test: str = "2013-04") -> list[str]:
    """Options of the step prep."""
    given = ["--raw", str(raw), "--usecase", "flights", "--window", window, "--test-window", test]
    return [*given, "--train", str(out / "train"), "--test", str(out / "test")]
