"""Workers, and the server itself, that crash, hang, speak garbage or are killed."""

import os
import signal
import threading
import time

import pytest
from harness import SLOW, Traffic, process_is_gone, wait_until

FAKE = "fake:text_embedding"


def settled_spawned(server, name="m"):
    """How many workers were started, once none is starting."""
    wait_until(lambda: not server.workers(name, ("Spawning", "Loading", "Evicting", "Failed")), 10,
               f"no worker of '{name}' starts or leaves")
    return server.model(name)["spawned"]


def test_kill9_worker_midstream(serve):
    """A worker killed under a request costs nobody anything: another answers (F082, F120)."""
    server = serve({"m": FAKE + "?steps=10&step=100ms"})
    expected = server.vector("precious")
    server.wait_settled()
    events = server.events()
    running = server.later(server.embed, "precious")
    victim = server.wait_jobs(1)[0]
    os.kill(victim["pid"], signal.SIGKILL)
    answer = running.result()
    assert answer.status == 200, answer
    assert answer.vectors == [expected]
    events.state("Dead", worker=victim["id"])
    # Its channel may be seen to close before its exit is collected: then it leaves by way of Evicting.
    states = events.states(victim["id"])
    assert states in (["Processing", "Dead"], ["Processing", "Evicting", "Dead"])
    assert [e["worker"] for e in events.kinds("retry")] == [victim["id"]]
    assert "9" in events.kinds("retry")[0]["reason"]  # the signal is named


def test_kill9_every_worker_of_a_queue(serve):
    """Both workers die under load; every request is retried and right."""
    server = serve({"m": FAKE + "?steps=5&step=50ms&slots=4"})
    texts = [f"text {i}" for i in range(12)]
    expected = [server.vector(text) for text in texts]
    workers = server.wait_settled()
    running = [server.later(server.embed, text) for text in texts]
    server.wait_jobs(8)
    wait_until(lambda: server.model()["queue"] == 4, 2, "the others wait")  # else they meet the back-off
    for worker in workers:
        os.kill(worker["pid"], signal.SIGKILL)
    for request, vector in zip(running, expected):
        answer = request.result()
        assert answer.status == 200, answer
        assert answer.vectors == [vector]


def test_poison_request(serve):
    """An input that ends two workers is refused, at once from then on; nobody else notices."""
    server = serve({"m": FAKE + "?script=yes", "other": FAKE})
    server.vector("warm")
    server.wait_settled()
    events = server.events()
    with Traffic(server, "other"):
        answer = server.embed("!crash")
        assert answer.status == 422, answer
        assert answer.error["code"] == "input_quarantined"
        assert answer.headers["x-should-retry"] == "false"
        events.state("Dead", count=2)
        wait_until(lambda: len(events.kinds("quarantine")) == 1, 5, "the event of the quarantine")
        spawned = settled_spawned(server)

        again = server.embed("!crash")
        assert again.status == 422 and again.error["code"] == "input_quarantined", again
        assert server.model()["spawned"] == spawned
        dead = [e for e in events.kinds("state") if e["to"] == "Dead"]
        assert len(dead) == 2
        # The model itself is well, once its restart is due.
        wait_until(lambda: server.embed("healthy").status == 200, 5, "the model answers again")
    assert server.model()["breaker"] == "closed"


def test_neighbours_of_poison_are_not_blamed(serve):
    """Four requests share one worker, one of them kills it: the other three are answered."""
    server = serve({"m": FAKE + "?script=yes&slots=4&step=700ms"}, "--max-workers", "1")
    texts = ["left", "right", "opposite"]
    expected = [server.vector(text) for text in texts]
    neighbours = [server.later(server.embed, text) for text in texts]
    server.wait_jobs(3)
    poison = server.later(server.embed, "!crash")
    server.wait_jobs(4)
    for request, vector in zip(neighbours, expected):
        answer = request.result()
        assert answer.status == 200, answer
        assert answer.vectors == [vector]
    answer = poison.result()
    assert answer.status == 422, answer


