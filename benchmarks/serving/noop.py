"""The limits: our server with an app, or a scorer, that reads the request and answers a constant.

The app is plain ASGI: what any framework's route costs at least. The scorer sits where `Scoring` does and
skips all that a prediction needs: admission, parsing, the model, counting.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

from mlops.serving.http.guard import GuardedServer
from mlops.serving.http.lane import LaneProtocol
from mlops.serving.http.scoring import Answer

BODY = b'{"predictions":[0.2057802826166153]}'


class NoOpApp:
    """An ASGI app."""

    draining = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


class NoOpScorer:
    """In the place of `Scoring`."""

    def identity(self, headers: Any) -> list[Any]:
        return []

    def admit(self, headers: Any) -> None:
        pass

    def submit(self, protocol: Any, headers: Any, identity: Any, body: bytes, done: Any) -> None:
        done(Answer(200, BODY, []))


async def rsgi(scope: Any, protocol: Any) -> None:
    """The same for granian's own interface."""
    await protocol()
    protocol.response_bytes(200, [("content-type", "application/json")], BODY)


app = NoOpApp()

if __name__ == "__main__":
    if sys.argv[1] == "scorer":
        app.scoring = NoOpScorer()  # type: ignore[attr-defined]
    config = uvicorn.Config(
        app, http=LaneProtocol, loop="uvloop", lifespan="off", ws="none", log_config=None,
        access_log=False, server_header=False, proxy_headers=False,
    )  # fmt: skip
    sock = socket.create_server(("127.0.0.1", int(sys.argv[2])))
    GuardedServer(config, app, 0.0).run(sockets=[sock])  # type: ignore[arg-type]
