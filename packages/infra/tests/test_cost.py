"""A bill that leaves something out reads like a zero: every kind of every option is priced, free by name, or
told as unknown; what a change costs is the difference of two bills."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphs import ENVIRONMENTS, EVERYTHING, ROOT, STACKS, plan
from mlops.cli import _infra_cost  # noqa: F401  the verb
from mlops.cli._app import app
from mlops.errors import InvalidInput
from mlops.infra.cost import renew
from mlops.infra.cost.api import Costs, costs
from mlops.infra.cost.bill import bill, difference
from mlops.infra.cost.prices import OWN, STALE, Meter, months_old, price, table, used
from mlops.infra.cost.render import data, markdown, text
from mlops.infra.cost.uses import FREE, HOURS, PRICED, Load, Use, deployment
from mlops.infra.model import Captured, Resource
from mlops.spec._yaml import Document

METERS = table(ROOT).meters


def one(kind: str, name: str = "it", **inputs: object) -> Resource:
    return Resource(
        urn=f"urn:pulumi:dev::mlops::{name}", type=f"azure-native:{kind}", name=name, inputs=inputs
    )


def captured(*resources: Resource) -> Captured:
    return Captured("mlops", "dev", resources)


@pytest.mark.parametrize("stack", STACKS)
def test_every_kind_of_every_option_is_known(stack: str) -> None:
    kinds = {r.kind for r in plan(stack, everything=True).azure}
    later = {"containerinstance:ContainerGroup", "databricks:Workspace"}
    assert kinds - set(PRICED) - FREE <= later, "give it a price, say that it is free, or that nobody knows"


def test_what_nobody_prices_is_told() -> None:
    found = bill(captured(one("redis:Redis", "cache", location="westeurope")), METERS, Load())
    assert found.missing == ("nobody says what cache (redis:Redis) costs",)
    own = {"redis:Redis": lambda _, __: iter([Use("cache hour", HOURS)])}
    meters = {**METERS, "cache hour": Meter.model_validate({"from": "us", "prices": {"westeurope": 0.1}})}
    assert bill(captured(one("redis:Redis")), meters, Load(), own=own).idle == pytest.approx(73)


def test_a_meter_without_a_price_is_told_and_counts_nothing() -> None:
    inner = {"vmSize": "Standard_X1", "scaleSettings": {"minNodeCount": 2}}
    size = one(
        "machinelearningservices:Compute", properties={"computeType": "AmlCompute", "properties": inner}
    )
    found = bill(captured(size), METERS, Load())
    assert found.loaded == 0
    assert found.missing == ("no price of vm Standard_X1 hour",)


def test_private_endpoints_and_own_keys_have_their_price() -> None:
    plain, private = plan("staging"), plan("staging", network={"isolation": "internet_outbound"})
    with_keys = plan("staging", customer_managed_keys=True)
    base = bill(plain, METERS, Load())
    changed = {name: idle for name, idle, _ in difference(bill(private, METERS, Load()), base)}
    endpoints = [name for name in changed if name.startswith("private-endpoint-")]
    assert len(endpoints) == 6
    assert all(changed[name] == pytest.approx(7.3) for name in endpoints)
    assert changed["workspace"] == pytest.approx(912.5), "approved domains need a firewall"
    keys = {name: (idle, loaded) for name, idle, loaded in difference(base, bill(with_keys, METERS, Load()))}
    assert keys["workspace"][0] == pytest.approx(700)
    assert keys["key"] == (0, pytest.approx(1.5))


def test_a_node_that_always_runs_and_instances_are_paid_for_idle() -> None:
    small = {"cpu-cluster": {"vm_size": "Standard_D4ds_v5", "max_nodes": 2, "min_nodes": 1}}
    idle = {line.resource: line.idle for line in bill(plan("dev", clusters=small), METERS, Load()).lines}
    assert idle["compute-cpu-cluster"] == pytest.approx(
        HOURS * METERS["vm Standard_D4ds_v5 hour"].prices["westeurope"]
    )

    class Settings:
        instance_type, instances = "Standard_DS2_v2", 3

    found = bill(captured(), METERS, Load(), {"m": deployment(Settings)})
    assert found.lines[0].resource == "deployment m"
    assert found.idle == pytest.approx(3 * HOURS * 0.146), "without a region that of eastus"


def test_the_load_is_stated_and_counts() -> None:
    quiet, busy = (bill(plan("dev"), METERS, Load(node_hours=hours)) for hours in (0, 100))
    assert busy.idle == quiet.idle
    assert busy.loaded - quiet.loaded == pytest.approx(100 * (0.272 + 0.658)), "prices of its region"
    assert "100 node hours a cluster" in text(Costs((busy,), table(ROOT), Load(node_hours=100)))


def test_another_region_stands_in_and_is_told() -> None:
    found = price(METERS, "private endpoint hour", "westeurope")
    assert found is not None
    assert found.region == "westus"
    said = text(costs(ROOT, [plan("staging")]))
    assert "Without a price of westeurope, that of" in said
    assert "read on 2024-08-30 (of machines: read on 2026-06-18)" in said


def test_every_size_of_the_stacks_has_a_price_where_it_runs() -> None:
    for stack in ENVIRONMENTS:
        found = [line for line in bill(plan(stack), METERS, Load()).lines if line.meter.startswith("vm ")]
        assert found
        assert {line.region for line in found} == {"westeurope"}


@pytest.mark.parametrize(
    ("day", "months"),
    [
        (date(2024, 8, 30), 0),
        (date(2024, 9, 29), 0),
        (date(2024, 9, 30), 1),
        (date(2025, 2, 27), 5),
        (date(2025, 8, 29), 11),
        (date(2026, 11, 30), 27),
        (date(2023, 1, 1), 0),
    ],
)
def test_the_age_of_prices_is_told_with_the_way_to_renew_them(day: date, months: int) -> None:
    known = table(ROOT)
    assert months_old(known.read, day) == months
    told = Costs((), known, Load(), day=day)
    warned = f"These prices are {months} months old (read on {known.read})"
    for said in (text(told), markdown(told)):
        assert (warned in said) is (months >= STALE)
        assert "`mlops infra cost --renew`" in said, "how to renew them is always said"
    assert data(told)["prices"]["months_old"] == months
    assert bool(data(told)["prices"]["warning"]) is (months >= STALE)


def test_a_plan_has_no_day_so_its_text_stays() -> None:
    told = Costs((), table(ROOT), Load())
    assert "months old" not in markdown(told) + text(told)
    assert data(told)["prices"]["months_old"] is None


def test_the_pull_request_sees_the_difference() -> None:
    after, before = plan("dev", clusters={**EVERYTHING.get("clusters", {}), "cpu-cluster": {
        "vm_size": "Standard_D4ds_v5", "max_nodes": 2, "min_nodes": 2}}), plan("dev")  # fmt: skip
    found = markdown(costs(ROOT, [after], before={"dev": before}))
    assert "| dev |" in found
    assert "`compute-cpu-cluster` | +$397.12" in found
    assert "`compute-gpu-cluster` | +$0.00 | -$21.04" in found or "-$0.00" not in found
    same = markdown(costs(ROOT, [before], before={"dev": before}))
    assert "| none |" in same


def test_the_repositorys_own_prices_come_first(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / OWN).write_text(
        "read: 2026-11-01\nsource: us\nmeters:\n  x: {from: us, prices: {westeurope: 1}}\n"
    )
    own = table(tmp_path)
    assert own.meters["x"].prices == {"westeurope": 1}
    assert {name: own.meters[name].prices for name in METERS} == {n: m.prices for n, m in METERS.items()}
    assert used(own, {"x"}).read == date(2026, 11, 1)
    assert used(own, {"x", "log GB"}).read == table(ROOT).read, "a bill is as old as its oldest price"
    (tmp_path / OWN).write_text("read: 2026-11-01\nsource: us\nmeters:\n  x: {from: us, price: 1}\n")
    with pytest.raises(InvalidInput, match=r"environments/prices\.yaml:4"):
        table(tmp_path)


# The price list


def row(region: str, amount: float, **more: object) -> dict[str, object]:
    plain = {
        "type": "Consumption",
        "armRegionName": region,
        "retailPrice": amount,
        "skuName": "D4ds v5",
        "productName": "Virtual Machines Ddsv5 Series",
        "meterName": "D4ds v5",
    }
    return {**plain, **more}


VM = "vm Standard_D4ds_v5 hour"


def test_one_row_is_the_price_of_a_machine() -> None:
    rows = [
        row("westeurope", 0.262),
        row("westeurope", 0.44, productName="Virtual Machines Ddsv5 Series Windows"),
        row("westeurope", 0.05, skuName="D4ds v5 Spot"),
        row("westeurope", 0.06, meterName="D4ds v5 Low Priority"),
        row("westeurope", 1400, type="Reservation"),
        row("westeurope", 0.2, type="DevTestConsumption"),
    ]
    assert renew.chosen(VM, "westeurope", rows) == 0.262
    assert renew.chosen(VM, "westeurope", [*rows, row("westeurope", 0.3)]) is None, "two prices are none"
    assert renew.chosen(VM, "swedencentral", rows) is None


def test_free_first_units_and_global_rows() -> None:
    rows = [row("", 0, meterName="Standard Operations", skuName="Standard"),
            row("", 0.06, meterName="Standard Operations", skuName="Standard")]  # fmt: skip
    assert renew.chosen("event operations 100k", "westeurope", rows) == 0.06


def test_a_new_table_has_what_was_answered_and_names_the_rest() -> None:
    more = f"{renew.PAGE}?$skip=100"
    pages = {
        renew.address(VM, "westeurope"): {"Items": [], "NextPageLink": more},
        more: {"Items": [row("westeurope", 0.262)], "NextPageLink": None},
    }
    read = lambda page: json.dumps(pages.get(page, {"Items": []}))  # noqa: E731
    wanted = {
        VM: ["westeurope"],
        "own keys of a workspace": ["westeurope"],
        "private DNS zone": ["westeurope"],
    }
    written, lacking = renew.renewed(wanted, date(2026, 11, 29), read)
    found = Document(written, OWN).parse(type(table(ROOT)))
    assert found.meters[VM].prices == {"westeurope": 0.262}
    assert lacking == ["own keys of a workspace (westeurope)", "private DNS zone (westeurope)"]
    with pytest.raises(ValueError, match="it has no Items"):
        renew.renewed({VM: ["westeurope"]}, date(2026, 11, 29), lambda _: "[]")


def test_every_meter_of_the_table_can_be_asked_for() -> None:
    assert {m for m in METERS if not renew.address(m, "westeurope")} == {"own keys of a workspace"}


def test_the_verb_prints_a_machines_json_and_renews(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> object:
        return CliRunner().invoke(app, ["-C", str(repository), "infra", "cost", "--stack", "dev", *words])

    answer = run("--json")
    assert answer.exit_code == 0, answer.output
    dev = json.loads(answer.stdout)["stacks"]["dev"]
    assert dev["loaded"] == pytest.approx(
        sum((x["idle"] or 0) + (x["busy"] or 0) for x in dev["lines"]), abs=0.1
    )
    monkeypatch.setattr(renew, "read_page", lambda _: json.dumps({"Items": [row("westeurope", 0.262)]}))
    answer = run("--renew", "--stack", "prod")
    assert answer.exit_code == 4, answer.output
    assert "no single price of storage GZRS GB (westeurope)" in answer.stderr
    own = table(repository)
    assert own.meters[VM].prices == {"westeurope": 0.262}
    kept = own.meters["log GB"]
    assert (kept.prices, kept.read) == (METERS["log GB"].prices, date(2024, 8, 30)), "what it lacks stays"

    def refused(_: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(renew, "read_page", refused)
    answer = run("--renew")
    assert "cannot be read: no route to host; the old table stays" in answer.stderr
    assert table(repository) == own