def test_kill9_server_no_orphans(serve):
    """Idle, working, hung and loading workers: none outlives the server by a second (F035)."""
    server = serve({"idle": FAKE, "busy": FAKE + "?script=yes", "hung": FAKE + "?script=yes",
                    "loading": FAKE + "?load=60s", "deaf": FAKE + "?ignore_term=yes",
                    "stuck": FAKE + "?hang=load"})
    for name in ("idle", "busy", "hung", "deaf"):
        server.vector("warm", name)
        server.wait_settled(name)
    for name, text in (("busy", "!sleep 60s"), ("hung", "!hang"), ("loading", "x"), ("stuck", "x")):
        server.later(lambda n, t: ignore_broken(server.embed, t, n), name, text)
    server.wait_jobs(1, "busy")
    server.wait_jobs(1, "hung")
    server.wait_workers(1, ["Loading"], name="loading")
    server.wait_workers(1, ["Loading"], name="stuck")
    pids = list(server.children())
    assert len(pids) == 10
    server.signal(signal.SIGKILL)
    assert server.wait_exit(5) == -signal.SIGKILL
    wait_until(lambda: all(process_is_gone(pid) for pid in pids), 1, "no orphan")


def ignore_broken(call, *arguments):
    try:
        return call(*arguments)
    except OSError:
        return None


def test_hundred_cold_requests_two_spawns(serve):
    """A burst of first requests has one spawner (F001, F017)."""
    server = serve({"m": FAKE + "?load=200ms&slots=32"})
    texts = [f"request number {i}" for i in range(100)]
    gate = threading.Barrier(len(texts))

    def ask(text):
        gate.wait(20 * SLOW)
        return server.embed(text)

    answers = [future.result() for future in [server.later(ask, text) for text in texts]]
    assert [a.status for a in answers] == [200] * 100
    server.wait_settled()
    assert settled_spawned(server) == 2
    vectors = [a.vectors[0] for a in answers]
    assert vectors == [server.vector(text) for text in texts]
    assert len({tuple(v) for v in vectors}) == 100
    assert server.model()["spawned"] == 2


def test_hang_is_found_by_lack_of_progress(serve):
    """A worker that does not move is replaced, whatever its ping says (F085, F116)."""
    server = serve({"m": FAKE + "?script=yes&slots=4", "other": FAKE},
                   "--limit", "job_stall_ms=1000")
    server.vector("warm")
    server.wait_settled()
    events = server.events()
    with Traffic(server, "other"):
        running = server.later(server.embed, "!hang")
        first = server.wait_jobs(1)[0]
        answer = running.result()
        assert answer.status == 422 and answer.error["code"] == "input_quarantined", answer
        assert "no progress" in answer.error["message"]
        assert len(events.kinds("retry")) == 1
        events.state("Dead", count=2)
        assert process_is_gone(first["pid"])
        assert events.states(first["id"]) == ["Processing", "Evicting", "Dead"]
        assert server.embed("!hang").status == 422


def test_busy_long_job_not_killed(serve):
    """Long is not hung: a job of twice job_stall_ms that goes on in steps is answered (F119)."""
    server = serve({"m": FAKE + "?steps=20&step=100ms"}, "--limit", "job_stall_ms=1000",
                   "--limit", "pressure_ms=100", "--max-workers", "1")
    assert server.embed().status == 200
    assert server.model()["spawned"] == 1


def test_health_truth(serve):
    """A stopped worker is found by the ping that it does not answer, though nobody asked for it (F034)."""
    server = serve({"m": FAKE}, "--max-workers", "1", "--limit", "ping_ms=300",
                   "--limit", f"pong_ms={int(500 * SLOW)}")
    expected = server.vector("after")
    worker = server.wait_workers(1, ["Ready"])[0]
    events = server.events()
    os.kill(worker["pid"], signal.SIGSTOP)
    gone = events.state("Dead", worker=worker["id"], seconds=5)
    assert events.states(worker["id"]) == ["Evicting", "Dead"]
    assert "ping" in events.kinds("state")[0]["reason"], gone
    assert process_is_gone(worker["pid"])
    assert server.vector("after") == expected
    assert server.workers()[0]["pid"] != worker["pid"]


