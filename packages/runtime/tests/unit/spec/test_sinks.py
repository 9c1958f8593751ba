"""Where events go is decided in a file that a reviewer reads. An address that leads to the machine's own
cloud identity, or nowhere, is no receiver, however it is written."""

from __future__ import annotations

import pytest

from mlops.spec.sinks import check_url, leads_astray


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/hook",
        "https://[fe80::1%25eth0]/hook",
        "https://[::ffff:169.254.169.254]/hook",
        "https://[fd00:ec2::254]/hook",
        "https://168.63.129.16/hook",
        "https://metadata.google.internal/",
        "https://METADATA.google.internal./",
        "https://0.0.0.0/hook",
        "https://[::]/hook",
        "https://224.0.0.1/hook",
        "https://2852039166/hook",
        "https://0xA9FEA9FE/hook",
        "https://0251.0376.0251.0376/hook",
        "https://169.254.43518/hook",
        "https://169.254.169.254./hook",
        "https://0/hook",
        "https://[64:ff9b::a9fe:a9fe]/hook",
        "https://[2002:a9fe:a9fe::]/hook",
        "https://[64:ff9b:1::a9fe:a9fe]/hook",
        "https://[::ffff:0:169.254.169.254]/hook",
        "https://[::169.254.169.254]/hook",
        "https://[2001:0:4136:e378:8000:63bf:5601:5601]/hook",
        "https://100.100.100.200/hook",
        "https://192.0.0.192/hook",
        "https://255.255.255.255/hook",
    ],
)
def test_an_address_of_the_machine_is_no_receiver(url: str) -> None:
    with pytest.raises(ValueError, match="must be the address of a receiver"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x",
        "https://10.1.2.3/hook",
        "https://events.internal:8443/hook",
        "http://127.0.0.1:9/hook",
    ],
)
def test_a_receiver_may_be_inside_the_network(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("host", "address", "astray"),
    [
        ("hooks.example.com", "93.184.216.34", False),
        ("hooks.example.com", "10.1.2.3", False),
        ("hooks.example.com", "169.254.169.254", True),
        ("hooks.example.com", "::ffff:169.254.169.254", True),
        ("hooks.example.com", "fe80::1%eth0", True),
        ("hooks.example.com", "0.0.0.0", True),  # noqa: S104  what a resolver may say
        ("hooks.example.com", "127.0.0.1", True),
        ("hooks.example.com", "127.8.8.8", True),
        ("hooks.example.com", "::1", True),
        ("hooks.example.com", "::ffff:127.0.0.1", True),
        ("localhost", "127.0.0.1", False),
        ("localhost", "::1", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.5", "127.0.0.5", False),
        ("localhost", "169.254.169.254", True),
    ],
)
def test_a_name_is_judged_by_where_it_leads(host: str, address: str, astray: bool) -> None:
    assert leads_astray(host, address) is astray
