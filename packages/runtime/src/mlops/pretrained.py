"""Models that somebody else has trained, as parts of yours: files with a digest, and nothing that is fetched.

    make_pipeline(OnnxEncoder("package:encoders/words.onnx", digest="sha256:…"), LogisticRegression())

A place is `package:NAME/FILE`, a file that an installed package ships (also the use case's own), or
`asset:FILE`, a file below the folder that the step `train` is given as `--pretrained`: an input of
`training.yml` with a path, or a data asset of Azure ML. The file is read when your model is fitted, refused
when its digest is another, and kept in your model from then on: what answers needs neither package nor asset.
"""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from mlops.errors import IntegrityError, InvalidInput
from mlops.spec.parts import inside

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

FOLDER = "MLOPS_PRETRAINED"
"""Environment variable by which the step `train` says where `asset:` is."""


def path(place: str) -> Path:
    """Where the file of `place` is. Raises `InvalidInput` when it is nowhere."""
    kind, _, rest = place.partition(":")
    if kind == "asset":
        root = os.environ.get(FOLDER, "")
        if not root:
            raise InvalidInput(
                f"{place} is a file of a data asset, and the step train was given none; pass the folder as "
                "its input `pretrained` (--pretrained FOLDER)"
            )
        file = Path(root) / rest
    elif kind == "package" and "/" in rest:
        name, _, inner = rest.partition("/")
        spec = find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise InvalidInput(f"{place}: there is no installed package {name!r}")
        file = Path(next(iter(spec.submodule_search_locations))) / inner
    else:
        raise InvalidInput(f"{place!r} is no place; it is package:NAME/FILE or asset:FILE")
    if ".." in Path(rest).parts or not file.is_file():
        raise InvalidInput(f"{place}: {file} is no file")
    return file


def read(place: str, digest: str) -> bytes:
    """The bytes of a pre-trained file. Raises `IntegrityError` when they are not those of `digest`."""
    data = path(place).read_bytes()
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if actual != digest:
        raise IntegrityError(
            f"{place} has the digest {actual}, and the model asks for {digest}; nothing was trained. "
            "Find out who changed the file, or name the digest of the one that you mean"
        )
    return data


def used(estimator: Any) -> dict[str, str]:
    """Digest by place of every pre-trained file within a fitted estimator: of all its parts that have an
    attribute `pretrained_`, as `OnnxEncoder` has."""
    said = getattr(estimator, "pretrained_", None)
    digests = {
        place: digest
        for place, digest in (said.items() if isinstance(said, dict) else ())
        if isinstance(place, str) and isinstance(digest, str) and digest.startswith("sha256:")
    }
    for part in inside(estimator):
        digests |= used(part)
    return digests


class OnnxEncoder(TransformerMixin, BaseEstimator):
    """A pre-trained graph as a step of a pipeline: a table of numbers, or one column of text, to numbers.

    The graph has one input ([n, k] float32, or [n, 1] or [n] text) and its `output` (the first when it is
    empty) is [n, …]; what lies behind the first dimension is made flat. Nothing of it is fitted.
    """

    def __init__(self, place: str, digest: str, output: str = "") -> None:
        self.place = place
        self.digest = digest
        self.output = output

    def fit(self, rows: Any, labels: Any = None) -> Self:
        self.graph_ = read(self.place, self.digest)
        self.pretrained_ = {self.place: self.digest}
        self._run: Any = None
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_run"}

    def transform(self, rows: Any) -> Array:
        session = self._session()
        (given,) = session.get_inputs()
        if "string" in given.type:
            texts = np.asarray(rows, dtype=object).reshape(len(rows), -1)
            feed = texts if len(given.shape) == 2 else texts[:, 0]
        else:
            feed = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
        wanted = self.output or session.get_outputs()[0].name
        (answer,) = session.run([wanted], {given.name: feed})
        return np.asarray(answer, dtype=np.float32).reshape(len(feed), -1)

    def _session(self) -> Any:
        if getattr(self, "_run", None) is None:
            import onnxruntime as ort

            options = ort.SessionOptions()
            # One thread a call: the server runs calls side by side.
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            self._run = ort.InferenceSession(self.graph_, options, providers=["CPUExecutionProvider"])
        return self._run
