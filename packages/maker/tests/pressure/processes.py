"""A verb in a process of its own that may be killed at any moment."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from mlops.errors import MlopsError

CLEAN, SENTENCE, TRACEBACK = 0, 3, 70


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a copy of this process; its id. It ends with `CLEAN`, `SENTENCE` or `TRACEBACK`."""
    pid = os.fork()
    if pid:
        return pid
    code = TRACEBACK
    try:
        work()
        code = CLEAN
    except MlopsError:
        code = SENTENCE
    except BaseException:  # noqa: BLE001  whatever it is, it is told
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """How it ended: its code, or minus the signal."""
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def killed(work: Callable[[], object], after: float) -> bool:
    """SIGKILL `after` seconds; whether it was still at work. Raises `AssertionError` for a traceback."""
    pid = forked(work)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    code = ended(pid)
    assert code != TRACEBACK, "a traceback, which no user may see"
    return code == -signal.SIGKILL
