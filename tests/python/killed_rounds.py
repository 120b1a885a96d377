"""What the programs share that tests kill: rounds of work, each in a child of its own.

Forking a process that has imported everything and opened nothing makes a round cheap. One thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def serve(work: Callable[[int], None]) -> None:
    """A line "ROUND" on standard input forks a child that works until it is killed.

    Its pid comes back on standard output, and "gone" once it is.
    """
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                work(int(line))
            except BaseException as error:
                print(f"child: {error!r}", file=sys.stderr, flush=True)
            finally:
                os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)