def test_stopped_busy_worker_is_replaced(serve):
    """SIGSTOP under a request: no progress, so it is killed and the request answered elsewhere (F118)."""
    server = serve({"m": FAKE + "?steps=10&step=50ms"}, "--limit", "job_stall_ms=700")
    expected = server.vector("kept")
    server.wait_settled()
    running = server.later(server.embed, "kept")
    victim = server.wait_jobs(1)[0]
    os.kill(victim["pid"], signal.SIGSTOP)
    answer = running.result()
    assert answer.status == 200 and answer.vectors == [expected], answer
    wait_until(lambda: process_is_gone(victim["pid"]), 5, "the stopped worker is gone")


@pytest.mark.parametrize("place", ["hello", "plan"])
def test_garbage_instead_of_a_start(serve, place):
    server = serve({"m": FAKE + f"?garbage={place}", "other": FAKE})
    with Traffic(server, "other"):
        events = server.events()
        answer = server.embed()
        assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
        assert answer.headers["x-should-retry"] == "false"
        events.state("Dead", count=2)
        for worker in events.workers():
            assert events.states(worker) == ["Spawning", "Failed", "Dead"]
        assert server.model()["spawned"] == 2
        assert server.workers() == []


def test_garbage_instead_of_a_result(serve):
    server = serve({"m": FAKE + "?garbage=result", "other": FAKE})
    with Traffic(server, "other"):
        events = server.events()
        answer = server.embed()
        assert answer.status == 422 and answer.error["code"] == "input_quarantined", answer
        assert len(events.kinds("retry")) == 1


def test_garbage_by_order_is_the_requests_own_fault(serve):
    server = serve({"m": FAKE + "?script=yes"})
    expected = server.vector("sense")
    assert server.embed("!garbage").status == 422
    wait_until(lambda: server.embed("sense").status == 200, 5, "the model answers again")
    assert server.vector("sense") == expected


def test_crash_while_loading(serve):
    """Started once more at once; the second crash is the answer, and memory is back (F014)."""
    server = serve({"m": FAKE + "?crash=load", "other": FAKE})
    with Traffic(server, "other"):
        events = server.events()
        answer = server.embed()
        assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
        assert "died while loading" in answer.error["message"]
        events.state("Dead", count=2)
        refused = server.embed()
        assert refused.status == 503 and refused.error["code"] == "model_unavailable", refused
        assert int(refused.headers["retry-after"]) >= 1
        for worker in events.workers():
            assert events.states(worker) == ["Spawning", "Loading", "Failed", "Dead"]


@pytest.mark.parametrize("place", ["start", "step:2"])
def test_crash_elsewhere(serve, place):
    server = serve({"m": FAKE + f"?crash={place}&steps=3"})
    answer = server.embed()
    expected = (500, "model_load_failed") if place == "start" else (422, "input_quarantined")
    assert (answer.status, answer.error["code"]) == expected, answer
    wait_until(lambda: server.leased() == 0 or server.workers(), 5, "memory is back")


def test_crash_every_other_job(serve):
    """A worker that dies at each second job: every request is answered all the same."""
    server = serve({"m": FAKE + "?crash=every:2"}, "--limit", "breaker_failures=100")
    expected = server.vector("again")
    assert server.vector("again") == expected
    assert server.model()["spawned"] >= 2


def test_hang_at_the_start(serve):
    server = serve({"m": FAKE + "?hang=start"}, "--limit", "hello_ms=500")
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "did not say its plan within 500 ms" in answer.error["message"]


