"""A text of a desired-state file is parsed once: the history at a base is HEAD's but for its newest part."""

from __future__ import annotations

import pytest

from mlops.lifecycle.desired import provenance
from mlops.spec._yaml import Document


def test_a_text_of_two_histories_is_parsed_once(monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []
    real = Document.__init__

    def counted(self: Document, text: str, name: str) -> None:
        parsed.append(text)
        real(self, text, name)

    monkeypatch.setattr(Document, "__init__", counted)
    provenance._state.cache_clear()
    texts = [f"release: {n}\nreplaces: {n - 1}\n" for n in range(300, 1, -1)]
    head = [(f"commit{n}", text) for n, text in enumerate(texts)]
    assert len(provenance.states(head, "environments/prod/a.yaml")) == 299
    assert provenance.states(head[5:], "environments/prod/a.yaml")[0][1].release == 295
    assert len(parsed) == 299
