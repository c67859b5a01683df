"""Whatever a client sends has one defined answer: a table of raw requests, each with its status (or those of all
its answers) and whether the connection is closed then. After each the next client is served, and in the end nothing is left over."""

import json
import re
import socket
import struct
import time

import pytest
from harness import SLOW, Server, raw_post, read_answers, state_machine, wait_until

BODY_MAX = 64 * 1024
STALL_MS = 400
HALF_CLOSE, RESET = "half-close", "reset"  # what a client does instead of sending more
CLOSED = None  # instead of a status: the connection ends without an answer

GET = b"GET /v1/models HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
POST = b"POST /v1/embeddings HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = json.dumps({"model": "m", "input": "x"}).encode()
GOOD = raw_post({"model": "m", "input": "x"})
SLOW_JOB = raw_post({"model": "m", "input": "!sleep 20s"})


def get(target):
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def field(line, begin=GET + HOST):
    return begin + line + b"\r\n\r\n"


def post(*lines, body=BODY):
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def length(value, body=BODY):
    return post(b"Content-Length: " + value, body=body)


def sized(body):
    return length(b"%d" % len(body), body)


def chunk(data, size=None):
    return b"%x\r\n" % (len(data) if size is None else size) + data + b"\r\n"


END = b"0\r\n\r\n"

