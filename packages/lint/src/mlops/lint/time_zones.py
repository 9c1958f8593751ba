"""Names of time zones that Azure takes: those of the tz database, and those of Windows."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

_STANDARD = """
    AUS Central; AUS Eastern; Afghanistan; Alaskan; Aleutian; Altai; Arab; Arabian; Arabic; Argentina;
    Astrakhan; Atlantic; Aus Central W.; Azerbaijan; Azores; Bahia; Bangladesh; Belarus; Bougainville;
    Canada Central; Cape Verde; Caucasus; Cen. Australia; Central; Central America; Central Asia;
    Central Brazilian; Central Europe; Central European; Central Pacific; Chatham Islands; China; Cuba;
    Dateline; E. Africa; E. Australia; E. Europe; E. South America; Easter Island; Eastern; Egypt;
    Ekaterinburg; FLE; Fiji; GMT; GTB; Georgian; Greenland; Greenwich; Haiti; Hawaiian; India; Iran;
    Israel; Jordan; Kaliningrad; Kamchatka; Korea; Libya; Line Islands; Lord Howe; Magadan; Marquesas;
    Mauritius; Mid-Atlantic; Middle East; Montevideo; Morocco; Mountain; Myanmar; N. Central Asia;
    Namibia; Nepal; New Zealand; Newfoundland; Norfolk; North Asia; North Asia East; North Korea;
    Pacific; Pacific SA; Pakistan; Paraguay; Romance; Russian; SA Eastern; SA Pacific; SA Western; SE
    Asia; Saint Pierre; Sakhalin; Samoa; Singapore; South Africa; Sri Lanka; Syria; Taipei; Tasmania;
    Tocantins; Tokyo; Tomsk; Tonga; Transbaikal; Turkey; Turks And Caicos; US Eastern; US Mountain;
    Ulaanbaatar; Venezuela; Vladivostok; W. Australia; W. Central Africa; W. Europe; W. Mongolia; West
    Asia; West Bank; West Pacific; Yakutsk
    Kamchatka; Magallanes; Mid-Atlantic; Omsk; Qyzylorda; Sao Tome; Saratov; South Sudan; Sudan; Tocantins;
    Volgograd; Yukon
"""
"""Before ` Standard Time`."""
_OTHERS = (
    "Central Standard Time (Mexico)",
    "Eastern Standard Time (Mexico)",
    "Mountain Standard Time (Mexico)",
    "Pacific Standard Time (Mexico)",
    "Russia Time Zone 3",
    "Russia Time Zone 10",
    "Russia Time Zone 11",
    "UTC",
    "UTC+12",
    "UTC+13",
    "UTC-02",
    "UTC-08",
    "UTC-09",
    "UTC-11",
)


@cache
def known() -> frozenset[str]:
    """All of them, in small letters."""
    windows = [f"{' '.join(name.split())} Standard Time" for name in _STANDARD.split(";")]
    return frozenset(name.lower() for name in (*available_timezones(), *windows, *_OTHERS))
