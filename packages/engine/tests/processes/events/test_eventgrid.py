"""Microsoft's unmodified client against a server that speaks TLS as Event Grid does."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from event_world import Receiver, event, receiver

from mlops.events.sinks import Refused, Undelivered

azure_credentials = pytest.importorskip("azure.core.credentials", reason="the group azure is not installed")
pytest.importorskip("azure.eventgrid", reason="the group azure is not installed")


class Identity:
    """Answers with a token, as azure-identity does; remembers what it was asked for."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: object) -> object:
        self.scopes += scopes
        return azure_credentials.AccessToken("a-token", int(time.time()) + 3600)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def topic(certificate: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiver(context) as heard:
        heard.url = heard.url.replace("/hook", "/api/events")
        yield heard


def opened(topic: Receiver, certificate: Path, identity: Identity | None = None):
    from mlops.events.sinks.eventgrid import Topic

    return Topic(topic.url, identity or Identity(), connection_verify=str(certificate))


def test_a_batch_of_cloud_events_arrives_with_a_token_of_the_right_audience(
    topic: Receiver, certificate: Path
):
    identity = Identity()
    opened(topic, certificate, identity).send([event(1), event(2)])
    ((path, headers, body),) = topic.got
    assert path.startswith("/api/events?api-version=")
    assert headers["content-type"].startswith("application/cloudevents-batch+json")
    assert headers["authorization"] == "Bearer a-token"
    assert "aeg-sas-key" not in headers
    assert identity.scopes == ["https://eventgrid.azure.net/.default"]
    rows = json.loads(body)
    assert [row["data"]["version"] for row in rows] == [1, 2]
    sent = rows[0]
    assert (sent["id"], sent["type"], sent["specversion"]) == (
        event(1).get_id(),
        "mlops.model.registered",
        "1.0",
    )
    assert sent["subject"] == "models/freight/versions/1"


@pytest.mark.parametrize(
    ("status", "error"), [(503, Undelivered), (429, Undelivered), (401, Undelivered), (400, Refused)]
)
def test_its_answers_are_read_as_later_or_never(
    topic: Receiver, certificate: Path, status: int, error: type[Exception]
):
    topic.statuses = [status] * 5
    with pytest.raises(error):
        opened(topic, certificate).send([event(1)])
    assert len(topic.got) == 1, "attempts are counted by the outbox alone"


def test_a_server_that_is_not_there_is_a_sentence(certificate: Path):
    from mlops.events.sinks.eventgrid import Topic

    with pytest.raises(Undelivered, match="no answer from Event Grid"):
        Topic("https://localhost:1/api/events", Identity(), connection_verify=str(certificate)).send(
            [event(1)]
        )
