"""A table of prices is renewed from a list that pages, is busy, and may answer something else: whatever it
says, the old table stays until a new one is whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from yamllint.config import YamlLintConfig
from yamllint.linter import run as yaml_problems

from graphs import ROOT
from mlops.infra.cost import renew

TODAY = date(2026, 11, 29)
WANTED = {
    "vm Standard_D4ds_v5 hour": ["westeurope", "swedencentral"],
    "private endpoint hour": ["westeurope"],
}
_ENDPOINT = {"meterName": "Standard Private Endpoint", "productName": "Virtual Network Private Link"}


@dataclass
class PriceList:
    """Speaks as the retail prices API does: `$filter`, a hundred rows a page, `NextPageLink`."""

    page: str = ""
    asked: list[str] = field(default_factory=list)
    busy: int = 0
    """So many calls are answered with 429."""
    answers: Callable[[str], str] | None = None
    """In place of rows."""

    def rows(self, wanted: str) -> list[dict[str, Any]]:
        region = wanted.split("armRegionName eq '")[1].split("'", maxsplit=1)[0]
        machine = "Virtual Machines" in wanted
        right = {} if machine else _ENDPOINT
        price = {"westeurope": 0.262, "swedencentral": 0.25}[region] if machine else 0.01
        noise = {
            "type": "Consumption",
            "armRegionName": region,
            "retailPrice": 9,
            "meterName": "D4ds v5 Spot",
        }
        plain = {"type": "Consumption", "armRegionName": region, "retailPrice": price, "currencyCode": "USD"}
        return [dict(noise) for _ in range(150)] + [{"meterName": "D4ds v5", **plain, **right}]

    def answer(self, path: str) -> str:
        query = parse_qs(urlsplit(path).query)
        wanted, skip = query["$filter"][0], int(query.get("$skip", ["0"])[0])
        if self.answers:
            return self.answers(path)
        rows = self.rows(wanted)
        more = f"{self.page}{urlsplit(path).path}?{urlsplit(path).query.split('&')[0]}&$skip={skip + 100}"
        return json.dumps(
            {"Items": rows[skip : skip + 100], "NextPageLink": more if len(rows) > skip + 100 else None}
        )


@pytest.fixture
def prices() -> Iterator[PriceList]:
    listed = PriceList()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            listed.asked.append(self.path)
            if listed.busy:
                listed.busy -= 1
                self.send_response(429)
                self.send_header("Retry-After", "7")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(listed.answer(self.path).encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listed.page = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield listed
    server.shutdown()
    server.server_close()


def renewed(listed: PriceList, slept: list[float] | None = None) -> tuple[str, list[str]]:
    def read(page: str) -> str:
        return renew.read_page(page, (slept if slept is not None else []).append)

    return renew.renewed(WANTED, TODAY, read, f"{listed.page}/api/retail/prices")


def test_every_page_is_read(prices: PriceList) -> None:
    text, lacking = renewed(prices)
    assert lacking == []
    assert (
        "vm Standard_D4ds_v5 hour: {from: price list, prices: {swedencentral: 0.25, westeurope: 0.262}}"
        in text
    )
    assert "private endpoint hour: {from: price list, prices: {westeurope: 0.01}}" in text
    assert f"read: 2026-11-29\nsource: {prices.page}/api/retail/prices\n" in text
    assert len(prices.asked) == 6, "two pages each"
    assert list(yaml_problems(text, YamlLintConfig(file=str(ROOT / ".yamllint.yaml")))) == []


def test_a_busy_list_is_asked_again_when_it_says(prices: PriceList) -> None:
    prices.busy, slept = 2, []
    assert renewed(prices, slept)[1] == []
    assert slept == [7, 7]


def test_a_list_that_stays_busy_is_no_answer(prices: PriceList) -> None:
    prices.busy = 99
    with pytest.raises(OSError, match="429"):
        renewed(prices)
    assert len(prices.asked) == 5


def _with(**changes: Any) -> Callable[[str], str]:
    row = {"type": "Consumption", "armRegionName": "swedencentral", "meterName": "D4ds v5", "retailPrice": 1}
    return lambda _: json.dumps({"Items": [row | changes]})


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (lambda _: "<html>sign in", "it is no JSON"),
        (lambda _: "", "it is no JSON"),
        (lambda _: "[]", "it has no Items"),
        (lambda _: '{"Items": [1]}', "it has no Items"),
        (lambda _: '{"Items": [], "NextPageLink": "file:///etc/passwd"}', "no other page of it"),
        (lambda _: '{"Items": [], "NextPageLink": "http://elsewhere.example/"}', "no other page of it"),
        (_with(retailPrice="much"), "the price 'much', which is no amount of US dollars"),
        (_with(retailPrice=-1), "no amount of US dollars"),
        (_with(currencyCode="EUR"), "the price 1 EUR"),
    ],
)
def test_what_is_no_price_list_is_a_sentence(
    prices: PriceList, answers: Callable[[str], str], sentence: str
) -> None:
    prices.answers = answers
    with pytest.raises(ValueError, match=sentence):
        renewed(prices)


def test_a_list_that_turns_in_a_circle_ends(prices: PriceList) -> None:
    prices.answers = lambda path: json.dumps({"Items": [], "NextPageLink": f"{prices.page}{path}"})
    with pytest.raises(ValueError, match="no other page of it"):
        renewed(prices)
