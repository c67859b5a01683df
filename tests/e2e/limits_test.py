"""Limits of the server that bound all clients together, and each alone over time."""

import http.client
import json

from harness import MiB, SLOW, raw_post, read_all, read_answers, wait_until

FAKE = "fake:text_embedding?dim=8&script=yes&slots=8"


def padded(bytes_):
    """A request whose body has so many bytes."""
    body = json.dumps({"model": "m", "input": "x"}).encode()
    body = body[:-1] + b" " * (bytes_ - len(body)) + b"}"
    head = ("POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def has_bodies(server, connection):
    """Whether a large request finds no room, in which case it does not have to be sent."""
    head = padded(500 * 1024).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    connection.sendall(head)
    connection.settimeout(0.2 * SLOW)
    try:
        return connection.recv(65536)
    except TimeoutError:
        return b""


def test_bodies_together_are_bounded(serve):
    """A large body has no room beside another one, small ones always have; it is said at once, and again
    while it arrives where its length was not known."""
    server = serve({"m": FAKE}, "--limit", "body_bytes=1MiB", "--limit", "bodies_bytes=1MiB")
    first = padded(700 * 1024)
    holding = server.raw(first[:-1])

    def refused():
        connection = server.raw()
        answer = has_bodies(server, connection)
        connection.close()
        return answer
    answer = wait_until(refused, 10, "no room for a second large body")
    assert b" 503 " in answer and b"\r\nRetry-After: " in answer and b"bodies_bytes" in answer
    assert b"no_memory_now" in answer and b"Connection: close" in answer

    chunk = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
    chunked = server.raw(b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8)
    assert b"bodies_bytes" in read_all(chunked)
    chunked.close()
    assert server.embed("small").status == 200
    assert server.embed(" " * 60000 + "x").status == 200

    holding.sendall(first[-1:])
    assert read_answers(holding, 1)[0][0] == 200
    holding.sendall(padded(900 * 1024))
    assert read_answers(holding, 1)[0][0] == 200
    holding.close()


def test_bodies_of_clients_that_left_are_forgotten(serve):
    server = serve({"m": FAKE}, "--limit", "body_bytes=1MiB", "--limit", "bodies_bytes=1MiB")
    for _ in range(5):
        server.raw(padded(900 * 1024)[:-1]).close()
    assert wait_until(lambda: server.embed(" " * (900 * 1024) + "x").status == 200, 10, "room again")


def test_a_body_that_nobody_reads_is_not_kept(serve):
    """A stream of events may last for days; the body that came with its request takes no room of others."""
    server = serve({"m": FAKE}, "--limit", "body_bytes=1MiB", "--limit", "bodies_bytes=1MiB")
    size = 900 * 1024
    reader = server.raw(b"GET /weir/v1/events HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: %d\r\n\r\n" % size + b" " * size)
    reader.settimeout(10 * SLOW)
    assert reader.recv(15) == b"HTTP/1.1 200 OK"
    assert server.embed(" " * size + "x").status == 200
    reader.close()


def test_a_body_that_was_read_is_not_kept(serve):
    """An unload waits for what runs."""
    server = serve({"m": FAKE, "n": FAKE}, "--max-workers", "1", "--limit", "body_bytes=1MiB", "--limit",
                   "bodies_bytes=1MiB")
    server.later(server.embed, "!sleep 60s", headers={"x-request-id": "running"})
    server.wait_jobs(1)
    padding = " " * (900 * 1024)
    unloading = server.later(server.post, "/weir/v1/unload", {"model": "m", "padding": padding})
    wait_until(lambda: server.model()["workers"][0]["state"] == "Evicting", 10, "it leaves")
    assert server.embed(padding + "x", model="n").status == 200
    assert server.request("DELETE", "/weir/v1/requests/running").status == 200
    assert unloading.result().json == {"model": "m", "unloaded": True, "workers": 1}


def test_a_client_that_leaves_behind_much_is_noticed(serve):
    """What it sent ahead must not hide its end: its request is cancelled."""
    server = serve({"m": FAKE}, "--max-workers", "1")
    server.vector("x")
    connection = server.raw(raw_post({"model": "m", "input": "!sleep 60s"}))
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 1, 5, "it runs")
    connection.sendall(raw_post({"model": "m", "input": "x" * 1000}) * 400)
    connection.close()
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 0, 5, "it was cancelled")


def test_who_sends_without_end_is_dropped(serve):
    server = serve({"m": FAKE}, "--max-workers", "1", "--limit", "body_bytes=64KiB")
    connection = server.raw(raw_post({"model": "m", "input": "!sleep 60s"}))
    connection.settimeout(20 * SLOW)
    sent = 0
    try:
        while sent < 64 * MiB:
            sent += connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
    except OSError:
        pass
    connection.close()
    assert sent < 64 * MiB
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 0, 5, "it was cancelled")


def test_what_answers_head_has_no_body(serve):
    """Also where it is refused before its head was read to the end."""
    server = serve({"m": FAKE})
    for field, status in ((b"Content-Length: 99999999", 413), (b"Expect: more", 417), (b"no colon", 400)):
        connection = server.raw(b"HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n" + field + b"\r\n\r\n")
        answer = read_all(connection)
        connection.close()
        assert b" %d " % status in answer and answer.endswith(b"\r\nConnection: close\r\n\r\n"), answer


def test_connections_beyond_the_limit_are_told_so(serve):
    server = serve({"m": FAKE}, "--limit", "connections=2", "--limit", "head_ms=30000")
    held = [server.raw(b"GET ") for _ in range(2)]
    third = server.raw()
    answer = read_all(third)
    assert b" 503 " in answer and b"connections" in answer and b"\r\nRetry-After: " in answer
    third.close()
    for connection in held:
        connection.close()

    def answers():
        try:
            return server.get("/health/live").status == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_until(answers, 5, "there is room again")