def test_plan_that_fails(serve):
    """The reason reaches the caller with the name of the model (F093)."""
    server = serve({"m": FAKE + "?plan_fail=no such architecture", "other": FAKE})
    events = server.events()
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "no such architecture" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    events.state("Dead")
    assert events.states(events.workers()[0]) == ["Spawning", "Failed", "Dead"]
    assert server.leased() == 0
    assert server.embed(model="other").status == 200


def test_stated_failure_of_a_request(serve):
    """A model that says no to a request loses neither its worker nor its neighbours (F086)."""
    server = serve({"m": FAKE + "?script=yes&slots=4"}, "--max-workers", "1")
    server.vector("warm")
    pid = server.workers()[0]["pid"]
    answer = server.embed("!fail the sum is not finite")
    assert answer.status == 500 and answer.error["code"] == "model_failed", answer
    assert "the sum is not finite" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert server.embed("fine").status == 200
    assert server.workers()[0]["pid"] == pid


def test_breaker_opens_and_closes(serve):
    """Failures in a row stop the requests, probes let them in again (F019, F092)."""
    server = serve({"m": FAKE + "?script=yes", "other": FAKE}, "--limit", "breaker_failures=3",
                   "--limit", "breaker_open_ms=700", "--limit", "breaker_probes=2")
    server.vector("warm")
    server.wait_settled()
    for _ in range(3):
        assert server.embed("!fail once more").status == 500
    assert server.model()["breaker"] == "open"
    refused = server.embed("fine")
    assert refused.status == 503 and refused.error["code"] == "model_unavailable", refused
    assert "once more" in refused.error["message"]
    assert int(refused.headers["retry-after"]) >= 1
    assert server.embed(model="other").status == 200
    wait_until(lambda: server.embed("fine").status == 200, 5, "a probe is let through")
    assert server.model()["breaker"] == "half_open"
    assert server.embed("fine").status == 200
    assert server.model()["breaker"] == "closed"


def test_breaker_remembers_why_after_another_load(serve):
    """The load of a second worker succeeds: that is no news of the requests that failed."""
    server = serve({"m": FAKE + "?script=yes&load=500ms"}, "--limit", "breaker_failures=3")
    server.vector("warm")
    server.wait_workers(1, ["Loading"])
    for _ in range(3):
        assert server.embed("!fail once more").status == 500
    server.wait_settled()
    refused = server.embed("fine")
    assert refused.status == 503 and "once more" in refused.error["message"], refused


def test_unknown_option_of_a_fake_model(serve):
    """What cannot be inspected is listed with its problem, and the server goes on."""
    server = serve({"m": FAKE + "?colour=blue", "other": FAKE})
    assert "colour" in server.model()["problem"]
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "colour" in answer.error["message"]
    assert server.model()["spawned"] == 0
    assert server.embed(model="other").status == 200


def test_worker_cannot_be_started(serve, tmp_path):
    """No worker program where $WEIR_WORKER says: the answer says so, and the server lives (F013)."""
    server = serve({"m": FAKE}, WEIR_WORKER=str(tmp_path / "nowhere"), wait_ready=False)
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert server.get("/health/live").status == 200


def test_many_faults_at_once(serve):
    """Every kind of misbehaviour beside a model that behaves, which answers throughout (F110)."""
    faults = {"crash": "?crash=load", "hang": "?hang=step:1", "garbage": "?garbage=result",
              "plan": "?plan_fail=no", "load": "?load_fail=no", "start": "?crash=start"}
    server = serve({"other": FAKE, **{name: FAKE + option for name, option in faults.items()}},
                   "--limit", "job_stall_ms=700")
    with Traffic(server, "other"):
        answers = {name: server.later(server.embed, model=name) for name in faults}
        statuses = {name: answer.result().status for name, answer in answers.items()}
        assert statuses == {"crash": 500, "hang": 422, "garbage": 422, "plan": 500, "load": 500,
                            "start": 500}
        time.sleep(0.1)
    assert server.model("other")["problem"] is None
