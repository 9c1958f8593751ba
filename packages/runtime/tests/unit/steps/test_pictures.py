"""Images are files of bytes: what the contract says of size and mode holds at the endpoint, in batch and in
the monitor, and a file that cannot be read is refused there, not answered with 500."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops import columns
from mlops.errors import InvalidInput, TargetError
from mlops.monitoring.rules import columns_of
from mlops.pictures import Pixels
from mlops.serving.http.openapi import document
from mlops.serving.score import core
from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec import cells
from mlops.spec.admits import refused
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema
from mlops.steps import artifact
from tests.unit.steps.toy import Toy


def picture(kind: str = "PNG", mode: str = "L", size: tuple[int, int] = (6, 4), seed: int = 0) -> bytes:
    shades = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(shades).convert(mode).save(file, kind)
    return file.getvalue()


CONTRACT = {"picture": columns.image(width=6, height=4, mode="L", most_bytes=2000)}
GOOD = {kind: picture(kind) for kind in ("PNG", "JPEG", "BMP")}
BAD = {
    "wide": picture(size=(7, 4)),
    "high": picture(size=(6, 5)),
    "colour": picture(mode="RGB"),
    "half": picture()[:50],
    "head": picture()[:8],
    "noise": b"\x89PNG\r\n\x1a\n" + bytes(range(200)),
    "text": b"no image",
    "long": picture("BMP") + b"x" * 2000,
}


@pytest.fixture(scope="module")
def column() -> Any:
    (found,) = columns_of(Toy("binary", CONTRACT).contract())
    return found


@pytest.mark.parametrize("name", GOOD)
def test_an_image_of_the_size_and_mode_is_admitted(column: Any, name: str) -> None:
    assert cells.legal(column)(GOOD[name])
    assert not refused(column, pa.array([GOOD[name]], pa.binary())).any()


@pytest.mark.parametrize("name", BAD)
def test_any_other_is_refused_everywhere_with_the_same_words(column: Any, name: str) -> None:
    words = "of 6 x 4 pixels, of mode L, of at most 2000 bytes, as base64"
    assert refused(column, pa.array([BAD[name], GOOD["PNG"], None], pa.binary())).tolist() == [
        True,
        False,
        False,
    ]
    parser = RequestParser(ModelSchema(model="toy", task="binary", columns=[column]))
    body = {"input_data": {"columns": ["picture"], "data": [[base64.b64encode(BAD[name]).decode()]]}}
    with pytest.raises(RequestError) as error:
        parser.parse(json.dumps(body).encode(), "score")
    assert error.value.status == 422 and words in str(error.value.error)
    with pytest.raises(Exception, match="of 6 x 4 pixels"):
        Toy("binary", CONTRACT).contract().validate(pd.DataFrame({"picture": [BAD[name]]}, dtype=object))


def test_a_small_file_with_a_huge_picture_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    (column,) = columns_of(Toy("binary", {"picture": columns.image(mode="L")}).contract())
    monkeypatch.setattr(cells, "MOST_PIXELS", 20)
    assert not cells.legal(column)(GOOD["PNG"])
    assert cells.legal(column)(picture(size=(4, 4)))


def test_the_description_tells_size_and_mode(column: Any) -> None:
    told = json.dumps(document(ModelSchema(model="toy", task="binary", columns=[column]), 1, swagger=False))
    assert "of 6 x 4 pixels, of mode L" in told
    wide = column.model_copy(update={"height": None, "mode": ""})
    assert " 6 pixels wide, of at most" in cells.words(wide)


def test_without_pillow_the_sentence_says_what_to_install(
    column: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(TargetError, match="install the group pillow"):
        cells.legal(column)


def test_pixels_are_numbers_whatever_the_file() -> None:
    shown = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    grey = (
        Pixels(width=6, height=4)
        .fit(None)
        .transform(pd.DataFrame({"p": [file.getvalue(), None]}, dtype=object))
    )
    np.testing.assert_allclose(grey[0], shown.ravel() / 255, rtol=1e-6)
    assert np.isnan(grey[1]).all() and grey.dtype == np.float32
    colour = Pixels(width=3, height=2, mode="RGB").transform(np.array([[picture(mode="RGBA")]], dtype=object))
    assert colour.shape == (1, 18) and 0 <= colour.min() <= colour.max() <= 1
    both = pd.DataFrame({"p": [GOOD["PNG"]], "q": [GOOD["BMP"]]}, dtype=object)
    assert Pixels(width=6, height=4).transform(both).shape == (1, 48)
    assert Pixels(width=6, height=4).transform(both.head(0)).shape == (0, 48)
    with pytest.raises(ValueError, match="it must be L, RGB, RGBA"):
        Pixels(width=6, height=4, mode="CMYK").fit(both)  # type: ignore[arg-type]


def rows(count: int = 60) -> pd.DataFrame:
    return pd.DataFrame({"picture": [picture(seed=seed) for seed in range(count)]}, dtype=object)


def test_a_model_of_images_answers_as_it_was_trained(tmp_path: Path) -> None:
    table = rows()
    model = make_pipeline(Pixels(width=6, height=4), LogisticRegression()).fit(table, np.arange(60) % 2)
    artifact.save(tmp_path / "model", Toy("binary", CONTRACT), model, table)
    served = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(served.predict_frame(table), model.predict_proba(table)[:, 1], atol=1e-7)
    sent = RequestParser(served.schema).parse((tmp_path / "model" / core.SAMPLE).read_bytes(), "score")
    np.testing.assert_allclose(
        served.predict_rows(sent),
        model.predict_proba(pd.DataFrame({"picture": [row[0] for row in sent]}))[:, 1],
        atol=1e-7,
    )


def test_a_model_that_reads_what_the_contract_does_not_is_told_how_to_say_it(tmp_path: Path) -> None:
    table = rows(30)
    model = make_pipeline(Pixels(width=6, height=4), LogisticRegression()).fit(table, np.arange(30) % 2)
    with pytest.raises(InvalidInput, match=r"half an image.*name width, height or mode in the contract"):
        artifact.save(tmp_path / "model", Toy("binary", {"picture": columns.image()}), model, table)
