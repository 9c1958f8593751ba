"""Text of people and other programs as it may be shown: nothing in it steers a terminal, or turns a line."""

from __future__ import annotations

import re
from typing import Final

_COLOURS: Final = re.compile("\x1b\\[[0-9;:]*m")
_STEERS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tabs and ends of lines
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, and what nobody sees
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Joiners within words and pictures (U+200C, U+200D) are not among them."""


def visible(text: str) -> str:
    """Without colours; U+FFFD in place of each other character that steers what shows it."""
    if text.isascii() and text.isprintable():
        return text
    return _STEERS.sub("\ufffd", _COLOURS.sub("", text).replace("\r\n", "\n"))


def escaped(json_text: str) -> str:
    """The same value as JSON, with such characters as `\\u`; tabs and ends of lines between values stay."""
    return _STEERS.sub(lambda found: _escape(ord(found[0])), json_text)


def _escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
