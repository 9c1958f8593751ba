"""Azure's public price list (prices.azure.com, no login): what to ask it, and a table from its answers."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

PAGE: Final = "https://prices.azure.com/api/retail/prices"
_PAUSES: Final = (1.0, 5.0, 20.0, 60.0)
"""Seconds before the next try, when the list is busy and does not say how long it will be."""
_BUSY: Final = {429, 500, 502, 503, 504}
_MACHINE: Final = re.compile(r"vm (\S+) hour")
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Question:
    """What a meter is called in the price list; `unit` divides its price where that counts otherwise."""

    service: str
    meter: str
    product: str = ""
    sku: str = ""
    unit: float = 1


_STORAGE = "General Block Blob v2"
QUESTIONS: Final[Mapping[str, Question]] = {
    "private endpoint hour": Question(
        "Virtual Network", "Standard Private Endpoint", "Virtual Network Private Link"
    ),
    "private endpoint GB": Question(
        "Virtual Network", "Standard Data Processed - Ingress", "Virtual Network Private Link"
    ),
    "private DNS zone": Question("Azure DNS", "Private Zone"),
    "key transactions 10k": Question("Key Vault", "Advanced Key Operations", "Key Vault", "Standard"),
    "vault transactions 10k": Question("Key Vault", "Operations", "Key Vault", "Standard"),
    "registry Basic day": Question(
        "Container Registry", "Basic Registry Unit", "Container Registry", "Basic"
    ),
    "registry Standard day": Question(
        "Container Registry", "Standard Registry Unit", "Container Registry", "Standard"
    ),
    "registry Premium day": Question(
        "Container Registry", "Premium Registry Unit", "Container Registry", "Premium"
    ),
    "log GB": Question("Log Analytics", "Analytics Logs Data Ingestion", "", "Analytics Logs"),
    "log retention GB": Question("Log Analytics", "Analytics Logs Data Retention", "", "Analytics Logs"),
    "firewall Basic hour": Question("Azure Firewall", "Basic Deployment", "", "Basic"),
    "firewall Basic GB": Question("Azure Firewall", "Basic Data Processed", "", "Basic"),
    "firewall Standard hour": Question("Azure Firewall", "Standard Deployment", "", "Standard"),
    "firewall Standard GB": Question("Azure Firewall", "Standard Data Processed", "", "Standard"),
    "metric alert series": Question("Azure Monitor", "Alerts Metric Monitored"),
    **{
        f"log alert {n} minutes": Question(
            "Azure Monitor", f"Alerts System Log Monitored at {n} Minute Frequency"
        )
        for n in (5, 10, 15)
    },
    **{
        f"storage {kind} GB": Question("Storage", f"Hot {kind} Data Stored", _STORAGE, f"Hot {kind}")
        for kind in ("LRS", "ZRS", "GRS", "GZRS")
    },
    "event operations 100k": Question("Event Grid", "Standard Operations", "", "Standard"),
    "AKS uptime hour": Question("Azure Kubernetes Service", "Standard Uptime SLA"),
}
"""Names as github.com/infracost/infracost asks for them (internal/resources/azure)."""


def address(meter: str, region: str, page: str = PAGE) -> str:
    """The page that answers for a meter in a region; empty for a meter that the list does not have."""
    if machine := _MACHINE.fullmatch(meter):
        asked = f"serviceName eq 'Virtual Machines' and armSkuName eq '{machine[1]}'"
    elif question := QUESTIONS.get(meter):
        asked = f"serviceName eq '{question.service}' and meterName eq '{question.meter}'"
    else:
        return ""
    regional = f"(armRegionName eq '{region}' or armRegionName eq 'Global' or armRegionName eq '')"
    return f"{page}?$filter={quote(f'{asked} and {regional}')}"


def chosen(meter: str, region: str, rows: Rows) -> float | None:
    """The price of a meter among the rows of its page; None when there is none, or when they disagree.

    Reservations, Windows, Spot and low priority have rows of their own, and the first units are free at some
    meters: the dearest step of the same row counts.
    """
    question = QUESTIONS.get(meter)
    prices: dict[str, list[float]] = {}
    for row in rows:
        if str(row.get("type")) != "Consumption" or not _fits(meter, question, row):
            continue
        amount = _amount(row)
        if amount:
            prices.setdefault(str(row.get("armRegionName") or "Global"), []).append(amount)
    amounts = prices.get(region) or prices.get("Global")
    if not amounts:
        return None
    machine = _MACHINE.fullmatch(meter)
    if machine and len(set(amounts)) > 1:
        return None
    return max(amounts) / (question.unit if question else 1)


def _amount(row: Mapping[str, Any]) -> float:
    """Of one unit in US dollars. Raises `ValueError` for what is no price."""
    try:
        amount = float(row.get("retailPrice") or 0)
    except (TypeError, ValueError):
        amount = math.nan
    if not math.isfinite(amount) or amount < 0 or row.get("currencyCode", "USD") != "USD":
        said = f"{row.get('retailPrice')!r} {row.get('currencyCode', '')}".strip()
        raise ValueError(f"gives {row.get('meterName')!r} the price {said}, which is no amount of US dollars")
    return amount


def _fits(meter: str, question: Question | None, row: Mapping[str, Any]) -> bool:
    if question is None:
        words = f"{row.get('productName')} {row.get('skuName')} {row.get('meterName')}"
        return not re.search(r"Windows|Spot|Low Priority|Cloud Services|Dedicated Host", words)
    product, sku = str(row.get("productName")), str(row.get("skuName"))
    return (
        row.get("meterName") == question.meter
        and (not question.product or product == question.product)
        and (not question.sku or sku == question.sku)
    )


def rows_of(page: str, read: Callable[[str], str] | None = None) -> Iterator[Mapping[str, Any]]:
    """Every row of a page and of those that follow it. Raises `ValueError` for what is no price list."""
    ask, seen, start = read or read_page, set(), urlsplit(page)
    while page:
        if page in seen or urlsplit(page)[:2] != start[:2]:
            raise ValueError(f"names {page!r} as its next page, which is no other page of it")
        seen.add(page)
        try:
            answer = json.loads(ask(page))
        except json.JSONDecodeError as error:
            raise ValueError(f"is no answer of Azure's price list: it is no JSON ({error})") from None
        items = answer.get("Items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("is no answer of Azure's price list: it has no Items")
        yield from items
        page = str(answer.get("NextPageLink") or "")


def renewed(
    wanted: Mapping[str, Iterable[str]],
    today: date,
    read: Callable[[str], str] | None = None,
    page: str = PAGE,
) -> tuple[str, list[str]]:
    """The text of a new table for `wanted` (meter to regions), and the meters that got no price. `page` is
    where the list is. Raises `OSError` when it does not answer, `ValueError` when it answers something else.
    """
    lines = [
        "# Written by `mlops infra cost --renew`: retail prices of Azure without a contract, in US dollars.",
        "# yamllint disable rule:line-length",
        f"read: {today.isoformat()}",
        f"source: {page}",
        "meters:",
    ]
    lacking = []
    for meter in sorted(wanted):
        prices = {}
        for region in sorted(set(wanted[meter])):
            asked = address(meter, region, page)
            amount = chosen(meter, region, rows_of(asked, read)) if asked else None
            if amount is None:
                lacking.append(f"{meter} ({region})")
            else:
                prices[region] = amount
        if prices:
            written = ", ".join(f"{region}: {amount:.10g}" for region, amount in prices.items())
            lines.append(f"  {meter}: {{from: price list, prices: {{{written}}}}}")
    return "\n".join(lines) + "\n", lacking


def read_page(page: str, sleep: Callable[[float], None] = time.sleep) -> str:
    """The text of a page; a list that is busy is asked again. Raises `OSError` when it does not answer."""
    for pause in (*_PAUSES, None):
        try:
            with urlopen(page, timeout=30) as answer:  # noqa: S310  the list's own pages only, see rows_of
                return str(answer.read().decode("utf-8", "replace"))
        except HTTPError as error:
            if error.code not in _BUSY or pause is None:
                raise
            told = str(error.headers.get("Retry-After") or "")
            sleep(min(float(told), _PAUSES[-1]) if told.isdecimal() else pause)
    raise AssertionError("unreachable")
