"""Events: what the lifecycle tells the world, and how it gets there at least once.

`publish` writes a fact to the outbox and returns when it is durable; `flush` delivers what the outbox has to
the sinks of mlops.toml. A verb publishes where it writes its journal and the command line flushes at its end,
so a sink that is down costs a sentence and never the verb.
"""

from __future__ import annotations

from mlops.events.publish import Announce, flush, publish, silent, touched

__all__ = ["Announce", "flush", "publish", "silent", "touched"]
