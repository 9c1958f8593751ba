"""A column of pandas' type category: the model that was fitted on it is asked with the same categories.

Boosting reads the codes behind the texts. Where production numbers them otherwise than training did, each
answer is a plausible number of another row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandera.pandas import Check, Column
from sklearn.ensemble import HistGradientBoostingRegressor

from mlops.errors import InvalidInput
from mlops.monitoring.contract import check
from mlops.monitoring.rules import columns_of
from mlops.serving.batch.batch_file import predicted
from mlops.serving.score.core import Scorer, load
from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec.digest import tree_digest
from mlops.steps import artifact, dataset
from mlops.steps.estimators import typed
from tests.unit.steps.toy import Toy

AREAS = ["north", "east", "south", "west"]
LISTED = pd.CategoricalDtype(AREAS)
CONTRACTS: dict[str, Column] = {
    "by its type": Column(LISTED, nullable=True),
    "by a rule": Column("category", Check.isin(AREAS), nullable=True),
    "by training": Column("category", nullable=True),
}


def rows(seed: int = 0, areas: list[str] = AREAS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = rng.normal(size=300).astype("float32")
    area = pd.Series(rng.choice(np.array([*areas, None], dtype=object), 300))
    level = area.map({"north": 0.0, "east": 9.0, "south": 3.0, "west": -4.0}).fillna(20.0)
    return pd.DataFrame({"area": area, "size": size, "y": level + 2 * size})


def toy(area: Column) -> Any:
    return Toy("regression", {"area": area, "size": Column("float32", Check.in_range(-10, 10))})


def estimator(library: str) -> Any:
    if library == "sklearn":
        return HistGradientBoostingRegressor(max_iter=30, monotonic_cst={"size": 1})
    module = pytest.importorskip(library)
    if library == "lightgbm":
        return module.LGBMRegressor(n_estimators=30, min_child_samples=5, verbose=-1, n_jobs=1)
    return module.XGBRegressor(n_estimators=30, n_jobs=1, enable_categorical=True)


def trained(folder: Path, area: Column, library: str) -> tuple[Any, pd.DataFrame, Scorer]:
    usecase = toy(area)
    table = typed(usecase, rows())
    model = estimator(library).fit(table[["area", "size"]], table["y"])
    artifact.save(folder, usecase, model, table)
    return model, table, load(folder, digest=tree_digest(folder))


@pytest.mark.parametrize("library", ["sklearn", "lightgbm", "xgboost"])
@pytest.mark.parametrize("named", CONTRACTS)
def test_every_shell_answers_as_the_model_that_saw_categories(
    tmp_path: Path, named: str, library: str
) -> None:
    model, table, scorer = trained(tmp_path / "model", CONTRACTS[named], library)
    # Other texts first, and not all of them: codes of their own would be others.
    asked = rows(seed=5, areas=["west", "south"]).head(20)
    expected = model.predict(asked[["area", "size"]].astype({"area": table["area"].dtype}))
    sent = {"columns": ["size", "area"], "data": asked[["size", "area"]].to_numpy().tolist()}
    read = RequestParser(scorer.schema).parse(msgspec.json.encode({"input_data": sent}), "score")
    np.testing.assert_allclose(scorer.predict_rows(read), expected, rtol=1e-5)
    np.testing.assert_allclose([scorer.predict_rows([row])[0] for row in read], expected, rtol=1e-5)
    batch = pa.Table.from_pandas(asked[["area", "size"]], preserve_index=False).to_batches()[0]
    np.testing.assert_allclose(predicted(scorer, batch), expected, rtol=1e-5)
    assert np.ptp(expected) > 5, "the category decides"


def test_a_category_that_the_contract_lists_not_is_refused(tmp_path: Path) -> None:
    *_, scorer = trained(tmp_path / "model", CONTRACTS["by its type"], "sklearn")
    body = {"input_data": {"columns": ["area", "size"], "data": [["mars", 1.0]]}}
    with pytest.raises(
        RequestError, match="must be one of 'east', 'north', 'south', 'west', or null; got \"mars\""
    ):
        RequestParser(scorer.schema).parse(msgspec.json.encode(body), "score")


def test_the_contract_keeps_the_rows_as_text_and_names_what_breaks_it(tmp_path: Path) -> None:
    """`prep` writes text: two windows need not have the same categories."""
    usecase = toy(CONTRACTS["by its type"])
    made = rows().astype({"area": LISTED})
    raw = dataset.RawManifest(name="toy", version="1", digest="sha256:" + "0" * 64)
    dataset.write(tmp_path / "train", made, raw, "2024-01")
    kept, _ = dataset.read(tmp_path / "train")
    assert str(kept["area"].dtype) in ("object", "str")
    inputs = kept[["area", "size"]]
    assert check(inputs, usecase.contract()) == []
    assert check(made[["area", "size"]], usecase.contract()) == []
    (broken,) = check(inputs.assign(area="mars"), usecase.contract())
    assert (broken.column, broken.rows, broken.examples) == ("area", 300, ("'mars'",))
    pd.testing.assert_series_equal(typed(usecase, kept)["area"], made["area"])


def test_categories_that_are_no_text_are_refused_with_the_way_out() -> None:
    contract = toy(Column(pd.CategoricalDtype([1, 2]))).contract()
    with pytest.raises(InvalidInput, match=r"'area' has the category 1, which is no text.*make texts"):
        columns_of(contract)
