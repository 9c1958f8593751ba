"""Where events go is decided in a file that a reviewer reads. An address that leads to the machine's own
cloud identity, or nowhere, is no receiver, however it is written."""

from __future__ import annotations

import pytest

from mlops.spec.sinks import check_url


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
