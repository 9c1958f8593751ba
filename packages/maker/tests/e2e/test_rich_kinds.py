"""Images, vectors and what somebody else has trained, from a scaffold to a verdict of the monitor.

A column that no graph takes and no histogram describes goes the same way as a number: trained, served by HTTP
and by batch with one answer, captured, and told when it becomes another.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from template_copy import Repository

from mlops.spec.digest import file_digest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROWS = 520
"""A verdict needs 500."""

EMBEDDED = {
    "columns.py": '''"""Names."""

TARGET = "topic"
INPUTS = ("embedding",)
''',
    "data.py": '''"""Embeddings of three topics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pandera.pandas import DataFrameSchema

from mlops import columns


def write(folder: Path) -> None:
    draw = np.random.default_rng(1)
    topic = draw.integers(0, 3, 900)
    made = np.eye(16)[topic * 5] * 3 + draw.normal(size=(900, 16))
    rows = pd.DataFrame({"embedding": made.round(4).tolist(), "topic": topic})
    rows.to_parquet(folder / "rows.parquet", index=False)


def features(raw: Path) -> pd.DataFrame:
    return pd.read_parquet(raw / "rows.parquet")


def contract() -> DataFrameSchema:
    return DataFrameSchema({"embedding": columns.vector(16)}, strict=True)
