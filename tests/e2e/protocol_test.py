"""The protocol itself: methods, bodies in pieces, connections that stay open, and what is malformed."""

import http.client
import json

import pytest
from harness import SLOW, raw_answer, raw_post, read_all, read_answers

FAKE = "fake:text_embedding"


def test_head(server):
    for path in ("/v1/models", "/weir/v1/status", "/health/live"):
        head, get = server.request("HEAD", path), server.get(path)
        assert head.status == 200 and head.body == b""
        assert head.headers["content-type"] == get.headers["content-type"]
        assert int(head.headers["content-length"]) > 0
    assert server.request("HEAD", "/v1/models/nobody").status == 404


def test_options(server):
    answer = server.request("OPTIONS", "/v1/embeddings", headers={
        "Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-stainless-os"})
    assert answer.status == 204 and answer.body == b""
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-stainless-os"} <= set(allowed)
    assert server.request("OPTIONS", "/nothing").status == 404
    assert server.request("OPTIONS", "*").status == 204


def test_chunked_body(server):
    body = json.dumps({"model": "m", "input": "in pieces"}).encode()
    head = (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    pieces = b"".join(b"1;x=y\r\n" + body[i:i + 1] + b"\r\n" for i in range(len(body)))
    status, _, text = raw_answer(server, head + pieces + b"0\r\nTrailer: ignored\r\n\r\n")
    assert status == 200, text
    assert json.loads(text)["data"][0]["embedding"] == server.vector("in pieces")


@pytest.mark.parametrize("data, status", [
    (b"GARBAGE\r\n\r\n", 400),
    (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /v1/models HTTP/1.1\nHost: localhost\n\n", 400),
    (b"GET /v1/models HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n{}", 400),
    (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     501),
    (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
     b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
], ids=["garbage", "no-host", "two-hosts", "bare-lf", "space-colon", "negative-length",
        "length-and-chunked", "gzip", "bad-chunk", "tls"])
def test_malformed(server, data, status):
    """Answered, and the connection is closed: nothing after such a request can be trusted."""
    got, headers, body = raw_answer(server, data)
    assert got == status, body
    assert headers["connection"] == "close"
    assert json.loads(body)["error"]["message"]


def test_keep_alive(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20 * SLOW)
    connection.connect()
    sock = connection.sock
    for path, status in (("/v1/models", 200), ("/nothing", 404), ("/health/live", 200)):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert connection.sock is sock  # kept by the server, or http.client would have dropped it
    connection.request("POST", "/v1/embeddings", '{"model":"m","input":""}')
    response = connection.getresponse()
    assert response.status == 400 and response.read() and connection.sock is sock
    connection.close()


def test_connection_close_is_kept(server):
    status, headers, _ = raw_answer(
        server, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status == 200 and headers["connection"] == "close"
    status, headers, _ = raw_answer(server, b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert status == 200 and headers["connection"] == "close"


def test_pipelined_requests(serve):
    """Answers come in the order of the requests, though the first takes longest."""
    server = serve({"m": FAKE + "?script=yes&slots=4"}, "--max-workers", "1")
    expected = server.vector("quick")
    connection = server.raw(raw_post({"model": "m", "input": "!sleep 500ms"}) +
                            raw_post({"model": "m", "input": "quick"}) +
                            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" +
                            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.settimeout(20 * SLOW)
    answers = read_answers(connection, 4)
    connection.close()
    assert [status for status, _, _ in answers] == [200, 200, 404, 200]
    assert json.loads(answers[1][2])["data"][0]["embedding"] == expected
    assert json.loads(answers[3][2]) == {"status": "ok"}


def test_request_in_single_bytes(server):
    connection = server.raw()
    for byte in raw_post({"model": "m", "input": "slowly"}, Connection="close"):
        connection.sendall(bytes([byte]))
    assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")
    connection.close()


def test_expect_continue(server):
    data = raw_post({"model": "m", "input": "x"}, Expect="100-continue", Connection="close")
    head, _, body = data.partition(b"\r\n\r\n")
    connection = server.raw(head + b"\r\n\r\n")
    connection.settimeout(20 * SLOW)
    assert connection.recv(25).startswith(b"HTTP/1.1 100 ")
    connection.sendall(body)
    assert b"HTTP/1.1 200 OK" in read_all(connection)
    connection.close()


def test_idle_connection_is_closed(serve):
    server = serve({"m": FAKE}, "--limit", "keep_alive_ms=300")
    connection = server.raw(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    data = read_all(connection)
    connection.close()
    assert data.startswith(b"HTTP/1.1 200 OK") and data.count(b"HTTP/1.1") == 1
