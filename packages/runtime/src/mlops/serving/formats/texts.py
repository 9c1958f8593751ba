"""A few short texts through vectorizers and a linear model: the same numbers without the checks of each call.

scikit-learn looks at types and names for longer than a short text takes to be answered. Here a text is split
by the vectorizer's own analyzer, and its words' weights are added up. Whether that is what the pipeline
answers is asked when it is loaded; where it is not (another release of scikit-learn), the pipeline answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlops.spec.schema import Task

ROWS = 16
"""Up to here text by text is quicker."""
_ASKED = 12
"""Texts that are asked before any is answered so."""
_EXACT = 1e-9

Array = np.ndarray[Any, np.dtype[Any]]


def quick(
    parts: Sequence[tuple[Any, str]], last: Any, task: Task, whole: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Mapping[str, Sequence[str]]], Array] | None:
    """What answers texts by column; None where only `whole` knows how, or where it answers otherwise."""
    finish = _finish(last, task)
    if finish is None or not all(_plain(part) for part, _ in parts):
        return None
    try:
        made = _Quick(parts, last, finish)
        texts = _texts([part for part, _ in parts])
        asked = {column: texts for _, column in parts}
        same = np.allclose(made(asked), whole(asked), rtol=_EXACT, atol=_EXACT)
    # What another release has otherwise may be missing, too.
    except (AttributeError, TypeError, ValueError):
        return None
    return made if same else None


def _plain(part: Any) -> bool:
    """The classes themselves; one that is derived from them may weigh words otherwise."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    return type(part) in (CountVectorizer, TfidfVectorizer) and part.input == "content"


def own_words(part: tuple[str, Any, Any]) -> bool:
    """Whether a vectorizer of a `ColumnTransformer` finds its words by code of the use case."""
    found = part[1]
    return callable(found.analyzer) or found.tokenizer is not None or found.preprocessor is not None


def _finish(last: Any, task: Task) -> Callable[[Array], Array] | None:
    """From scores [n, k] to answers, for the linear models that are known here."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if type(last) is Ridge and task == "regression":
        return lambda scores: scores[:, 0] if np.ndim(last.coef_) == 1 else scores
    if type(last) is not LogisticRegression or task == "regression":
        return None
    if len(last.classes_) == 2:
        return _two
    return None if last.solver == "liblinear" else _softmax


def _two(scores: Array) -> Array:
    yes = 1 / (1 + np.exp(-np.clip(scores[:, 0], -700, 700)))
    return np.column_stack([1 - yes, yes])


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _texts(parts: Sequence[Any]) -> list[str]:
    """Texts of words that the vectorizers know, once and several times, and of none."""
    words = [
        word for part in parts for word in list(part.vocabulary_)[:: max(1, len(part.vocabulary_) // 20)]
    ]
    made = ["", " ", "never seen before"]
    for number in range(_ASKED):
        some = words[number :: _ASKED - number] or words
        made.append(" ".join([*some, *some[: number % 3]]))
    return made


class _Part:
    """One vectorizer and its share of the model's weights."""

    def __init__(self, vectorizer: Any, weights: Array) -> None:
        self.analyze = vectorizer.build_analyzer()
        self.place = vectorizer.vocabulary_
        self.binary = vectorizer.binary
        tfidf = hasattr(vectorizer, "sublinear_tf")
        self.sublinear = tfidf and vectorizer.sublinear_tf
        self.norm = vectorizer.norm if tfidf else None
        self.idf = np.asarray(vectorizer.idf_, dtype=np.float64) if tfidf and vectorizer.use_idf else None
        self.weights = np.ascontiguousarray(weights.T)
        """[words, scores]."""

    def scores(self, text: str) -> Any:
        """[scores], without the intercept."""
        place, counts = self.place, dict[int, int]()
        for word in self.analyze(text):
            if (at := place.get(word)) is not None:
                counts[at] = counts.get(at, 0) + 1
        if not counts:
            return 0.0
        at = np.fromiter(counts, np.intp, len(counts))
        much = np.fromiter(counts.values(), np.float64, len(counts))
        if self.binary:
            much[:] = 1
        if self.sublinear:
            much = np.log(much) + 1
        if self.idf is not None:
            much *= self.idf[at]
        if self.norm == "l2":
            much /= np.sqrt(much @ much)
        elif self.norm == "l1":
            much /= np.abs(much).sum()
        return much @ self.weights[at]


class _Quick:
    def __init__(self, parts: Sequence[tuple[Any, str]], last: Any, finish: Callable[[Array], Array]) -> None:
        weights = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
        self._intercept = np.atleast_1d(np.asarray(last.intercept_, dtype=np.float64))
        self._finish = finish
        self._parts: list[tuple[_Part, str]] = []
        first = 0
        for vectorizer, column in parts:
            size = len(vectorizer.vocabulary_)
            self._parts.append((_Part(vectorizer, weights[:, first : first + size]), column))
            first += size
        if first != weights.shape[1]:
            raise ValueError("the model has weights of its own")

    def __call__(self, given: Mapping[str, Sequence[str]]) -> Array:
        count = len(next(iter(given.values())))
        scores = np.empty((count, len(self._intercept)))
        scores[:] = self._intercept
        for part, column in self._parts:
            for row, text in enumerate(given[column]):
                scores[row] += part.scores(text)
        return self._finish(scores)
