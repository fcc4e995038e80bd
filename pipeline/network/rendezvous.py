"""Hosts find each other before TensorFlow starts, which would wait for an hour without a word.

The others call at the chief's port, which TensorFlow takes over afterwards.
"""

import contextlib
import socket
import time

SECONDS_TO_COME = 600
SECONDS_BETWEEN_CALLS = 1
HELLO = 16  # bytes at most


class RendezvousError(ValueError):
    """A host did not come."""


def meet(workers: list[str], index: int, *, seconds: float = SECONDS_TO_COME) -> None:
    """Return, in every process, once all processes have called this.

    Args:
        workers: `host:port` of each process; the first is the chief's.
        index: Of this process.
        seconds: To wait.

    Raises:
        RendezvousError: A host did not come in time.
    """
    deadline = time.monotonic() + seconds
    if index == 0:
        _receive_all(workers, deadline, seconds)
    else:
        _call_chief(workers[0], index, deadline, seconds)


def _receive_all(workers: list[str], deadline: float, seconds: float) -> None:
    callers: dict[int, socket.socket] = {}
    port = int(workers[0].rpartition(":")[2])
    with socket.create_server(("", port)) as server, contextlib.ExitStack() as calls:
        while len(callers) < len(workers) - 1:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                caller, _ = server.accept()
            except TimeoutError as error:
                absent = [w for i, w in enumerate(workers) if i and i not in callers]
                raise RendezvousError(
                    f"all {len(workers)} hosts of TF_CONFIG must start within {seconds:.0f} s. "
                    f"Got: no call from {absent[:5]}, {len(absent)} in all."
                ) from error
            number = _read_number(calls.enter_context(caller))
            if 0 < number < len(workers):
                # A host that was started again calls anew; its earlier call is dead.
                callers[number] = caller
        for caller in callers.values():
            caller.sendall(b"go")


def _read_number(caller: socket.socket) -> int:
    """Read who calls; 0 where it is nobody of ours."""
    caller.settimeout(SECONDS_BETWEEN_CALLS)
    try:
        said = caller.recv(HELLO)
    except OSError:
        return 0
    return int(said) if said.isdigit() else 0


def _call_chief(chief: str, index: int, deadline: float, seconds: float) -> None:
    host, _, port = chief.rpartition(":")
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, int(port)), timeout=left) as call:
                call.sendall(str(index).encode())
                if call.recv(HELLO) == b"go":
                    return
        except OSError:  # nobody listens yet, or the chief has gone again
            pass
        time.sleep(SECONDS_BETWEEN_CALLS)
    raise RendezvousError(
        f"the chief of TF_CONFIG must start within {seconds:.0f} s. Got: no answer from {chief}."
    )
