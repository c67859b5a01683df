"""Packed weights, prepared by real processes: what is shared, who waits, and that nobody pays."""

import os
import signal

import pytest

from harness import GiB, MiB, process_is_gone, wait_until

# 3 GiB of weights; packed 2 GiB in f32, and no byte of any of it is touched.
FAKE = "fake:text_embedding?weights=3GiB&packed=2GiB&context=0&scratch=0"


def preparer(server):
    """The process that prepares, waited for."""
    return wait_until(lambda: next((pid for pid, title in server.children().items()
                                    if title == "weir:prepare"), None), 10, "a preparer")


def assert_goes_on_without(server, events, reason):
    """Each of both workers packs for itself, and it was said why."""
    server.wait_settled()
    assert server.leased() == 7 * 1024
    assert server.model()["preparation"] == "failed"
    told = events.kinds("prepared")
    assert [e["to"] for e in told] == ["failed"]
    assert reason in told[0]["reason"]
    assert reason in server.log_text()


def test_workers_share_what_was_prepared(serve, weir):
    """Before the first worker, once; both lease it together, and a plan says so."""
    server = serve({"m": FAKE + "&prepare=1500ms"}, "--limit", "load_stall_ms=500")  # it ticks
    events = server.events()
    server.vector("hello")
    server.wait_settled()
    assert server.leased() == 5 * 1024
    model = server.model()
    assert model["precision"] == "f32" and model["packed"] == 2 * GiB
    assert model["preparation"] == "shared"
    kinds = [(e["kind"], e["to"]) for e in events.seen if e["model"] == "m"]
    steps = [("prepare", None), ("prepared", "ready"), ("grant", None), ("state", "Spawning")]
    assert [kinds.index(step) for step in steps] == sorted(kinds.index(step) for step in steps)
    assert kinds.count(("prepare", None)) == 1
    assert "weir:prepare" not in server.children().values()
    for shown in (weir("plan", "m", WEIR_HOST=server.url), weir("ps", WEIR_HOST=server.url)):
        assert "f32, 2 GiB packed, shared by all workers" in shown.stdout, shown


def test_a_failed_preparation_costs_only_memory(serve, weir):
    server = serve({"m": FAKE + "&prepare_fail=the disk is full"})
    events = server.events()
    server.vector("hello")
    assert_goes_on_without(server, events, "the disk is full")
    for shown in (weir("plan", "m", WEIR_HOST=server.url), weir("ps", WEIR_HOST=server.url)):
        assert "f32, 2 GiB packed, by each worker" in shown.stdout, shown


@pytest.mark.parametrize("number, reason", [(signal.SIGKILL, "signal 9"),
                                            (signal.SIGSTOP, "no progress")])
def test_a_preparer_that_dies_or_stands_still(serve, number, reason):
    """Killed, or stopped until patience ends: its request is answered all the same."""
    server = serve({"m": FAKE + "&prepare=60s"}, "--limit", "load_stall_ms=500")
    events = server.events()
    waits = server.later(server.embed)
    pid = preparer(server)
    assert server.model()["preparation"] == "running"
    assert server.leased() == 64 and server.status()["memory"]["preparing"] == 64 * MiB
    os.kill(pid, number)
    answer = waits.result()
    assert answer.status == 200, answer
    assert_goes_on_without(server, events, reason)
    assert process_is_gone(pid)


def test_an_unload_and_a_shutdown_stop_it(serve):
    """Neither waits for the minute that it would take."""
    server = serve({"m": FAKE + "&prepare=60s"})
    waits = server.later(server.embed)
    first = preparer(server)
    assert server.post("/weir/v1/unload", {"model": "m"}).status == 200
    wait_until(lambda: process_is_gone(first), 5, "it was stopped")
    second = preparer(server)  # the request is still there
    assert second != first
    assert server.stop(10) == 0
    answer = waits.result()
    assert answer.status == 503, answer
    assert process_is_gone(second)
