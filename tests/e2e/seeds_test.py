"""The scenarios of the five seed documents, on real processes.

The seeds describe a model of 8 GiB on a machine of 24 GiB of which 16 GiB may be used. The fake
worker states that size and does not touch it, so the numbers are the seeds' own on any machine.
"""

import signal
import time

import pytest
from harness import SLOW, process_is_gone, raw_post, wait_until

EIGHT = "fake:text_embedding?weights=8GiB&context=0&scratch=0"


def test_leased_follows_the_life_of_a_model(serve):
    """Leased: 0, 8192 while a load runs that fails, 0, 8192 while it is loaded, 0 once evicted (F043)."""
    server = serve({"m": EIGHT + "&load=700ms&load_fail_times=1&load_fail=disk on fire"},
                   "--idle", "1", "--idle-label", "1")
    events = server.events()
    assert server.leased() == 0

    failing = server.later(server.embed)
    events.state("Loading")
    assert server.leased() == 8192
    answer = failing.result()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    events.state("Dead")
    assert server.leased() == 0

    loading = server.later(server.embed)
    events.state("Loading", count=2)
    assert server.leased() == 8192
    assert loading.result().status == 200
    server.wait_settled()
    assert server.leased() == 8192  # the weights are counted once, however many workers map them

    events.state("Dead", count=3)
    wait_until(lambda: server.leased() == 0, 5, "leased 0 after the last worker left")
    assert server.children() == {}


def test_fail_load_releases(serve):
    """A load that fails: Spawning, Loading, Failed, Dead; nothing stays (F003, F004)."""
    server = serve({"m": EIGHT + "&load_fail=tensor 'w' is missing"},
                   "--limit", "breaker_failures=9")
    events = server.events()
    for attempt in range(1, 4):
        answer = server.embed()
        assert answer.status == 500, answer
        assert answer.error["code"] == "model_load_failed"
        assert "tensor 'w' is missing" in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"
        events.state("Dead", count=attempt)
        worker = events.workers()[-1]
        assert events.states(worker) == ["Spawning", "Loading", "Failed", "Dead"]
        assert server.status()["memory"]["leased"] == 0
        assert server.workers() == []
        assert server.children() == {}
        assert server.model()["spawned"] == attempt
    assert "tensor 'w' is missing" in server.model()["problem"]


def test_a_failed_load_leaves_the_model_usable(serve):
    server = serve({"m": EIGHT + "&load_fail_times=2"})
    assert [server.embed().status for _ in range(3)] == [500, 500, 200]
    assert server.model()["problem"] is None


def test_idle_clock_not_in_load(serve):
    """A load of three times the idle time, beside traffic and maintenance, survives and answers (F040)."""
    server = serve({"m": EIGHT + "&load=3s", "other": "fake:text_embedding?weights=1GiB"},
                   "--idle", "1", "--idle-label", "1", "--max-workers", "1",
                   "--limit", "pressure_ms=100", "--limit", "ping_ms=200",
                   "--limit", "load_stall_ms=1s")
    events = server.events()
    began = time.monotonic()
    slow = server.later(server.embed)
    while not slow.done():
        assert server.embed(model="other").status == 200
        time.sleep(0.05)
    answer = slow.result()
    assert answer.status == 200, answer
    assert answer.ended - began >= 3
    (worker,) = events.workers()
    assert events.states(worker)[:4] == ["Spawning", "Loading", "Ready", "Processing"]
    seen = events.kinds("state")
    ended = [e["time_ms"] for e in seen if e["from"] == "Processing"][-1]
    assert all(e["time_ms"] - ended >= 1000 for e in seen if e["to"] == "Evicting")  # idle from there on


def test_slow_load_progress(serve):
    """A load is judged by its progress: slow is well, standing still for load_stall_ms is not (F012)."""
    server = serve({"slow": "fake:text_embedding?load=2s",
                    "stuck": "fake:text_embedding?hang=load"},
                   "--max-workers", "1", "--limit", "load_stall_ms=500")
    stuck = server.later(server.embed, model="stuck")
    assert server.embed(model="slow").status == 200
    answer = stuck.result()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "no progress" in answer.error["message"]
    assert server.model("stuck")["spawned"] == 2  # once more at once, then that is the answer
    assert server.model("slow")["spawned"] == 1


def test_idle_worker_answers_with_the_same_process(serve):
    server = serve({"m": EIGHT}, "--idle-label", "1", "--idle", "60", "--max-workers", "1")
    events = server.events()
    first = server.vector("same")
    pid = server.wait_workers(1, ["Ready"])[0]["pid"]
    events.state("Idle", seconds=5)
    (idle,) = server.workers()
    assert idle["state"] == "Idle" and idle["pid"] == pid and idle["idle_ms"] >= 1000
    assert server.vector("same") == first
    (after,) = server.workers()
    assert after["pid"] == pid and after["state"] == "Ready"
    assert events.states(events.workers()[0]) == [
        "Spawning", "Loading", "Ready", "Processing", "Ready", "Idle", "Processing", "Ready"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_drain_finishes_what_runs(serve, number):
    """SIGTERM and SIGINT drain (F240)."""
    server = serve({"m": EIGHT + "&script=yes"})
    server.vector("warm")
    pids = [w["pid"] for w in server.wait_settled()]
    events = server.events()
    running = server.later(server.embed, "!sleep 2s")
    server.wait_jobs(1)

    told = time.monotonic()
    server.signal(number)
    events.wait(lambda e: e["kind"] == "drain", 2, "the drain")
    refused = server.embed("too late")
    assert refused.status == 503, refused
    assert refused.error["code"] == "shutting_down"
    assert int(refused.headers["retry-after"]) >= 1
    ready = server.get("/health/ready")
    assert ready.status == 503, ready

    answer = running.result()
    assert answer.status == 200, answer
    assert server.wait_exit(10) == 0
    assert time.monotonic() - told < 5 * SLOW
    events.ended(5)
    workers = events.workers()
    assert len(workers) == 2
    for worker in workers:
        states = events.states(worker)
        assert states[-2:] == ["Evicting", "Dead"], states
    assert all(process_is_gone(pid) for pid in pids)


def test_drain_gives_up_at_its_limit(serve):
    """What does not finish in time is answered with an error, and the exit status is still 0 (F242, F248)."""
    server = serve({"m": EIGHT + "&script=yes"}, "--limit", "drain_ms=500")
    server.vector("warm")
    server.wait_settled()
    running = server.later(server.embed, "!sleep 60s")
    server.wait_jobs(1)
    told = time.monotonic()
    server.signal(signal.SIGTERM)
    answer = running.result()
    assert answer.status == 503 and answer.error["code"] == "shutting_down", answer
    assert server.wait_exit(5) == 0
    assert time.monotonic() - told < 5 * SLOW


def test_second_signal_ends_at_once(serve):
    """Nobody waits against their will (F245)."""
    server = serve({"m": EIGHT + "&script=yes&ignore_term=yes"}, "--limit", "drain_ms=30s")
    server.vector("warm")
    pids = [w["pid"] for w in server.wait_settled()]
    running = server.raw(raw_post({"model": "m", "input": "!sleep 60s"}))
    server.wait_jobs(1)
    server.signal(signal.SIGTERM)
    wait_until(lambda: server.get("/health/ready").status == 503, 3, "the drain")
    server.signal(signal.SIGTERM)
    told = time.monotonic()
    assert server.wait_exit(5) == 128 + signal.SIGTERM
    assert time.monotonic() - told < 1.5 * SLOW
    running.close()
    wait_until(lambda: all(process_is_gone(pid) for pid in pids), 1, "no worker left")
