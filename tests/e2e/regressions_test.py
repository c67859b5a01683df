"""What users of other servers reported, each as a test of the name that the specification gives it, and faults
that only the whole program shows."""

import http.client
import json
import os
import resource
import signal
import socket
import time

import pytest
from harness import (GiB, LIVING, MiB, SLOW, names_gib, program, raw_post, read_answers, state_machine,
                     wait_until)

TEXT = "fake:text_embedding"
WORDS = "fake:text_to_text?script=yes"
CHAT = "/v1/chat/completions"


def say(text, model="m", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def leave_and_see_it_free(server, connection, name="m", within=0.5):
    """Closes the connection of a running request; its worker is free within a step, and nothing waits."""
    worker = server.wait_jobs(1, name)[0]
    began = time.monotonic()
    connection.close()
    server.wait_jobs(0, name, seconds=within)
    print(f"free after {time.monotonic() - began:.3f} s")
    again = [w for w in server.workers(name) if w["id"] == worker["id"]]
    assert again and again[0]["pid"] == worker["pid"], "the worker itself goes on"
    assert server.model(name)["queue"] == 0


def test_pinned_pair_refuses_third(serve):
    """Pinned is pinned: the third model is refused with numbers, and nobody is touched."""
    server = serve({name: TEXT + "?weights=6GiB" for name in ("a", "b", "c")}, "--max-workers", "1")
    pids = {}
    for name in ("a", "b"):
        server.vector("warm", name)
        assert server.post("/weir/v1/pin", {"model": name}).status == 200
        pids[name] = server.wait_workers(1, name=name)[0]["pid"]
    answer = server.embed("x", "c")
    assert answer.status == 507, answer
    assert names_gib(6, answer.error["message"]) and names_gib(16, answer.error["message"]), answer
    assert answer.headers["x-should-retry"] == "false"
    assert {n: server.workers(n)[0]["pid"] for n in pids} == pids
    assert server.post("/weir/v1/unpin", {"model": "a"}).status == 200
    assert server.embed("x", "c").status == 200
    assert server.workers("b")[0]["pid"] == pids["b"]


def test_disconnect_decode(serve):
    """A client that leaves in the midst of a stream frees its worker within one step (F083)."""
    server = serve({"m": WORDS}, "--max-workers", "1")
    connection = server.raw(raw_post(say("!tokens 10000 20ms", stream=True), CHAT))
    seen = b""
    while seen.count(b"data: ") < 3:
        seen += connection.recv(4096)
    leave_and_see_it_free(server, connection)


def test_disconnect_prefill(serve):
    """The same before the first word has come."""
    server = serve({"m": WORDS + "&steps=500&step=20ms"}, "--max-workers", "1")
    leave_and_see_it_free(server, server.raw(raw_post(say("one two three", stream=True), CHAT)))
    server.wait_jobs(0)
    leave_and_see_it_free(server, server.raw(raw_post(say("one two three"), CHAT)))


def test_disconnect_diffusion(serve):
    """The same in the midst of the steps of an image."""
    server = serve({"m": "fake:text_to_image?steps=200&step=20ms"}, "--max-workers", "1")
    body = {"model": "m", "prompt": "a weir", "size": "64x64"}
    leave_and_see_it_free(server, server.raw(raw_post(body, "/v1/images/generations")))


def ask_from(server, address, text):
    """A request of another client: the pool knows clients by key or, without keys, by address."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60 * SLOW,
                                            source_address=(address, 0))
    try:
        connection.request("POST", "/v1/embeddings", json.dumps({"model": "m", "input": text}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic()
    finally:
        connection.close()


def test_fair_two_clients(serve):
    """One client floods; what the other asks meanwhile waits for a few, not for all (F139)."""
    server = serve({"m": TEXT + "?step=30ms"}, "--max-workers", "1")
    server.vector("warm")
    flood = [server.later(ask_from, server, "127.0.0.1", f"flood {i}") for i in range(80)]
    wait_until(lambda: server.model()["queue"] >= 60, 10, "the flood waits")
    waits = []
    for i in range(5):
        began = time.monotonic()
        status, ended = ask_from(server, "127.0.0.2", f"single {i}")
        assert status == 200
        waits.append(ended - began)
    still = server.model()["queue"]
    assert sorted(waits)[2] < 0.5 * SLOW, waits
    assert still > 20, "the flood had not run out"
    assert all(f.result()[0] == 200 for f in flood)


def test_pressure_evicts_the_idle(serve, tmp_path):
    """Others take the memory: the idle leave within one reading, what works goes on (F064)."""
    machine = state_machine(tmp_path / "stated", total=24 * GiB, available=20 * GiB)
    server = serve({"idle": TEXT + "?weights=2GiB", "busy": TEXT + "?weights=2GiB&script=yes"},
                   "--max-workers", "1", "--limit", "pressure_ms=200", machine=machine)
    server.vector("warm", "idle")
    server.vector("warm", "busy")
    events = server.events()
    running = server.later(server.embed, "!sleep 3s", "busy")
    server.wait_jobs(1, "busy")
    text = f"MemTotal: {24 * GiB // 1024} kB\nMemAvailable: {GiB // 1024} kB\n"
    (machine / "next").write_text(text)
    os.replace(machine / "next", machine / "proc/meminfo")
    wait_until(lambda: not server.workers("idle"), 3, "the idle worker left")
    assert server.status()["memory"]["pressure"] == "Critical"
    assert running.result().status == 200
    reasons = [e["reason"] for e in events.kinds("evict", "idle")]
    assert len(reasons) == 1 and "pressure" in reasons[0], reasons


def test_long_contexts_wait_for_their_slot(serve):
    """The memory of every slot is leased before the load: more requests wait, none adds to it (F069)."""
    server = serve({"m": WORDS + "&slots=2&context=1GiB"}, "--max-workers", "1")
    assert server.post(CHAT, say("warm")).status == 200
    leased = server.leased()
    running = [server.later(server.post, CHAT, say("!sleep 300ms")) for _ in range(8)]
    server.wait_jobs(2)
    wait_until(lambda: server.model()["queue"] == 6, 5, "six wait")
    assert server.leased() == leased
    assert [r.result().status for r in running] == [200] * 8


def resident(server):
    with open(f"/proc/{server.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_stalled_reader_costs_no_memory(serve):
    """A client that does not read its stream: the worker waits for credit, the server keeps little, and in the
    end the client is dropped (F070)."""
    server = serve({"m": WORDS + "&slots=4"}, "--max-workers", "1", "--limit", "client_stall_ms=1500")
    assert server.post(CHAT, say("warm")).status == 200
    connection = server.raw()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = resident(server)
    connection.sendall(raw_post(say("!tokens 1000000 0ms", stream=True), CHAT))
    server.wait_jobs(1)
    time.sleep(0.7)
    assert resident(server) - before < 8 * MiB
    assert server.post(CHAT, say("others go on")).status == 200
    server.wait_jobs(0, seconds=10)
    connection.close()


def test_no_memory_for_a_load(serve):
    """The system refuses what a load asks for: the load fails with the reason, nothing stays (F075)."""
    with open(program("weir"), "rb") as binary:
        if b"__asan_init" in binary.read():
            pytest.skip("the address sanitizer needs more address space than there would be")
    server = serve({"m": TEXT + "?weights=8GiB&touch=yes", "small": TEXT})
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_AS)
    resource.prlimit(server.pid, resource.RLIMIT_AS, (4 * GiB, hard))
    try:
        answer = server.embed("x")
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_AS, (soft, hard))
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    server.wait_workers(0)
    wait_until(lambda: server.leased() == 0, 5, "nothing is leased")
    assert server.embed("x", "small").status == 200


def counted(server, outcome):
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith("weir_requests_total{") and f'outcome="{outcome}"' in line:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def test_abandoned_requests_are_counted(serve):
    """Who leaves before the answer is counted as such (F081)."""
    server = serve({"m": TEXT + "?step=200ms&steps=50"}, "--max-workers", "1")
    connection = server.raw(raw_post({"model": "m", "input": "x"}))
    server.wait_jobs(1)
    connection.close()
    wait_until(lambda: counted(server, "cancelled") == 1, 5, "one cancelled request")
    assert counted(server, "ok") == 0


def test_drain_waits_for_a_stream(serve):
    """A stream in the midst of its words is let finish, and ends as it should (F243)."""
    server = serve({"m": WORDS}, "--max-workers", "1")
    stream = server.later(server.post, CHAT, say("!tokens 40 20ms", stream=True))
    server.wait_jobs(1)
    server.signal(signal.SIGTERM)
    answer = stream.result()
    assert answer.status == 200 and answer.body.decode().rstrip().endswith("data: [DONE]"), answer
    assert server.wait_exit(5) == 0


def test_drain_answers_an_upload(serve):
    """Who is still sending when the drain ends is told why, not just cut off."""
    server = serve({"m": TEXT})
    upload = server.raw(raw_post({"model": "m", "input": "x" * 1000})[:-10])
    wait_until(lambda: b"weir_http_in_flight 2\n" in server.get("/metrics").body, 5, "its head is read")
    server.signal(signal.SIGTERM)
    upload.settimeout(10 * SLOW)
    [(status, headers, body)] = read_answers(upload, 1)
    assert status == 503 and json.loads(body)["error"]["code"] == "shutting_down", body
    assert headers["connection"] == "close" and int(headers["retry-after"]) >= 1
    upload.close()
    assert server.wait_exit(5) == 0


def test_workers_left_alone_by_a_flood_of_pings(serve):
    """Pings of a quiet worker and the requests of a busy one do not meet: nobody is lost (F119, LIVING all along)."""
    server = serve({"m": WORDS + "&slots=2"}, "--limit", "ping_ms=50", "--limit", "pong_ms=1000",
                   "--max-workers", "1")
    assert server.post(CHAT, say("warm")).status == 200
    pid = server.workers()[0]["pid"]
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert server.post(CHAT, say("a b c")).status == 200
        time.sleep(0.06)
    assert [w["pid"] for w in server.workers("m", LIVING)] == [pid]