''',
    "model.py": '''"""Logistic regression of embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


DEFAULTS = {"seed": 1}


def stacked(rows: pd.DataFrame) -> Any:
    return np.stack([np.asarray(value, dtype=float) for value in rows.iloc[:, 0]])


def build(params: Mapping[str, Any]) -> Any:
    return make_pipeline(FunctionTransformer(stacked), LogisticRegression(max_iter=500))
''',
}  # fmt: skip


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    made = Repository.cloned(tmp_path_factory.mktemp("fork"))
    made.publish()
    yield made
    made.stop()


def scaffolded(fork: Repository, name: str, kind: str, task: str, texts: dict[str, str]) -> None:
    """A model with capture on; `texts` replace files of its package."""
    fork.call("new-model", name, "--kind", kind, "--task", task).ok()
    for path, text in texts.items():
        (fork.root / "src" / name / path).write_text(text)
    with (fork.root / "mlops.toml").open("a") as file:
        file.write(f"\n[models.{name}.capture]\nenabled = true\nfile_seconds = 1.0\n")
    gates = fork.root / "pipelines" / name / "model.yaml"
    # How fast this machine is just now is not what is asked here.
    gates.write_text(
        re.sub(r"latency: .*", "latency: {max_ratio: 50, max_milliseconds: 5000}", gates.read_text())
    )


def released(fork: Repository, name: str) -> None:
    fork.commit(f"{name} is ours")
    fork.call("train", "--model", name).ok()
    fork.call("gate", "--model", name).ok()
    fork.call("release", "--model", name).ok()
    fork.commit(f"Release {name} 1")
    fork.git("push", "--quiet")
    fork.call("apply", "staging", "--model", name).ok()


def verdict(fork: Repository, name: str, rows: pd.DataFrame, folder: Path, code: int) -> dict[str, str]:
    """What the monitor says once `rows` were asked, by the name of the signal."""
    folder.mkdir()
    file = folder / "rows.parquet"
    rows.to_parquet(file, index=False)
    asked = fork.call("score", "staging", "--model", name, "--input", str(file)).ok().json["predictions"]
    out = folder.with_name(f"{folder.name}-scored")
    fork.call("batch", "--model", name, "--env", "staging", "--input", str(folder), "--output", str(out)).ok()
    (made,) = out.glob("*.predictions.parquet")
    np.testing.assert_allclose(np.stack(pd.read_parquet(made)["_prediction"]), np.array(asked), atol=1e-6)
    until = time.monotonic() + 60
    while True:
        done = fork.call("monitor", "staging", "--model", name, "--json")
        if done.code == code or time.monotonic() > until:
            break
        time.sleep(1)
    assert done.code == code, done.out + done.err
    return {signal["name"]: signal["verdict"] for signal in done.json["signals"]}


def darker(files: pd.Series[Any]) -> list[bytes]:
    from PIL import Image

    made = []
    for data in files:
        shades = np.asarray(Image.open(io.BytesIO(data))) // 3
        Image.fromarray(shades).save(file := io.BytesIO(), "PNG")
        made.append(file.getvalue())
    return made


def turned(vectors: pd.Series[Any]) -> list[list[float]]:
    return [[2 - number for number in vector] for vector in vectors]


@dataclass(frozen=True)
class Watched:
    """A model, and what its column becomes one day."""

    name: str
    kind: str
    texts: dict[str, str]
    change: Callable[[pd.Series[Any]], list[Any]]


@pytest.mark.parametrize(
    "model",
    [Watched("photos", "image", {}, darker), Watched("notes", "sklearn", EMBEDDED, turned)],
    ids=["images", "vectors"],
)
def test_from_a_scaffold_to_a_verdict(fork: Repository, tmp_path: Path, model: Watched) -> None:
    pytest.importorskip("PIL")
    name = model.name
    scaffolded(fork, name, model.kind, "multiclass", model.texts)
    fork.call("params", "--model", name).ok()
    released(fork, name)
    (raw,) = (fork.root / ".mlops/data").glob(f"{name}/*/*.parquet")
    rows = pd.read_parquet(raw)
    column = next(c for c in rows if isinstance(rows[c].iloc[0], bytes | np.ndarray | list))
    some = rows[[column]].sample(ROWS, random_state=3)
    quiet = verdict(fork, name, some, tmp_path / "same", 0)
    assert quiet[f"{column} (classifier)"] == "pass"
    other = some.assign(**{column: model.change(some[column])})
    assert verdict(fork, name, other, tmp_path / "other", 3)[f"{column} (classifier)"] == "breach"


def test_what_somebody_else_has_trained_goes_through_the_whole_pipeline(fork: Repository) -> None:
    """An `asset:` is an input of the pipeline; its digest is in the run and in the artifact."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import load_breast_cancer
    from sklearn.decomposition import PCA

    table = load_breast_cancer().data.astype("float32")
    graph = convert_sklearn(
        PCA(5).fit(table), initial_types=[("rows", FloatTensorType([None, table.shape[1]]))], target_opset=18
    )
    file = fork.root / "encoders" / "five.onnx"
    file.parent.mkdir()
    file.write_bytes(graph.SerializeToString())
    name, digest = "tumours", file_digest(file)
    model = f"""\"\"\"On top of an encoder.\"\"\"
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops.pretrained import OnnxEncoder

DEFAULTS = {{"seed": 1}}


def build(params):
    encoder = OnnxEncoder("asset:five.onnx", digest="{digest}")
    return make_pipeline(encoder, StandardScaler(), LogisticRegression())
"""
    scaffolded(fork, name, "sklearn", "binary", {"model.py": model})
    training = fork.root / "pipelines" / name / "training.yml"
    text = training.read_text().replace(
        "  usecase:", "  encoder: {type: uri_folder, path: ../../encoders}\n  usecase:", 1
    )
    step = "    component: components/train.yml\n    inputs:\n"
    training.write_text(text.replace(step, f"{step}      pretrained: ${{{{parent.inputs.encoder}}}}\n"))
    component = fork.root / "pipelines" / name / "components/train.yml"
    text = component.read_text().replace("inputs:\n", "inputs:\n  pretrained: {type: uri_folder}\n", 1)
    component.write_text(
        text.replace(
            "  --model ${{outputs.model}}",
            "  --pretrained ${{inputs.pretrained}}\n  --model ${{outputs.model}}",
        )
    )
    fork.call("params", "--model", name).ok()
    fork.call("pipeline", "lint", str(training.parent)).ok()
    released(fork, name)
    with fork.environment():
        version = fork.target.registry.get(name, 1)
        artifact = fork.target.registry.fetch(name, 1, version.tags["mlops.digest"])
    assert f'"asset:five.onnx": "{digest}"' in (artifact / "serving.json").read_text()
    # What answers needs the folder no more.
    file.unlink()
    answer = (
        fork.call("score", "staging", "--model", name, "--input", str(artifact / "sample.json")).ok().json
    )
    assert len(answer["predictions"]) == 50