# What is sent (bytes; pauses in seconds; how the client leaves), the status (or those of several answers),
# and whether the connection closes.
CASES = {
    # --- the request line ---
    "garbage": ([b"GARBAGE\r\n\r\n"], 400, True),
    "tls": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400, True),
    "http2-preface": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, True),
    "http09": ([b"GET /v1/models\r\n\r\n"], 400, True),
    "version-unknown": ([b"GET /v1/models HTTP/1.2\r\n" + HOST + b"\r\n"], 400, True),
    "version-of-two-digits": ([b"GET /v1/models HTTP/11.1\r\n" + HOST + b"\r\n"], 400, True),
    "version-lower-case": ([b"GET /v1/models http/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "two-spaces": ([b"GET  /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "tabs-for-spaces": ([b"GET\t/v1/models\tHTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "space-behind-version": ([b"GET /v1/models HTTP/1.1 \r\n" + HOST + b"\r\n"], 400, True),
    "space-before-method": ([b" " + get(b"/v1/models")], 400, True),
    "one-empty-line-before": ([b"\r\n" + get(b"/v1/models")], 200, False),
    "two-empty-lines-before": ([b"\r\n\r\n" + get(b"/v1/models")], 400, True),
    "lf-before": ([b"\n" + get(b"/v1/models")], 400, True),
    "method-with-parenthesis": ([b"GE(T /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "method-lower-case": ([b"get /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "method-unknown": ([b"BREW /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "method-not-here": ([b"TRACE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 405, False),
    "method-of-webdav": ([b"PROPFIND /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 405, False),
    "method-connect": ([b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "method-connect-to-a-path": ([b"CONNECT /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"], 405, False),
    "line-too-long": ([get(b"/" + b"x" * 40000)], 431, True),
    "line-without-end": ([b"GET /" + b"x" * 40000], 431, True),
    # --- the target ---
    "target-absolute": ([get(b"http://localhost/v1/models")], 200, False),
    "target-absolute-elsewhere": ([get(b"http://evil.example/v1/models")], 403, False),
    "target-absolute-user": ([get(b"http://localhost@evil.example/v1/models")], 403, False),
    "target-absolute-https": ([get(b"https://localhost/v1/models")], 400, True),
    "target-absolute-no-host": ([get(b"http:///v1/models")], 400, True),
    "target-without-slash": ([get(b"v1/models")], 400, True),
    "target-star": ([get(b"*")], 400, True),
    "target-empty": ([b"GET  HTTP/1.1\r\n" + HOST + b"\r\n"], 400, True),
    "target-above-the-root": ([get(b"/v1/models/../../../etc/passwd")], 404, False),
    "target-nul": ([get(b"/v1/models\0")], 400, True),
    "target-not-utf8": ([get(b"/v1/models/\xff\xfe")], 400, True),
    "target-percent-not-utf8": ([get(b"/v1/models/%ff%fe")], 400, False),
    "target-percent-nul": ([get(b"/v1/models/m%00")], 400, False),
    "target-percent-cut": ([get(b"/v1/models/m%4")], 400, False),
    "target-query-garbage": ([get(b"/weir/v1/plan?model=%zz&&==&")], 400, False),
    # --- fields ---
    "lf-alone": ([b"GET /v1/models HTTP/1.1\nHost: localhost\n\n"], 400, True),
    "lf-alone-in-fields": ([GET + b"Host: localhost\nX: y\r\n\r\n"], 400, True),
    "cr-alone": ([GET + b"Host: local\rhost\r\n\r\n"], 400, True),
    "cr-alone-at-the-end": ([GET + HOST + b"\r\r\n"], 400, True),
    "nul-in-value": ([field(b"X: a\0b")], 400, True),
    "control-in-value": ([field(b"X: a\x01b")], 400, True),
    "del-in-value": ([field(b"X: a\x7fb")], 400, True),
    "latin1-in-value": ([field(b"X: \xfc")], 200, False),
    "not-ascii-in-name": ([field(b"X\xfc: y")], 400, True),
    "space-before-colon": ([GET + b"Host : localhost\r\n\r\n"], 400, True),
    "tab-before-colon": ([field(b"X\t: y")], 400, True),
    "space-before-name": ([field(b"X: y\r\n Z: y")], 400, True),
    "folded-line": ([field(b"X: y\r\n\tmore")], 400, True),
    "folded-first-line": ([GET + b" Host: localhost\r\n\r\n"], 400, True),
    "no-colon": ([field(b"nothing")], 400, True),
    "no-name": ([field(b": nothing")], 400, True),
    "100-fields": ([field(b"\r\n".join([b"X: y"] * 99))], 200, False),
    "101-fields": ([field(b"\r\n".join([b"X: y"] * 100))], 431, True),
    "one-huge-field": ([field(b"X: " + b"y" * 40000)], 431, True),
    "fields-of-33-kib": ([field(b"\r\n".join([b"X: " + b"y" * 1000] * 33))], 431, True),
    "fields-without-end": ([GET + b"X: y\r\n" * 8000], 431, True),
    # --- Host ---
    "no-host": ([GET + b"\r\n"], 400, True),
    "two-hosts": ([GET + HOST + HOST + b"\r\n"], 400, True),
    "two-hosts-and-a-target": ([b"GET http://localhost/v1/models HTTP/1.1\r\n" + HOST + HOST + b"\r\n"],
                               400, True),
    "empty-host": ([GET + b"Host: \r\n\r\n"], 400, True),
    "host-elsewhere": ([GET + b"Host: evil.example\r\n\r\n"], 403, False),
    "host-a-list": ([GET + b"Host: localhost, localhost\r\n\r\n"], 403, False),
    "host-port-garbage": ([GET + b"Host: localhost:http\r\n\r\n"], 403, False),
    "http10-without-host": ([b"GET /v1/models HTTP/1.0\r\n\r\n"], 200, True),
    # --- the length of a body ---
    "length-twice": ([post(b"Content-Length: 28", b"Content-Length: 28")], 400, True),
    "length-twice-different": ([post(b"Content-Length: 28", b"Content-Length: 27")], 400, True),
    "length-list": ([length(b"28, 28")], 400, True),
    "length-negative": ([length(b"-1")], 400, True),
    "length-plus": ([length(b"+28")], 400, True),
    "length-hexadecimal": ([length(b"0x1c")], 400, True),
    "length-fraction": ([length(b"28.0")], 400, True),
    "length-words": ([length(b"many")], 400, True),
    "length-empty": ([length(b"")], 400, True),
    "length-of-two-numbers": ([length(b"2 8")], 400, True),
    "length-beyond-64-bits": ([length(b"18446744073709551617")], 400, True),
    "length-beyond-the-limit": ([length(b"%d" % (BODY_MAX + 1))], 413, True),
    "length-of-63-bits": ([length(b"9223372036854775807")], 413, True),
    "length-none": ([post()], (400, 400), True),  # it has no body, and what follows is no request
    "length-too-short": ([length(b"27")], (400, 400), True),
    "body-beyond-its-length": ([GOOD + b"{}"], (200, 400), True),
    "body-of-get": ([GET + HOST + b"Content-Length: 2\r\n\r\n{}"], 200, False),
    # --- transfer codings ---
    "chunked-and-length": ([post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=END)], 400, True),
    "length-and-chunked": ([post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=END)], 400, True),
    "coding-gzip": ([post(b"Transfer-Encoding: gzip")], 501, True),
    "coding-gzip-chunked": ([post(b"Transfer-Encoding: gzip, chunked")], 501, True),
    "coding-chunked-gzip": ([post(b"Transfer-Encoding: chunked, gzip")], 501, True),
    "coding-chunked-twice": ([post(b"Transfer-Encoding: chunked, chunked")], 501, True),
    "coding-two-fields": ([post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")], 501, True),
    "coding-identity": ([post(b"Transfer-Encoding: identity")], 501, True),
    "coding-almost-chunked": ([post(b"Transfer-Encoding: xchunked")], 501, True),
    "coding-vertical-tab": ([post(b"Transfer-Encoding: \x0bchunked")], 400, True),
    "coding-empty": ([post(b"Transfer-Encoding: ")], 501, True),
    "coding-of-http10": ([b"POST /v1/embeddings HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + END],
                         400, True),
    "chunks-good": ([CHUNKED + b"1;a=b;c=\"d\"\r\n{\r\n", b"1B\r\n" + BODY[1:] + b"\r\n",
                     b"000\r\nTrailer: x\r\n\r\n"], 200, False),
    "chunk-size-words": ([CHUNKED + b"xyz\r\n"], 400, True),
    "chunk-size-prefix": ([CHUNKED + b"0x1\r\n{\r\n"], 400, True),
    "chunk-size-negative": ([CHUNKED + b"-1\r\n{\r\n"], 400, True),
    "chunk-size-empty": ([CHUNKED + b"\r\n{\r\n"], 400, True),
    "chunk-size-space": ([CHUNKED + b"1 \r\n{\r\n"], 400, True),
    "chunk-size-of-64-bits": ([CHUNKED + b"10000000000000001\r\n{\r\n"], 413, True),
    "chunk-size-of-many-zeros": ([CHUNKED + b"0000000000000001\r\n{\r\n"], 400, True),
    "chunk-size-huge": ([CHUNKED + b"fffffffffffffff\r\n{\r\n"], 413, True),
    "chunk-size-lf": ([CHUNKED + b"1\n{\r\n"], 400, True),
    "chunk-longer": ([CHUNKED + b"1\r\n{}\r\n"], 400, True),
    "chunk-ends-in-lf": ([CHUNKED + b"1\r\n{\n0\r\n\r\n"], 400, True),
    "chunk-extension-nul": ([CHUNKED + b"1;\0\r\n{\r\n"], 400, True),
    "chunk-trailer-lf": ([CHUNKED + b"0\r\nX: y\n\r\n"], 400, True),
    "chunk-trailer-without-end": ([CHUNKED + b"0\r\n" + b"X: y\r\n" * 10000], 400, True),
    "chunk-extension-without-end": ([CHUNKED + b"1;" + b"x" * 80000], 400, True),
    "chunks-beyond-the-limit": ([CHUNKED + chunk(b" " * 1000) * 70], 413, True),
    # --- bodies ---
    "expect": ([post(b"Expect: 200-ok", b"Content-Length: 28")], 417, True),
    "expect-beyond-the-limit": ([post(b"Expect: 100-continue", b"Content-Length: 99999999", body=b"")],
                                413, True),
    "type-of-a-form": ([post(b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 28")],
                       415, False),
    "type-empty": ([post(b"Content-Type: ", b"Content-Length: 28")], 415, False),
    "json-none": ([sized(b"")], 400, False),
    "json-cut": ([sized(BODY[:-1])], 400, False),
    "json-deep": ([sized(b"[" * 60000)], 400, False),
    "json-nul": ([sized(BODY + b"\0")], 400, False),
    "json-not-utf8": ([sized(BODY.replace(b"x", b"\xff"))], 400, False),
    "json-key-twice": ([sized(b'{"model":"no","model":"m","input":"x"}')], 200, False),
    # --- more than one request ---
    "garbage-behind": ([GOOD + b"\x00\x01garbage"], (200, 400), True),
    "garbage-behind-later": ([GOOD, 0.05, b"GARBAGE\r\n\r\n"], (200, 400), True),
    "request-behind-the-last": ([GET + HOST + b"Connection: close\r\n\r\n" + GOOD], 200, True),
    "ahead-beyond-64-kib": ([raw_post({"model": "m", "input": "!sleep 300ms"}) + GOOD * 2000], 200, True),
    "upgrade-websocket": ([field(b"Connection: Upgrade\r\nUpgrade: websocket")], 200, False),
    "upgrade-h2c": ([field(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA")],
                    200, False),
    # --- slow ones ---
    "slow-nothing": ([], CLOSED, True),
    "slow-head": ([b"GET /v1/models"], 408, True),
    "slow-head-that-trickles": ([part for byte in (GET + HOST)[:12] for part in (bytes([byte]), 0.05)],
                                408, True),
    "slow-body": ([GOOD[:-1]], 408, True),
    "slow-body-that-trickles": ([post(b"Content-Length: 28", body=b"")] + [b" ", 0.06] * 12, 408, True),
    "slow-chunks": ([CHUNKED + b"1\r\n{\r\n"], 408, True),
    "slow-behind-an-empty-line": ([GOOD + b"\r\n", 0.6], 200, False),  # some end their bodies so
    "slow-expect": ([post(b"Expect: 100-continue", b"Content-Length: 28", body=b"")], 408, True),
    # --- those who leave ---
    "half-close-at-once": ([HALF_CLOSE], CLOSED, True),
    "half-close-in-the-head": ([GET, HALF_CLOSE], CLOSED, True),
    "half-close-in-the-body": ([GOOD[:-1], HALF_CLOSE], CLOSED, True),
    "half-close-in-a-chunk": ([CHUNKED + b"5\r\n{", HALF_CLOSE], CLOSED, True),
    "half-close-of-one-that-waits": ([SLOW_JOB, 0.1, HALF_CLOSE], CLOSED, True),
    "half-close-behind-64-kib": ([SLOW_JOB, 0.1, GOOD * 2000, HALF_CLOSE], CLOSED, True),
    "half-close-behind-an-answer": ([get(b"/v1/models"), 0.1, HALF_CLOSE], 200, True),
    "reset-at-once": ([RESET], CLOSED, True),
    "reset-in-the-head": ([GET, RESET], CLOSED, True),
    "reset-in-the-body": ([GOOD[:-1], RESET], CLOSED, True),
    "reset-of-one-that-waits": ([SLOW_JOB, 0.1, RESET], CLOSED, True),
    "reset-behind-64-kib": ([SLOW_JOB, 0.1, GOOD * 2000, RESET], CLOSED, True),
    "reset-before-the-answer": ([GOOD, RESET], CLOSED, True),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abuse")
    server = Server(folder, state_machine(folder / "machine"),
                    {"m": "fake:text_embedding?dim=8&script=yes&slots=8"}, "--max-workers", "1",
                    "--limit", f"body_bytes={BODY_MAX}", "--limit", f"head_ms={STALL_MS}",
                    "--limit", f"client_stall_ms={STALL_MS}")
    assert server.embed().status == 200
    yield server
    server.close()


def metric(server, name):
    page = server.get("/metrics").body.decode()
    return float(re.search(rf"^{name} (\S+)$", page, re.MULTILINE)[1])


def send(connection, steps):
    """False: the client is gone altogether. What the server no longer reads may fail to be sent."""
    for step in steps:
        if step == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        try:
            if step == HALF_CLOSE:
                connection.shutdown(socket.SHUT_WR)
            elif isinstance(step, float):
                time.sleep(step)
            else:
                connection.sendall(step)
        except OSError:
            break
    return True


def ended(connection):
    """Where the other side has closed there is nothing more to read."""
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


def play(server, steps, status, closes):
    """Sends, and checks the answers and what becomes of the connection."""
    connection = server.raw()
    connection.settimeout(10 * SLOW)
    try:
        if not send(connection, steps):
            return
        if status is CLOSED:
            assert connection.recv(1) == b""
            return
        if b"Expect: 100" in b"".join(step for step in steps if isinstance(step, bytes)) and status == 408:
            assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        statuses = status if isinstance(status, tuple) else (status,)
        answers = read_answers(connection, len(statuses))
        assert tuple(answer[0] for answer in answers) == statuses, answers
        _, headers, body = answers[-1]
        if statuses[-1] >= 400:
            assert {"message", "type", "param", "code"} == set(json.loads(body)["error"]), body
            assert headers["connection"] == ("close" if closes else "keep-alive")
        if closes:
            assert ended(connection) == b""
        else:
            connection.sendall(get(b"/health/live"))
            assert read_answers(connection, 1)[0][0] == 200
    finally:
        connection.close()


def nothing_waits(server):
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 0, 5, "no request is left")
    wait_until(lambda: metric(server, "weir_http_connections") == 1, 5, "no connection is left")
    workers = server.model()["workers"]
    assert len(workers) == 1 and workers[0]["jobs"] == 0, workers


@pytest.mark.parametrize("name", CASES)
def test_abuse(server, name):
    play(server, *CASES[name])
    assert server.embed("the next client").status == 200


def test_nothing_is_left(server):
    """All of them once more, but for those that take time: what is held afterwards was held before."""
    nothing_waits(server)
    before = {name: metric(server, name) for name in ("weir_open_fds", "weir_heap_bytes")}
    pid = server.model()["workers"][0]["pid"]
    for name, case in CASES.items():
        if not name.startswith("slow"):
            play(server, *case)
    nothing_waits(server)
    assert server.model()["workers"][0]["pid"] == pid
    assert metric(server, "weir_open_fds") == before["weir_open_fds"]
    wait_until(lambda: metric(server, "weir_heap_bytes") <= before["weir_heap_bytes"] + 16384, 5,
               f"no more memory is held than before, {before['weir_heap_bytes']} bytes")
