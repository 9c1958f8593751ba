"""Columns of a data contract that pandera has no type for: vectors, lists and images.

Dates and times need no helper: `Column("datetime64[ns]", Check.ge(pd.Timestamp("2000-01-01")))`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pandera.pandas import Column


def vector(size: int, *, nullable: bool = False, description: str = "") -> Column:
    """A list or array of `size` finite numbers: an embedding, a spectrum, a row of sensors."""
    return _made("vector", nullable, description, size=size)


def items(
    of: Literal["number", "string"], *, most: int | None = None, nullable: bool = False, description: str = ""
) -> Column:
    """A list of at most `most` numbers or texts, of any length: tags, a basket."""
    return _made("list", nullable, description, items=of, max_length=most)


def image(
    *,
    width: int | None = None,
    height: int | None = None,
    mode: Literal["", "1", "L", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr"] = "",
    most_bytes: int = 1 << 20,
    nullable: bool = False,
    description: str = "",
) -> Column:
    """The bytes of an image file (PNG, JPEG, GIF, BMP, WebP); base64 in a request.

    Name `width`, `height` (pixels) or `mode` (L is grey, RGB, RGBA): then each image is read before the model
    sees it, and one of another size or mode, or one that cannot be read, is refused. Needs Pillow (the
    dependency group `pillow`) wherever rows are checked.
    """
    facts = {"width": width, "height": height, "mode": mode or None, "max_length": most_bytes}
    return _made(
        "image", nullable, description, **{key: value for key, value in facts.items() if value is not None}
    )


def _made(kind: str, nullable: bool, description: str, **facts: Any) -> Column:
    from pandera.pandas import Check, Column

    from mlops.spec import cells
    from mlops.spec.schema import Column as Served

    rule = cells.legal(served := Served(name=kind, type=kind, **facts))
    check = Check(
        lambda value: value is None or rule(cells.of_table(served, value)),
        element_wise=True,
        name=kind,
        error=f"{kind}: {cells.words(served)}",
    )
    return Column(object, check, nullable=nullable, description=description, metadata={"kind": kind, **facts})
