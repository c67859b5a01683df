"""Workers that come and go with the requests: queues, deadlines, cancels, idle time."""

import os
import signal
import socket
import time

import pytest
from harness import SLOW, raw_post, wait_until

FAKE = "fake:text_embedding"
LONG = FAKE + "?steps=600&step=100ms"  # a minute: no test waits for its end


def test_zero_workers_zero_processes(serve):
    """2 -> 1 -> 0, one a quiet period, and at zero workers there are zero processes (F050)."""
    server = serve({"m": FAKE}, "--idle", "1", "--idle-label", "1")
    events = server.events()
    began = server.vector("x")
    server.wait_settled()
    server.wait_workers(1, seconds=5)
    assert server.vector("x") == began  # the one that is left works
    server.wait_workers(0, seconds=8)
    wait_until(lambda: server.children() == {}, 5, "no process is left")
    leaving = [e["time_ms"] for e in events.kinds("state") if e["to"] == "Evicting"]
    assert len(leaving) == 2 and leaving[1] - leaving[0] >= 1000
    assert [e["reason"] for e in events.kinds("state") if e["to"] == "Evicting"] == ["idle"] * 2
    assert server.leased() == 0
    assert server.vector("x") == began  # and it comes back when it is asked for


def test_dead_workers_leave_the_status(serve):
    """Nothing of a worker stays for long (F032)."""
    server = serve({"m": FAKE}, "--idle", "1", "--idle-label", "1", "--max-workers", "1")
    server.vector("x")
    server.wait_workers(1, ["Dead"], seconds=5)
    gone = time.monotonic()
    wait_until(lambda: server.model()["workers"] == [], 8, "the dead worker is not listed any more")
    assert time.monotonic() - gone > 2  # it was to be seen for five seconds


def test_min_workers_are_kept(serve):
    """One is there without any request, a queue brings a second, and quiet leaves the one."""
    server = serve({"m": FAKE + "?step=1500ms"}, "--min-workers", "1", "--max-workers", "2",
                   "--idle", "1", "--idle-label", "1")
    server.wait_workers(1, ["Ready", "Idle"])
    running = [server.later(server.embed, f"t{i}") for i in range(3)]
    assert [r.result().status for r in running] == [200] * 3
    server.wait_settled()
    events = server.events()
    events.state("Dead", seconds=5)
    (kept,) = server.workers()
    time.sleep(1.5)
    (after,) = server.workers()
    assert after["pid"] == kept["pid"] and after["state"] == "Idle"
    assert server.model()["spawned"] == 2


def test_minimum_is_filled_again_after_a_death(serve):
    server = serve({"m": FAKE}, "--min-workers", "1", "--max-workers", "1")
    (worker,) = server.wait_workers(1, ["Ready", "Idle"])
    os.kill(worker["pid"], signal.SIGKILL)
    wait_until(lambda: [w for w in server.workers(states=("Ready", "Idle"))
                        if w["pid"] != worker["pid"]], 5, "another worker")


def test_max_workers_is_a_limit(serve):
    """Those that start count as well (F016)."""
    server = serve({"m": FAKE + "?step=300ms"}, "--max-workers", "2")
    running = [server.later(server.embed, f"t{i}") for i in range(10)]
    assert [r.result().status for r in running] == [200] * 10
    assert server.model()["spawned"] == 2


def test_one_more_when_all_are_taken(serve):
    """Both workers busy and a queue that waits longer than a load takes: a third comes."""
    server = serve({"m": FAKE + "?step=800ms"}, "--max-workers", "3")
    running = [server.later(server.embed, f"t{i}") for i in range(12)]
    wait_until(lambda: server.model()["spawned"] == 3, 8, "a third worker")
    assert [r.result().status for r in running] == [200] * 12
    assert server.model()["spawned"] == 3


@pytest.mark.parametrize("how", ["header", "field"])
def test_deadline(serve, how):
    """The caller is answered at the deadline and the worker is free soon after (F083)."""
    server = serve({"m": LONG}, "--max-workers", "1")
    headers = {"x-weir-deadline-ms": "400"} if how == "header" else {}
    fields = {"deadline_ms": 400} if how == "field" else {}
    began = time.monotonic()
    answer = server.embed("x", headers=headers, **fields)
    assert answer.status == 504, answer
    assert answer.error["code"] == "deadline_exceeded"
    assert "400 ms" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert 0.4 <= answer.ended - began < 3 * SLOW
    server.wait_jobs(0, seconds=1)
    (worker,) = server.workers()
    assert worker["state"] in ("Ready", "Idle")  # told to stop, and lives


def test_deadline_while_waiting(serve):
    server = serve({"m": LONG}, "--max-workers", "1")
    server.later(server.embed, "first", headers={"x-weir-deadline-ms": "3000"})
    server.wait_jobs(1)
    answer = server.embed("second", headers={"x-weir-deadline-ms": "300"})
    assert answer.status == 504 and "waited" in answer.error["message"], answer
    assert server.model()["queue"] == 0


