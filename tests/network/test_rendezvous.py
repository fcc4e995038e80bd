"""Tests of `pipeline.network.rendezvous`."""

import socket
import threading

import pytest

from pipeline.network.rendezvous import RendezvousError, meet

pytestmark = pytest.mark.slow


@pytest.fixture
def workers():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    return [f"127.0.0.1:{port}", "127.0.0.1:1", "127.0.0.1:2"]


def test_all_return_once_the_last_has_come(workers):
    back = []
    threads = [
        threading.Thread(target=lambda i=i: (meet(workers, i, seconds=30), back.append(i)))
        for i in (1, 0)
    ]
    for thread in threads:
        thread.start()
    threads[0].join(timeout=0.5)
    assert back == []

    meet(workers, 2, seconds=30)

    for thread in threads:
        thread.join(timeout=30)
    assert sorted(back) == [0, 1]


def test_chief_names_who_did_not_come(workers):
    with pytest.raises(
        RendezvousError, match=r"all 3 hosts.*within 0 s\. Got: no call from.*1'.*2'"
    ):
        meet(workers, 0, seconds=0.1)


def test_absent_chief_is_named(workers):
    with pytest.raises(RendezvousError, match=rf"no answer from {workers[0]}"):
        meet(workers, 1, seconds=0.1)


def test_strangers_at_the_port_do_not_count(workers):
    chief = threading.Thread(target=lambda: meet(workers[:2], 0, seconds=30))
    chief.start()
    address = ("127.0.0.1", int(workers[0].rpartition(":")[2]))
    for word in (b"GET /", b"7", b"0"):
        while True:
            try:
                with socket.create_connection(address, timeout=5) as call:
                    call.sendall(word)
                break
            except ConnectionRefusedError:
                continue
    assert chief.is_alive()

    meet(workers[:2], 1, seconds=30)

    chief.join(timeout=30)
    assert not chief.is_alive()
