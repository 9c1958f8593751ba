"""Which rows a model learns from and which it is tested on, where time does not say it.

`random:test=0.2,seed=7` draws rows; `group:patient,test=0.2,seed=7` draws groups, whole;
`column:fold,test=b+c` goes by a column that the data bring (`train=a` names what to learn from; without it,
all the others).

A row is drawn by what is in it (or by its group), not by its place. So it keeps its side in every version
of the data: no champion is tested on what it has learned from, and two equal rows are never on two sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mlops.spec.window import WRITTEN as WINDOWS
from mlops.spec.window import Window

Side = Literal["train", "test"]
Kind = Literal["random", "group", "column"]
WRITTEN = "random:test=0.2,seed=7, group:COLUMN,test=0.2,seed=7 or column:COLUMN,test=VALUE"
_PART = re.compile(r"(?:(?P<window>\S+) )?(?P<side>train|test) by (?P<split>\S+)")


@dataclass(frozen=True)
class Split:
    """A rule that gives each row its side."""

    kind: Kind
    column: str = ""
    """Of the groups, or of what the data say."""
    share: float = 0.0
    """How much is tested on, of rows or groups."""
    seed: int = 0
    test: tuple[str, ...] = ()
    """Values of `column` whose rows are tested on."""
    train: tuple[str, ...] = ()
    """Values of `column` whose rows are learned from; empty: all the others."""

    @classmethod
    def parse(cls, text: str) -> Split:
        """Parse the grammar above; raises `ValueError` with a sentence."""
        kind, _, rest = text.partition(":")
        parts = rest.split(",") if rest else []
        column = parts.pop(0) if kind in ("group", "column") and parts and "=" not in parts[0] else ""
        options = dict(part.partition("=")[::2] for part in parts)
        allowed = {"random": ("test", "seed"), "group": ("test", "seed"), "column": ("test", "train")}.get(
            kind
        )
        if (
            allowed is None
            or len(options) != len(parts)
            or set(options) - set(allowed)
            or "test" not in options
        ):
            raise ValueError(f"a split is written {WRITTEN}")
        if kind == "column":
            return cls._by_column(column, options)
        if kind == "group" and not column:
            raise ValueError(f"a split by group names the column of the groups: {WRITTEN}")
        try:
            share, seed = float(options["test"]), int(options.get("seed", "0"))
        except ValueError:
            raise ValueError("test must be a share such as 0.2, and seed a whole number") from None
        if not 0 < share < 1 or seed < 0:
            raise ValueError("test must be a share between 0 and 1, and seed a whole number of 0 or more")
        return cls("random" if kind == "random" else "group", column, share, seed)

    @classmethod
    def _by_column(cls, column: str, options: dict[str, str]) -> Split:
        test, train = (tuple(v for v in options.get(k, "").split("+") if v) for k in ("test", "train"))
        if not column or not test:
            raise ValueError(
                "a split by column names the column and the values to test on: column:fold,test=holdout"
            )
        if twice := sorted(set(test) & set(train)):
            raise ValueError(f"{', '.join(twice)} cannot be learned from and tested on")
        return cls("column", column, test=test, train=train)

    def __str__(self) -> str:
        if self.kind == "column":
            train = f",train={'+'.join(self.train)}" if self.train else ""
            return f"column:{self.column}{train},test={'+'.join(self.test)}"
        column = f"{self.column}," if self.column else ""
        return f"{self.kind}:{column}test={self.share:g},seed={self.seed}"


@dataclass(frozen=True)
class Part:
    """The rows of one side, as manifests and releases name them: a window of time, or a side of a split."""

    window: Window | None = None
    split: Split | None = None
    side: Side | None = None

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read what `str` writes; raises `ValueError` with a sentence."""
        match = _PART.fullmatch(text)
        if match is None:
            try:
                return cls(Window.parse(text))
            except ValueError as error:
                if " by " not in text:
                    raise
                raise ValueError(
                    f"rows are named by a window ({WINDOWS}), or by a split: test by {WRITTEN}"
                ) from error
        window = Window.parse(match["window"]) if match["window"] else None
        return cls(window, Split.parse(match["split"]), "train" if match["side"] == "train" else "test")

    def __str__(self) -> str:
        window = str(self.window) if self.window else ""
        by = f"{self.side} by {self.split}" if self.split else ""
        return " ".join(part for part in (window, by) if part)
