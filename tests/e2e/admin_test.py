"""Steering a running server: load, unload, pin, plan, and the requests that wait or run."""

import json
import socket
import time

import pytest
from harness import LIVING, SLOW, process_is_gone, wait_until

FAKE = "fake:text_embedding"
LONG = "?steps=600&step=100ms"  # a minute, unless it is cancelled


def load(server, model="m", **fields):
    return server.post("/weir/v1/load", {"model": model, **fields})


def unload(server, model="m"):
    return server.post("/weir/v1/unload", {"model": model})


def requests(server):
    answer = server.get("/weir/v1/requests")
    assert answer.status == 200, answer
    assert answer.json["count"] == len(answer.json["requests"])
    return answer.json["requests"]


def named(server, text, name, model="m"):
    """A request under way, by the name it was given."""
    running = server.later(server.embed, text, model, {"x-request-id": name})
    wait_until(lambda: [r for r in requests(server) if r["id"] == name], 5, f"request {name}")
    return running


# --- load and unload ------------------------------------------------------------------------------

def test_load_answers_when_ready(serve):
    server = serve({"m": FAKE + "?load=400ms"}, "--max-workers", "1")
    began = time.monotonic()
    answer = load(server)
    assert answer.status == 200, answer
    assert time.monotonic() - began >= 0.4
    assert answer.json["model"] == "m" and answer.json["loaded"] is True
    assert answer.json["total_ms"] >= 400
    assert [w["state"] for w in server.workers()] == ["Ready"]
    began = time.monotonic()
    assert load(server).status == 200  # it is there already
    assert time.monotonic() - began < 0.4 * SLOW
    assert server.model()["spawned"] == 1


def test_load_failures_name_their_reason(serve):
    server = serve({"m": FAKE + "?load_fail=tensor+t7+is+missing",
                    "big": FAKE + "?weights=100GiB"})
    answer = load(server)
    assert answer.status == 500, answer
    assert answer.error["code"] == "model_load_failed"
    assert "t7" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    answer = load(server, "big")
    assert answer.status == 507 and answer.error["code"] == "model_too_large", answer


@pytest.mark.parametrize("path", ["load", "unload", "pin", "unpin"])
def test_orders_refuse_what_is_wrong(serve, path):
    server = serve({"m": FAKE})
    path = "/weir/v1/" + path
    answer = server.post(path, {"model": "none"})
    assert answer.status == 404, answer
    assert answer.error["code"] == "model_not_found" and answer.error["param"] == "model"
    assert server.post(path, {}).status == 400
    assert server.post(path, {"model": 7}).status == 400
    assert server.post(path, []).status == 400
    assert server.post(path, "{").status == 400
    answer = server.get(path)
    assert answer.status == 405 and answer.headers["allow"] == "POST, OPTIONS", answer


def test_unload_answers_when_gone(serve):
    server = serve({"m": FAKE}, "--max-workers", "1")
    assert load(server).status == 200
    pid = server.workers()[0]["pid"]
    answer = unload(server)
    assert answer.status == 200, answer
    assert answer.json == {"model": "m", "unloaded": True, "workers": 1}
    assert process_is_gone(pid)
    assert server.leased() == 0
    assert unload(server).json["workers"] == 0
    assert len(server.vector("again")) == 384  # it is still registered


def test_unload_by_an_alias_answers_when_gone(serve, tmp_path):
    path = tmp_path / "weir.conf"
    path.write_text(f"[model m]\npath = {FAKE}\nalias = nick\nmax_workers = 1\n")
    server = serve({}, "--config", path)
    assert load(server, "nick").status == 200
    pid = server.workers()[0]["pid"]
    answer = unload(server, "nick")
    assert answer.json == {"model": "nick", "unloaded": True, "workers": 1}, answer
    assert process_is_gone(pid)


def test_unload_waits_for_a_running_request(serve):
    server = serve({"m": FAKE + "?steps=10&step=100ms"}, "--max-workers", "1")
    assert load(server).status == 200
    running = server.later(server.embed, "the last words")
    server.wait_jobs(1)
    leaving = server.later(unload, server)
    wait_until(lambda: server.workers(states=("Evicting",)), 5, "the worker leaves")
    assert not leaving.done()
    answer, left = running.result(), leaving.result()
    assert answer.status == 200 and left.status == 200, (answer, left)
    assert left.ended > answer.ended - 0.2 * SLOW  # read by two threads of the test
    assert server.workers(states=LIVING + ("Evicting",)) == []


