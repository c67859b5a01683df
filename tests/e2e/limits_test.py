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
