"""Azure's public price list (prices.azure.com, no login): what to ask it, and a table from its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import quote
from urllib.request import urlopen

PAGE: Final = "https://prices.azure.com/api/retail/prices"
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


def address(meter: str, region: str) -> str:
    """The page that answers for a meter in a region; empty for a meter that the list does not have."""
    if machine := _MACHINE.fullmatch(meter):
        asked = f"serviceName eq 'Virtual Machines' and armSkuName eq '{machine[1]}'"
    elif question := QUESTIONS.get(meter):
        asked = f"serviceName eq '{question.service}' and meterName eq '{question.meter}'"
    else:
        return ""
    regional = f"(armRegionName eq '{region}' or armRegionName eq 'Global' or armRegionName eq '')"
    return f"{PAGE}?$filter={quote(f'{asked} and {regional}')}"


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
        amount = float(row.get("retailPrice") or 0)
        if amount:
            prices.setdefault(str(row.get("armRegionName") or "Global"), []).append(amount)
    found = prices.get(region) or prices.get("Global")
    if not found:
        return None
    machine = _MACHINE.fullmatch(meter)
    if machine and len(set(found)) > 1:
        return None
    return max(found) / (question.unit if question else 1)


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
    ask = read or _read
    while page:
        answer = json.loads(ask(page))
        if not isinstance(answer, dict) or not isinstance(answer.get("Items"), list):
            raise ValueError(  # noqa: TRY004  the value of a page
                "is no answer of Azure's price list: it has no Items"
            )
        yield from answer["Items"]
        page = str(answer.get("NextPageLink") or "")


def renewed(
    wanted: Mapping[str, Iterable[str]], today: date, read: Callable[[str], str] | None = None
) -> tuple[str, list[str]]:
    """The text of a new table for `wanted` (meter to regions), and the meters that got no price."""
    lines = [
        "# Written by `mlops infra cost --renew`: retail prices of Azure without a contract, in US dollars.",
        f"read: {today.isoformat()}",
        f"source: {PAGE}",
        "meters:",
    ]
    lacking = []
    for meter in sorted(wanted):
        prices = {}
        for region in sorted(set(wanted[meter])):
            page = address(meter, region)
            amount = chosen(meter, region, rows_of(page, read)) if page else None
            if amount is None:
                lacking.append(f"{meter} ({region})")
            else:
                prices[region] = amount
        if prices:
            written = ", ".join(f"{region}: {amount:.10g}" for region, amount in prices.items())
            lines.append(f"  {meter}: {{from: price list, prices: {{{written}}}}}")
    return "\n".join(lines) + "\n", lacking


def _read(page: str) -> str:
    with urlopen(page, timeout=30) as answer:  # noqa: S310  an address of PAGE, or the one that it names as the next
        return str(answer.read().decode("utf-8"))