@pytest.mark.parametrize("value", ["soon", "-5", "0", "1.5"])
def test_deadline_that_is_none(serve, value):
    server = serve({"m": FAKE})
    answer = server.embed("x", headers={"x-weir-deadline-ms": value})
    assert answer.status == 400 and answer.error["param"] == "x-weir-deadline-ms", answer


def test_queue_cap_applies_when_loaded(serve):
    """One runs, two wait, the fourth is told to come back: before the first load and after (F071)."""
    server = serve({"m": FAKE + "?step=700ms&load=500ms"}, "--max-workers", "1",
                   "--limit", "queue_jobs=2")
    cold = [server.later(server.embed, f"cold {i}") for i in range(2)]
    wait_until(lambda: server.model()["queue"] == 2, 5, "two wait for the load")
    assert server.embed("too many").status == 429
    assert [r.result().status for r in cold] == [200, 200]

    warm = []
    for i in range(3):
        warm.append(server.later(server.embed, f"warm {i}"))
        if i == 0:
            server.wait_jobs(1)
    wait_until(lambda: server.model()["queue"] == 2, 5, "two wait for the worker")
    refused = server.embed("one too many")
    assert refused.status == 429, refused
    assert refused.error["code"] == "queue_full" and refused.error["type"] == "rate_limit_error"
    assert "'m'" in refused.error["message"] and "2" in refused.error["message"]
    assert int(refused.headers["retry-after"]) >= 1
    assert int(refused.headers["retry-after-ms"]) >= 1
    assert "x-should-retry" not in refused.headers
    assert [r.result().status for r in warm] == [200] * 3


def test_queue_cap_in_bytes(serve):
    """Waiting requests are bounded by their bytes too (F071)."""
    server = serve({"m": FAKE + "?step=500ms"}, "--max-workers", "1",
                   "--limit", "queue_bytes=64KiB")
    first = server.later(server.embed, "first")
    server.wait_jobs(1)
    second = server.later(server.embed, "x" * 40000)
    wait_until(lambda: server.model()["queue"] == 1, 5, "one waits")
    refused = server.embed("y" * 40000)
    assert refused.status == 429 and "65536" in refused.error["message"], refused
    assert [first.result().status, second.result().status] == [200, 200]


def test_disconnect_embed(serve):
    """A client that leaves takes its request with it: the worker is free within one step (F084)."""
    server = serve({"m": LONG}, "--max-workers", "1")
    client = server.raw(raw_post({"model": "m", "input": "gone soon"}))
    worker = server.wait_jobs(1)[0]
    waiting = server.raw(raw_post({"model": "m", "input": "gone from the queue"}))
    wait_until(lambda: server.model()["queue"] == 1, 5, "the second waits")
    waiting.close()
    wait_until(lambda: server.model()["queue"] == 0, 1, "the queue entry is gone")
    client.close()
    left = time.monotonic()
    server.wait_jobs(0, seconds=1)
    assert time.monotonic() - left < 0.1 + 0.5 * SLOW
    (after,) = server.workers()
    assert after["pid"] == worker["pid"] and after["state"] in ("Ready", "Idle")


def test_half_closed_client_is_answered_or_left(serve):
    """A client that only stops sending either gets its answer or is taken as gone, never a hang."""
    server = serve({"m": FAKE + "?step=200ms"}, "--max-workers", "1")
    client = server.raw(raw_post({"model": "m", "input": "half"}, Connection="close"))
    client.shutdown(socket.SHUT_WR)
    client.settimeout(10 * SLOW)
    data = b""
    while True:
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    client.close()
    assert data == b"" or data.startswith(b"HTTP/1.1 200 ")
    server.wait_jobs(0)


def test_workers_share_a_burst(serve):
    """Two workers take turns: six equal jobs on two workers take three steps, not six."""
    server = serve({"m": FAKE + "?step=400ms"}, "--max-workers", "2")
    server.vector("warm")
    server.wait_settled()
    began = time.monotonic()
    running = [server.later(server.embed, f"t{i}") for i in range(6)]
    assert [r.result().status for r in running] == [200] * 6
    assert time.monotonic() - began < 6 * 0.4 + (SLOW - 1)


def test_batch_invariance(serve):
    """A vector does not depend on its neighbours, in its request or in its worker (F102)."""
    server = serve({"m": FAKE + "?slots=8"})
    texts = [f"text of {i} words " + "and more " * i for i in range(20)]
    alone = [server.vector(text) for text in texts]
    assert server.embed(texts).vectors == alone
    running = [server.later(server.embed, text) for text in texts]
    assert [r.result().vectors[0] for r in running] == alone


def test_two_capabilities_beside_each_other(serve):
    """A fake language model is listed with what it can, and says so when asked for embeddings."""
    server = serve({"m": FAKE, "chat": "fake:text_to_text"})
    assert server.model("chat")["capabilities"] == ["text_to_text"]
    answer = server.embed(model="chat")
    assert answer.status == 400 and "'chat'" in answer.error["message"], answer
    tokens = server.post("/weir/v1/tokenize", {"model": "chat", "input": "one two three"})
    assert tokens.status == 200 and tokens.json["pieces"] == [["one", "two", "three"]], tokens