def test_a_client_that_gives_up_an_unload_costs_nothing(serve):
    server = serve({"m": FAKE + LONG}, "--max-workers", "1")
    running = named(server, "busy", "busy-1")
    server.wait_jobs(1)
    body = json.dumps({"model": "m"}).encode()
    sock = server.raw(b"POST /weir/v1/unload HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                      b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    wait_until(lambda: server.workers(states=("Evicting",)), 5, "the worker leaves")
    sock.close()
    assert server.request("DELETE", "/weir/v1/requests/busy-1").status == 200
    assert running.result().status == 499
    wait_until(lambda: not server.children(), 10, "the worker is gone")
    assert server.get("/health/live").status == 200


# --- pin and plan ---------------------------------------------------------------------------------

def test_a_pinned_model_stays(serve):
    server = serve({"m": FAKE + "?weights=100MiB", "other": FAKE + "?weights=100MiB"},
                   "--max-workers", "1", "--limit", "min_stay_ms=0", memory="150MiB")
    assert load(server).status == 200
    answer = server.post("/weir/v1/pin", {"model": "m"})
    assert answer.status == 200 and answer.json == {"model": "m", "pinned": True}, answer
    worker = server.workers()[0]["id"]
    answer = server.embed("push", "other", {"x-weir-deadline-ms": str(int(700 * SLOW))})
    assert answer.status in (503, 507), answer
    assert [w["id"] for w in server.workers()] == [worker]
    answer = server.post("/weir/v1/unpin", {"model": "m"})
    assert answer.status == 200 and answer.json == {"model": "m", "pinned": False}, answer
    assert server.embed("push", "other").status == 200
    assert server.workers() == []


def test_plan_tells_and_changes_nothing(serve):
    server = serve({"a/b:c": FAKE + "?weights=100MiB"})
    for query in ("model=a/b:c", "model=a%2Fb%3Ac", "x=1&model=a%2fb:c&model=z"):
        answer = server.get("/weir/v1/plan?" + query)
        assert answer.status == 200, answer
        assert answer.json["verdict"] == "grant", answer
        assert answer.json["budget"] == server.status()["memory"]["budget"]
    assert server.model("a/b:c")["spawned"] == 0
    assert server.get("/weir/v1/plan?model=none").status == 404
    for query in ("", "?", "?model=", "?models=m", "?model=%zz", "?model=%00"):
        answer = server.get("/weir/v1/plan" + query)
        assert answer.status == 400 and answer.error["param"] == "model", (query, answer)
    assert server.post("/weir/v1/plan", {}).status == 405


# --- requests -------------------------------------------------------------------------------------

def test_requests_are_listed_where_they_stand(serve):
    server = serve({"m": FAKE + LONG}, "--max-workers", "1")
    assert requests(server) == []
    first = named(server, "one", "r-one")
    server.wait_jobs(1)
    others = [named(server, text, name) for text, name in (("two", "r-two"), ("three", "r-three"))]
    rows = requests(server)
    assert [row["id"] for row in rows] == ["r-one", "r-two", "r-three"]
    for row in rows:
        assert row["route"] == "/v1/embeddings" and row["model"] == "m", row
        assert row["client"] == "127.0.0.1" and row["age_ms"] >= 0, row
    assert [row["state"] for row in rows] == ["running", "waiting", "waiting"]
    assert rows[2]["position"] == rows[1]["position"] + 1
    assert all(row["predicted_wait_ms"] >= 0 for row in rows)
    one = server.get("/weir/v1/requests/r-two").json
    assert (one["id"], one["state"], one["position"]) == ("r-two", "waiting", rows[1]["position"])
    for name in ("r-two", "r-one", "r-three"):
        assert server.request("DELETE", f"/weir/v1/requests/{name}").status == 200
    for request in [first, *others]:
        assert request.result().status == 499
    assert requests(server) == []


def test_unknown_requests_are_404(serve):
    server = serve({"m": FAKE})
    done = server.embed("over", headers={"x-request-id": "over-1"})
    assert done.status == 200 and done.headers["x-request-id"] == "over-1"
    for name in ("over-1", "never", "%2e%2e", "a" * 400):
        for method in ("GET", "DELETE"):
            answer = server.request(method, f"/weir/v1/requests/{name}")
            assert answer.status == 404 and answer.error["code"] == "not_found", answer
    answer = server.request("PUT", "/weir/v1/requests/x")
    assert answer.status == 405, answer
    assert answer.headers["allow"] == "GET, HEAD, DELETE, OPTIONS"


def test_delete_of_a_waiting_request(serve):
    server = serve({"m": FAKE + LONG}, "--max-workers", "1")
    first = named(server, "one", "first")
    server.wait_jobs(1)
    second = named(server, "two", "second")
    answer = server.request("DELETE", "/weir/v1/requests/second")
    assert answer.status == 200 and answer.json == {"id": "second", "cancelled": True}, answer
    ended = second.result()
    assert ended.status == 499 and ended.error["code"] == "cancelled", ended
    assert ended.headers["x-request-id"] == "second"
    assert server.model()["queue"] == 0
    assert server.get("/weir/v1/requests/second").status == 404
    assert not first.done()  # nobody else noticed
    assert server.request("DELETE", "/weir/v1/requests/first").status == 200
    assert first.result().status == 499


def test_delete_of_a_running_request(serve):
    """The worker is free within a step, and answers the next request."""
    step = 0.1
    server = serve({"m": FAKE + LONG}, "--max-workers", "1")
    running = named(server, "one", "only")
    worker = server.wait_jobs(1)[0]
    began = time.monotonic()
    assert server.request("DELETE", "/weir/v1/requests/only").status == 200
    ended = running.result()
    assert ended.status == 499 and ended.error["code"] == "cancelled", ended
    wait_until(lambda: server.workers()[0]["jobs"] == 0, 5, "the worker is idle")
    assert time.monotonic() - began < (step + 0.3) * SLOW
    assert server.workers()[0]["id"] == worker["id"]
    assert server.request("DELETE", "/weir/v1/requests/only").status == 404


# --- events ---------------------------------------------------------------------------------------

def test_a_reader_of_events_that_does_not_read_is_dropped(serve):
    """What waits for it is bounded; nobody else notices."""
    server = serve({"m": FAKE}, "--limit", "unsent_bytes=4096", "--max-workers", "1")
    events = server.events()
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        lazy.settimeout(20 * SLOW)
        lazy.connect((server.host, server.port))
        lazy.sendall(b"GET /weir/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert lazy.recv(1) == b"H"

        def dropped():
            server.vector("one more event")
            return [line for line in server.log if line and "dropped" in line]
        line = wait_until(dropped, 20, "the lazy reader is dropped")[0]
        assert " warn " in line and "unsent_bytes=4096" in line, line
        # The connection is over, and so is what was unsent.
        with pytest.raises(ConnectionError):
            while lazy.recv(65536):
                pass
            raise ConnectionResetError("it was closed")
    server.vector("the last one")
    wait_until(lambda: [e for e in events.seen if e["to"] == "Processing"], 5, "the other one reads")
    assert all("request" in event for event in events.seen)


# --- what a request may say of itself, and what is said of it -------------------------------------

def test_priority_and_keep_alive_are_checked(serve):
    server = serve({"m": FAKE})
    for fields in ({"priority": "high"}, {"priority": "batch"}, {"priority": None}):
        assert server.embed("x", **fields).status == 200, fields
    for fields in ({"priority": "urgent"}, {"priority": 1}, {"keep_alive": "soon"},
                   {"keep_alive": True}, {"keep_alive": "1 week"}, {"keep_alive": [5]}):
        answer = server.embed("x", **fields)
        assert answer.status == 400 and answer.error["param"] in fields, (fields, answer)


def test_keep_alive_ends_or_keeps_a_model(serve):
    server = serve({"m": FAKE}, "--max-workers", "1", "--idle", "1", "--idle-label", "1")
    assert server.embed("x", keep_alive=0).status == 200
    server.wait_workers(0, seconds=0.8)
    for forever in (-1, "-1m"):
        assert server.embed("x", keep_alive=forever).status == 200
        time.sleep(1.5)
        assert len(server.workers()) == 1
    assert server.embed("x", keep_alive="100ms").status == 200
    server.wait_workers(0, seconds=0.8)


def access_line(server, name):
    def found():
        rows = [json.loads(line) for line in list(server.log) if line and line.startswith("{")]
        return [row for row in rows if row.get("id") == name]
    return wait_until(found, 5, f"the line of request {name}")[0]


def test_every_request_has_its_line(serve):
    server = serve({"m": FAKE + "?load_fail=broken-scale", "ok": FAKE}, "--log", "json")
    answer = server.embed("two words", "ok", {"x-request-id": "42"})
    assert answer.status == 200 and int(answer.headers["x-weir-queued-ms"]) >= 0
    row = access_line(server, "42")
    assert row["level"] == "info" and row["text"].startswith("http: POST /v1/embeddings id=42 ")
    assert row["route"] == "/v1/embeddings" and row["model"] == "ok" and row["status"] == 200
    assert row["client"] == "127.0.0.1" and row["bytes"] == len(answer.body)
    assert row["queued_ms"] == int(answer.headers["x-weir-queued-ms"])
    assert row["total_ms"] >= row["queued_ms"]
    assert row["tokens_in"] == answer.json["usage"]["prompt_tokens"] and row["tokens_out"] == 0
    assert server.embed("x", "m", {"x-request-id": "bad"}).status == 500
    row = access_line(server, "bad")
    assert row["level"] == "warn" and row["status"] == 500
    assert "broken-scale" in row["problem"]
    assert server.embed("x", "none", {"x-request-id": "lost"}).status == 404
    row = access_line(server, "lost")
    assert row["status"] == 404 and row["tokens_in"] is None and row["queued_ms"] is None
    for name, shown in (("x" * 5000, "x" * 256), ("a status=200\x7f", "a?status=200?")):
        assert server.embed("x", name, {"x-request-id": "odd-" + shown[0]}).status == 404
        row = access_line(server, "odd-" + shown[0])
        assert row["model"] == shown and row["status"] == 404 and row["client"] == "127.0.0.1"
