"""The limit: our server, with an app that reads the request and answers a constant."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

from mlops.serving.guard import GuardedProtocol, GuardedServer

BODY = b'{"predictions":[0.2057802826166153]}'


class NoOp:
    """An ASGI app."""

    draining = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    app = NoOp()
    config = uvicorn.Config(
        app, http=GuardedProtocol, loop="uvloop", lifespan="off", ws="none", log_config=None,
        access_log=False, server_header=False, proxy_headers=False,
    )  # fmt: skip
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    GuardedServer(config, app, 0.0).run(sockets=[sock])  # type: ignore[arg-type]
