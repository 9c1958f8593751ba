"""`serving.json` inside a model artifact: what a request must look like and how the model is called.

It is derived at training time from the signature and the data contract, so that training and serving
cannot disagree. Serving reads this file and nothing else of the use case.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mlops.spec._base import ModelName, Spec
from mlops.spec.artifact import inside

FILE = "serving.json"

ColumnType = Literal["string", "integer", "number", "boolean", "datetime", "vector", "list", "image"]
Value = bool | int | float | str
Task = Literal[
    "binary", "multiclass", "multilabel", "regression", "quantiles", "forecast", "ranking", "custom"
]


class TextRule(Spec):
    """What a text must be like. `matches` and `contains` are regular expressions of Python."""

    kind: Literal["matches", "contains", "starts_with", "ends_with"]
    text: str


def _inside(name: str) -> str:
    if not inside(name):
        raise ValueError("must be a path below the model's folder, without '..'")
    return name


class Column(Spec):
    """One input column, in the order of the signature."""

    name: str
    type: ColumnType
    dtype: str = ""
    """The number's type in training (int8, uint64, float32, …): integers keep to its range, other numbers are
    rounded to it before they are compared. Empty for text and booleans, and where it is not known."""
    nullable: bool = False
    """Whether null or a missing value is legal; the model then sees NaN (numbers) or None (strings)."""
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: bool = False
    """The values must be above `minimum`."""
    exclusive_maximum: bool = False
    """The values must be below `maximum`."""
    values: list[Value] | None = None
    """The only legal values of a column that is no text."""
    excluded: list[Value] = []
    """Values that are not legal."""
    texts: list[TextRule] = []
    """Rules for text; all of them hold."""
    earliest: str | None = None
    """Of dates and times."""
    latest: str | None = None
    size: int | None = None
    """Numbers of a vector."""
    width: int | None = None
    """Of an image in pixels; so is `height`. Where one of them or `mode` is named, an image that cannot be
    read is refused."""
    height: int | None = None
    mode: str = ""
    """Of an image, as Pillow names it (L is grey, RGB, RGBA); empty: any."""
    items: Literal["number", "string"] = "number"
    """What a list holds."""
    min_length: int | None = None
    """Of text in characters, of a list in entries, of an image in bytes."""
    max_length: int | None = None
    categories: list[str] | None = None
    """Values seen in training."""
    unknown_category: Literal["accept", "refuse"] = "accept"
    """What happens to a value outside `categories`: accepted (the model knows an 'unknown' code) or 4xx."""
    description: str = ""


class OnnxGraph(Spec):
    """How columns become graph inputs: strings as [N, k] text, numbers as [N, m] float32."""

    file: Annotated[str, AfterValidator(_inside)] = "onnx/model.onnx"
    """Below the artifact, so that the digest counts it."""
    strings: str | None = None
    """Name of the text input, or None when there is no string column."""
    floats: str | None = None
    output: str
    """Name of the output: [N, classes] probabilities, or [N, 1] predictions for regression."""


class Library(Spec):
    """How the model is called by the library that trained it: where there is no graph, or to compare
    with one."""

    format: str
    """One of `mlops.serving.formats`."""
    dtypes: dict[str, str]
    """Of each column, the type of its values in training, as pandas names it (`float32`, `Int64`,
    `object`)."""
    levels: dict[str, list[str]] = {}
    """Of each column of the type category, the categories of training in their order."""
    arrays: bool = False
    """Whether a plain array of numbers was proven to be answered as the table with names is."""
    columns: bool = False
    """Whether plain columns of text were proven to be answered as the table is; then none is made of them."""
    trusted: list[str] = []
    """Types that loading may make beside those that the format knows: those that the repository names."""
    code: Annotated[str, AfterValidator(_inside)] | None = None
    """Folder of the artifact with the use case's own package, whose classes the model is made of; None when
    it is made of none."""


class ModelSchema(Spec):
    """Everything that the scoring core needs to know."""

    model: ModelName
    task: Task
    columns: list[Column] = Field(min_length=1)
    classes: list[str] = []
    """Class labels in the order of the probabilities; empty where answers are values."""
    outputs: list[str] = []
    """Names of the values of an answer, where it is a list of values: the quantiles, for example."""
    threshold: float | None = None
    """Decision threshold on the probability of the last class, for binary tasks."""
    decision: str = ""
    """The rule by which the threshold was chosen on training rows; empty: none was stated."""
    onnx: OnnxGraph | None = None
    """None: no graph answers what the trained model answers; `no_graph` says why."""
    no_graph: str = ""
    """Why the model's own library answers: a sentence for the verdict and the model card."""
    library: Library | None = None
    """None: trained elsewhere; without a graph MLflow's pyfunc flavour is used."""
    runs_code: str = ""
    """What runs when the model is loaded, because its file is no data but a pickle or Python: a sentence.
    The gates let it through by `allow_code` alone. Empty: nothing."""
    pretrained: dict[str, str] = {}
    """Digest by place of the files, trained by somebody else, that the model is made of."""
    unchecked: list[str] = []
    """Sentences: rules of the data contract that hold in training, and that no request is held to."""

    @property
    def labels(self) -> tuple[str, str] | None:
        """What a row is called below the threshold, and from it on; None where nothing is decided."""
        if self.task != "binary" or self.threshold is None:
            return None
        no, yes = self.classes if len(self.classes) == 2 else ("0", "1")
        return no, yes

    @property
    def listed(self) -> list[str]:
        """Names of an answer's entries where it is a list; empty where it is one number."""
        return self.classes if self.task in ("multiclass", "multilabel") else self.outputs
