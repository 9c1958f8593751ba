"""Sizes of virtual machines that Azure has, and counts of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.node import At
from mlops.spec.vm_sizes import sentence, verdict

# Series, features and generation: vCPUs. From Microsoft Learn, "Sizes for virtual machines in Azure"
# (https://learn.microsoft.com/azure/virtual-machines/sizes), retired series included. A size that is newer
# goes to `vm_sizes` of [lint] in mlops.toml.
_TABLE = """
A: 0 1 2 3 4 5 6 7 8 9 10 11
A v2: 1 2 4 8
Am v2: 2 4 8
Bls: 1
Bs: 1 2
Bms: 1 2 4 8 12 16 20
Bts v2: 2
Bls v2: 2 4 8 16 32
Bs v2: 2 4 8 16 32
Bats v2: 2
Bals v2: 2 4 8 16 32
Bas v2: 2 4 8 16 32
Bpts v2: 2
Bpls v2: 2 4 8 16
Bps v2: 2 4 8 16
D: 1 2 3 4 11 12 13 14
DS: 1 2 3 4 11 12 13 14
D v2: 1 2 3 4 5 11 12 13 14 15
Di v2: 15
DS v2: 1 2 3 4 5 11 12 13 14 15
DSi v2: 15
D,Ds v3: 2 4 8 16 32 48 64
D,Ds,Dd,Dds v4: 2 4 8 16 32 48 64
Da,Das v4: 2 4 8 16 32 48 64 96
D,Ds,Dd,Dds,Das,Dads,Dls,Dlds v5: 2 4 8 16 32 48 64 96
Dps,Dpds,Dpls,Dplds v5: 2 4 8 16 32 48 64
Ds,Dds,Dls,Dlds v6: 2 4 8 16 32 48 64 96 128 192
Das,Dads,Dals,Dalds v6: 2 4 8 16 32 48 64 96
Dps,Dpds,Dpls,Dplds v6: 2 4 8 16 32 48 64 96
Das,Dads,Dals,Dalds v7: 2 4 8 16 32 48 64 96 128 160
Ds,Dds,Dls,Dlds v7: 2 4 8 16 32 48 64 96 128 192 248 372
DCs: 2 4
DCs v2: 1 2 4 8
DCs,DCds v3: 1 2 4 8 16 24 32 48
DCas,DCads v5: 2 4 8 16 32 48 64 96
DCes,DCeds v5: 2 4 8 16 32 48 64 96
DCas,DCads,DCes,DCeds v6: 2 4 8 16 32 48 64 96 128
E,Es v3: 2 4 8 16 20 32 48 64
Ei,Eis v3: 64
E,Es,Ed,Eds v4: 2 4 8 16 20 32 48 64
Eis,Eids v4: 80
Ea,Eas v4: 2 4 8 16 20 32 48 64 96
E,Es,Ed,Eds,Eas,Eads v5: 2 4 8 16 20 32 48 64 96
Ei,Eis,Eid,Eids v5: 104
Eias,Eiads v5: 112
Ebs,Ebds v5: 2 4 8 16 32 48 64 96
Eibs,Eibds v5: 112
Eps,Epds v5: 2 4 8 16 20 32
Es,Eds v6: 2 4 8 16 20 32 48 64 96 128 192
Eis,Eids v6: 192
Eas,Eads v6: 2 4 8 16 20 32 48 64 96
Ebs,Ebds v6: 2 4 8 16 32 48 64 96 128 192
Eps,Epds v6: 2 4 8 16 32 48 64 96
Eas,Eads v7: 2 4 8 16 20 32 48 64 96 128 160
Es,Eds v7: 2 4 8 16 20 32 48 64 96 128 192 248
ECas,ECads v5: 2 4 8 16 20 32 48 64 96
ECes,ECeds v5: 2 4 8 16 32 48 64 128
ECas,ECads,ECes,ECeds v6: 2 4 8 16 20 32 48 64 96
F,Fs: 1 2 4 8 16
Fs,FS v2: 2 4 8 16 32 48 64 72
Fas,Fals,Fams v6: 2 4 8 16 32 48 64
Fas,Fals,Fams,Fads,Falds,Famds v7: 1 2 4 8 16 32 48 64 80
FXmds: 4 12 24 36 48
FXms,FXmds v2: 2 4 8 12 16 24 32 36 48 64 96
G: 1 2 3 4 5
GS: 1 2 3 4 5
H,Hm: 8 16
Hr,Hmr: 16
HBrs: 60
HBrs v2: 120
HBrs v3: 120
HBrs v4: 144 176
HBrs v5: 368
HCrs: 44
HXrs: 176
Ls: 4 8 16 32
Ls v2: 8 16 32 48 64 80
Ls,Las v3: 8 16 32 48 64 80
Ls,Las,Laos v4: 2 4 8 12 16 24 32 48 64 80 96
M,Mm: 64 128
Mms: 8 16 32 64 128
Mls: 32 64
Mts: 32
Ms: 64 128
Ms,Mms,Mis,Mims,Mids,Mds,Mdms,Midms v2: 32 64 128 192 208 416 832
Ms,Mds,Mbs,Mbds,Mibs,Mibds,Mis,Mids v3: 12 16 24 32 48 64 88 96 128 176 304 416 624 832 896 1792
NC: 6 12 24
NCr: 24
NCs v2: 6 12 24
NCrs v2: 24
NCs v3: 6 12 24
NCrs v3: 24
NCas T4 v3: 4 8 16 64
NCads A10 v4: 8 16 32
NCads A100 v4: 24 48 96
NCads H100 v5: 40
NCadis H100 v5: 80
NDs: 6 12 24
NDrs: 24
NDs v2: 40
NDrs v2: 40
NDasr v4: 96
NDasr A100 v4: 96
NDamsr A100 v4: 96
NDamsr v4: 96
NDisr H100 v5: 96
NDisr H200 v5: 96
NDis,NDisrf H100 v5: 96
NDis H200 v5: 96
NDisr MI300X v5: 96
NDis MI300X v5: 96
NDisr GB200 v6: 128
NDisr GB300 v6: 128
NGads V620 v1: 8 16 32
NGadms V620 v1: 32
NPs: 10 20 40
NV: 6 12 24
NVs v2: 6 12 24
NVs v3: 12 24 48
NVas v4: 4 8 16 32
NVads A10 v5: 6 12 18 36 72
NVadms A10 v5: 36
NVads V710 v5: 4 8 12 24 28
PBs: 6
"""
_SIZE = re.compile(
    r"(?:standard|basic)_(?P<family>[a-z]+)(?P<cpus>\d+)(?:-(?P<fewer>\d+))?(?P<features>[a-z]*)"
    r"(?:_(?P<chip>t4|a10|a100|h100|h200|mi300x|gb200|gb300|v620|v710))?(?:_(?P<generation>v\d+))?(?:_promo)?"
)


def _sizes() -> dict[tuple[str, str, str], frozenset[int]]:
    table: dict[tuple[str, str, str], frozenset[int]] = {}
    for line in _TABLE.strip().splitlines():
        head, _, counts = line.partition(": ")
        first, *rest = head.split(" ")
        chip = next((part.lower() for part in rest if not re.fullmatch(r"v\d", part) or len(rest) > 2), "")
        if len(rest) == 1:
            chip = ""
        generation = rest[-1] if rest else ""
        for series in first.split(","):
            key = (_parted(series), chip, generation)
            table[key] = table.get(key, frozenset()) | frozenset(int(count) for count in counts.split())
    return table


def _parted(series: str) -> str:
    """`ds-` of DS and `d-s` of Ds: the vCPUs stand between family and features."""
    family = series.rstrip("abcdefghijklmnopqrstuvwxyz")
    return f"{family.lower()}-{series[len(family) :]}"


SIZES = _sizes()
_MEMORY = re.compile(r"\d+(\.\d+)?[bkmg]?", re.IGNORECASE)
_LEFT_OPEN = -1
"""A count that components write for their jobs to fill."""


def size_problem(name: str, also: frozenset[str] = frozenset()) -> str:
    """Why Azure has no such size; empty when it has, or when nothing can be said (an expression)."""
    lowered = name.strip().lower()
    if "${{" in name or lowered in also:
        return ""
    match = _SIZE.fullmatch(lowered)
    if match is None:
        return f"{name!r} is no size of a virtual machine; they look like Standard_DS3_v2"
    series = f"{match['family']}-{match['features']}"
    key = (series, match["chip"] or "", match["generation"] or "")
    counts = SIZES.get(key)
    if counts is None:
        return f"Azure has no series of {name!r}; a newer one goes to vm_sizes of [lint] in mlops.toml"
    if int(match["cpus"]) not in counts:
        return f"Azure has no {name!r}; this series has {', '.join(map(str, sorted(counts)))}"
    if match["fewer"] and int(match["fewer"]) >= int(match["cpus"]):
        return f"{name!r} must have fewer active than all vCPUs"
    return ""


def check_size(place: At, files: Files) -> Iterator[Finding]:
    """A size that Azure has, and keeps."""
    if place.text is None:
        return
    if why := size_problem(place.text, files.vm_sizes):
        yield place.says("vm-size", why)
    elif files.today is not None and (ends := sentence(place.text.strip(), files.today, files.sizes)):
        ended = verdict(place.text.strip(), files.today, files.sizes) == "ended"
        yield place.says("retired-size" if ended else "ending-size", ends)


def check_resources(work: At, files: Files, *, declared: bool = False) -> Iterator[Finding]:
    """`resources` of a job: counts and sizes. `declared`: of a component."""
    resources = work["resources"]
    size = resources["instance_type"]
    for element in [size, *size.elements()]:
        if element.word.startswith("standard"):
            yield from check_size(element, files)
    for field in ("instance_count", "max_instance_count"):
        if not declared or resources[field].number != _LEFT_OPEN:
            yield from at_least(resources[field], 1, "instances")
    memory = resources["shm_size"]
    if memory.text is not None and "${{" not in memory.text and not _MEMORY.fullmatch(memory.text.strip()):
        yield memory.says("quantity", f"must be a number with b, k, m or g, as 2g; got {memory.value!r}")


def at_least(place: At, least: float, rule: str) -> Iterator[Finding]:
    """A number that is there must be at least `least`."""
    number = place.number
    if number is not None and number < least:
        yield place.says(rule, f"must be at least {least:g}; got {place.value!r}")


def between(place: At, least: float, most: float, rule: str) -> Iterator[Finding]:
    """A number that is there must be in a range."""
    number = place.number
    if number is not None and not least <= number <= most:
        yield place.says(rule, f"must be from {least:g} to {most:g}; got {place.value!r}")
