"""Run a command that ends with the process that asked for it, or when its permit is taken away.

Usage: python -m pipeline.supervise PERMIT PID COMMAND…

PID is the process that starts this. Where that is killed, whoever waits for it has the command run
again elsewhere: two of them must not write to one folder. PERMIT is a file, on a file system that
all machines share, so that this also holds on a machine that was cut off from the others.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

POLL_SECONDS = 0.5


def main() -> int:
    permit, asker, *command = sys.argv[1:]
    front = os.getpid()
    watcher = os.fork()
    if not watcher:
        os.setsid()
        os._exit(run_watched(command, permit, front))
    # Ray kills the children and the process group of a worker that ends. The watcher, a grandchild
    # in a group of its own, is left to end the command as soon as this process is gone.
    while os.getppid() == int(asker):
        ended, status = os.waitpid(watcher, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    return 1


def run_watched(command: list[str], permit: str, front: int) -> int:
    """Run a command in another process group; kill all of it when it may no longer run.

    Returns:
        Its exit status, 128 more than the signal that ended it.
    """
    process = subprocess.Popen(command, process_group=0)
    try:
        while process.poll() is None and os.getppid() == front and has_permit(permit):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if code >= 0 else 128 - code


def has_permit(path: str) -> bool:
    """Look for a file by opening it, as NFS answers that afresh, and a `stat` from its cache."""
    try:
        with open(path, "rb"):
            return True
    except OSError as error:  # a file server that is away for a moment takes no permit away
        return error.errno not in (errno.ENOENT, errno.ESTALE)


if __name__ == "__main__":
    raise SystemExit(main())
