"""HTTP at the edges: what is refused and how, and that the server goes on afterwards."""

import http.client
import json
import math
import re
import resource
import signal
import struct
import threading

import pytest
from harness import SLOW, decode_base64, raw_answer, raw_post, wait_until

FAKE = "fake:text_embedding"


# --- requests that are wrong ---------------------------------------------------------------------

@pytest.mark.parametrize("body, param", [
    ('{"model":"m","input":"x"', None),
    ("", None),
    ("[]", None),
    ('"text"', None),
    ('{"model":"m","input":"x"} trailing', None),
    ('{"model":"m","input":"\\ud800"}', None),
    (b'{"model":"m","input":"\xff\xfe"}', None),
    ('{"input":"x"}', "model"),
    ('{"model":null,"input":"x"}', "model"),
    ('{"model":7,"input":"x"}', "model"),
    ('{"model":"m"}', "input"),
    ('{"model":"m","input":null}', "input"),
    ('{"model":"m","input":""}', "input"),
    ('{"model":"m","input":[]}', "input"),
    ('{"model":"m","input":7}', "input"),
    ('{"model":"m","input":{"text":"x"}}', "input"),
    ('{"model":"m","input":["x",7]}', "input"),
    ('{"model":"m","input":[1.5]}', "input"),
    ('{"model":"m","input":[-1]}', "input"),
    ('{"model":"m","input":[[]]}', "input"),
    ('{"model":"m","input":["x"],"encoding_format":"hex"}', "encoding_format"),
    ('{"model":"m","input":["x"],"encoding_format":1}', "encoding_format"),
    ('{"model":"m","input":["x"],"dimensions":0}', "dimensions"),
    ('{"model":"m","input":["x"],"dimensions":"8"}', "dimensions"),
    ('{"model":"m","input":["x"],"truncate":"yes"}', "truncate"),
    ('{"model":"m","input":["x"],"deadline_ms":-1}', "deadline_ms"),
], ids=lambda value: str(value)[:40])
def test_wrong_request(server, body, param):
    """Mistakes of callers are theirs: no breaker counts them (F091)."""
    answer = server.post("/v1/embeddings", body)
    assert answer.status == 400, answer
    error = answer.error
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "invalid_request"
    assert error["param"] == param
    assert error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["content-type"].startswith("application/json")


def test_empty_input_names_its_index(server):
    answer = server.embed(["fine", "also fine", ""])
    assert answer.status == 400 and "2" in answer.error["message"], answer
    assert answer.error["param"] == "input"


def test_too_many_inputs(serve):
    server = serve({"m": FAKE}, "--limit", "inputs=5")
    assert server.embed(["x"] * 5).status == 200
    answer = server.embed(["x"] * 6)
    assert answer.status == 400, answer
    assert "6" in answer.error["message"] and "5" in answer.error["message"]


def test_too_many_inputs_by_default(server):
    answer = server.embed(["x"] * 2049)
    assert answer.status == 400, answer
    assert "2049" in answer.error["message"] and "2048" in answer.error["message"]


def test_unknown_fields_and_nulls_are_ignored(server):
    answer = server.embed("x", colour="blue", dimensions=None, encoding_format=None, truncate=None,
                          user=None)
    assert answer.status == 200, answer
    assert answer.vectors == server.embed("x").vectors


def test_dimensions(server):
    full = server.vector("cut me")
    (cut,) = server.embed("cut me", dimensions=3).vectors
    norm = math.sqrt(sum(v * v for v in full[:3]))
    assert cut == pytest.approx([v / norm for v in full[:3]], abs=1e-6)
    answer = server.embed("cut me", dimensions=9)
    assert answer.status == 400 and "9" in answer.error["message"], answer


# --- things that are not there -------------------------------------------------------------------

def test_unknown_model(server):
    for path, value in (("/v1/embeddings", {"model": "nobody", "input": "x"}),
                        ("/weir/v1/tokenize", {"model": "nobody", "input": "x"}),
                        ("/weir/v1/detokenize", {"model": "nobody", "tokens": [1]})):
        answer = server.post(path, value)
        assert answer.status == 404, answer
        assert answer.error["code"] == "model_not_found"
        assert answer.error["type"] == "invalid_request_error"
        assert "nobody" in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/models/", "/v1/embeddings/",
                                  "/v1/chat/x", "/weir/v1/nothing", "/health/",
                                  "/v1/embeddingsx", "//v1/models"])
def test_unknown_path(server, path):
    answer = server.get(path)
    assert answer.status == 404, answer
    assert answer.error["code"] == "not_found" and path in answer.error["message"]


@pytest.mark.parametrize("method, path, allow", [
    ("GET", "/v1/embeddings", "POST, OPTIONS"),
    ("PUT", "/v1/embeddings", "POST, OPTIONS"),
    ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
    ("PATCH", "/weir/v1/status", "GET, HEAD, OPTIONS"),
    ("POST", "/health/live", "GET, HEAD, OPTIONS"),
])
def test_wrong_method(server, method, path, allow):
    answer = server.request(method, path, "{}" if method != "GET" else None)
    assert answer.status == 405, answer
    assert answer.error["code"] == "method_not_allowed"
    assert sorted(answer.headers["allow"].split(", ")) == sorted(allow.split(", "))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded",
                                  "application/jsonx"])
def test_wrong_content_type(server, kind):
    answer = server.post("/v1/embeddings", {"model": "m", "input": "x"}, {"Content-Type": kind})
    assert answer.status == 415, answer
    assert answer.error["code"] == "unsupported_media_type" and kind in answer.error["message"]


def test_encoded_content(server):
    """A body that is packed is refused by the name of its coding, not called bad JSON."""
    body = {"model": "m", "input": "x"}
    answer = server.post("/v1/embeddings", body, {"Content-Encoding": "gzip"})
    assert answer.status == 415 and "'gzip'" in answer.error["message"], answer
    assert server.post("/v1/embeddings", body, {"Content-Encoding": "Identity"}).status == 200


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_right_content_types(server, kind):
    answer = server.post("/v1/embeddings", {"model": "m", "input": "x"}, {"Content-Type": kind})
    assert answer.status == 200, answer


# --- sizes ---------------------------------------------------------------------------------------

def test_body_too_large(serve):
    server = serve({"m": FAKE}, "--limit", "body_bytes=64KiB")
    for chunked in (False, True):
        head = "Transfer-Encoding: chunked\r\n" if chunked else "Content-Length: 70000\r\n"
        body = b"11170\r\n" + b" " * 70000 + b"\r\n0\r\n\r\n" if chunked else b""
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode()
        status, headers, text = raw_answer(server, head + body)
        assert status == 413, text
        assert json.loads(text)["error"]["code"] == "body_too_large"
        assert "65536" in json.loads(text)["error"]["message"]
        assert headers["connection"] == "close"
    assert server.embed().status == 200


def test_head_too_large(server):
    head = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 40000
    status, headers, body = raw_answer(server, head + b"\r\n\r\n")
    assert status == 431 and json.loads(body)["error"]["code"] == "head_too_large"
    assert headers["connection"] == "close"


def test_large_body_within_limits(server):
    """A body that is parsed in a thread and comes in many pieces."""
    texts = [f"{i} " + "word " * 100 for i in range(1000)]
    answer = server.embed(texts)
    assert answer.status == 200
    assert len(answer.vectors) == 1000
    assert answer.vectors[999] == server.vector(texts[999])
    assert answer.json["usage"] == {"prompt_tokens": 101 * 1000, "total_tokens": 101 * 1000}


def test_slow_head_and_slow_body(serve):
    server = serve({"m": FAKE}, "--limit", "head_ms=500", "--limit", "client_stall_ms=700")
    status, headers, body = raw_answer(server, b"GET /v1/models HTTP/1.1\r\nHost: loc")
    assert status == 408 and json.loads(body)["error"]["code"] == "request_timeout"
    status, headers, body = raw_answer(server, raw_post({"model": "m", "input": "x"})[:-5])
    assert status == 408 and json.loads(body)["error"]["code"] == "request_timeout"
    assert headers["connection"] == "close"


def test_connections_are_bounded(serve):
    server = serve({"m": FAKE}, "--limit", "connections=8")
    idle = [server.raw() for _ in range(20)]
    wait_until(lambda: server.process.poll() is None, 1, "it lives")
    for connection in idle:
        connection.close()
    def answers():
        try:
            return server.embed().status == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_until(answers, 5, "it answers once connections are free again")


# --- who may ask ---------------------------------------------------------------------------------

@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
    ("LOCALHOST", 200), ("evil.example", 403), ("localhost.evil.example", 403),
    ("127.0.0.1.nip.io", 403), ("192.168.0.1", 403),
])
def test_host(server, host, status):
    got, _, body = raw_answer(
        server, f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert got == status, body
    if status == 403:
        assert json.loads(body)["error"]["code"] == "forbidden"
        assert host in json.loads(body)["error"]["message"]


def test_host_of_a_server_on_every_address(serve):
    """0.0.0.0 names no address that a client could use: any address will do, a name must be allowed."""
    server = serve({"m": FAKE}, "--listen", "0.0.0.0:0")
    everywhere = r"weir: listening on http://0\.0\.0\.0:([0-9]+)"
    port = int(wait_until(lambda: re.search(everywhere, server.log_text()), 10, "it listens")[1])
    for host, status in (("192.168.0.1", 200), (f"10.0.0.7:{port}", 200), ("[fd00::1]", 200),
                         ("localhost", 200), ("evil.example", 403), ("192.168.0.1.nip.io", 403)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
        connection.request("GET", "/v1/models", headers={"Host": host})
        assert connection.getresponse().status == status, host
        connection.close()


def test_a_low_soft_limit_of_open_files(serve):
    """The server raises it itself: idle connections beyond it cost nobody an answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1024:
        pytest.skip(f"the hard limit is {hard} already")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        server = serve({"m": FAKE}, wait_ready=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    idle = [server.raw() for _ in range(200)]
    assert server.embed().status == 200
    for connection in idle:
        connection.close()


def test_allowed_host_and_origin(serve):
    server = serve({"m": FAKE}, "--allow-host", "models.lan", "--allow-origin",
                   "https://app.example")
    assert server.get("/v1/models", headers={"Host": "models.lan:8080"}).status == 200
    assert server.get("/v1/models", headers={"Host": "other.lan"}).status == 403
    answer = server.get("/v1/models", headers={"Origin": "https://app.example"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert server.get("/v1/models", headers={"Origin": "http://app.example"}).status == 403


@pytest.mark.parametrize("origin, status", [
    ("http://localhost:3000", 200), ("http://127.0.0.1", 200), ("https://localhost", 200),
    ("http://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403),
])
def test_origin(server, origin, status):
    answer = server.embed(headers={"Origin": origin})
    assert answer.status == status, answer
    if status == 200:
        assert answer.headers["access-control-allow-origin"] == origin
    else:
        assert answer.error["code"] == "forbidden"
        assert "access-control-allow-origin" not in answer.headers


# --- the routes ----------------------------------------------------------------------------------

def test_embeddings_answer(server):
    answer = server.embed(["one", "two words"])
    assert answer.status == 200
    body = answer.json
    assert body["object"] == "list" and body["model"] == "m"
    assert [row["object"] for row in body["data"]] == ["embedding"] * 2
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert "truncated" not in body
    for vector in answer.vectors:
        assert len(vector) == 8
        assert math.isclose(sum(v * v for v in vector), 1, abs_tol=1e-5)
    assert server.embed("one").vectors == answer.vectors[:1]


def test_base64_equals_float(server):
    texts = ["one", "two", "three"]
    floats = server.embed(texts).vectors
    coded = server.embed(texts, encoding_format="base64").vectors
    assert all(isinstance(text, str) for text in coded)
    # Float text carries every bit: read back as 32-bit numbers they are the same.
    single = [[struct.unpack("<f", struct.pack("<f", v))[0] for v in row] for row in floats]
    assert [decode_base64(text) for text in coded] == single


def test_token_ids_as_input(server):
    one = server.embed([5, 6, 7])
    assert one.status == 200 and len(one.vectors) == 1, one
    assert one.json["usage"]["prompt_tokens"] == 3
    two = server.embed([[5, 6, 7], [8]])
    assert two.vectors[0] == one.vectors[0] and len(two.vectors) == 2


def test_request_ids(server):
    kept = server.embed(headers={"x-request-id": "my-own.id_7"})
    assert kept.headers["x-request-id"] == "my-own.id_7"
    traced = server.embed(headers={"x-request-id": "Root=1-67/a+b:c@d~e"})
    assert traced.headers["x-request-id"] == "Root=1-67/a+b:c@d~e"
    first, second = server.embed(), server.get("/nothing")
    assert first.headers["x-request-id"] and second.headers["x-request-id"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    odd = server.embed(headers={"x-request-id": "x" * 500})
    assert odd.headers["x-request-id"] != "x" * 500


def test_request_id_in_use_is_not_given_twice(serve):
    server = serve({"m": FAKE + "?step=500ms&slots=2"}, "--max-workers", "1")
    gate = threading.Barrier(2)

    def ask(text):
        gate.wait(10 * SLOW)
        return server.embed(text, headers={"x-request-id": "the-same"})

    answers = [f.result() for f in [server.later(ask, "a"), server.later(ask, "b")]]
    ids = sorted(a.headers["x-request-id"] for a in answers)
    assert [a.status for a in answers] == [200, 200]
    assert ids.count("the-same") == 1 and ids[0] != ids[1]


def test_models(server):
    listed = server.get("/v1/models").json
    assert listed["object"] == "list"
    assert sorted(m["id"] for m in listed["data"]) == ["m", "team/model:q4"]
    for model in listed["data"]:
        assert model["object"] == "model" and model["owned_by"]
        assert isinstance(model["created"], int) and model["created"] > 1600000000
    for path in ("/v1/models/team/model:q4", "/v1/models/team%2Fmodel%3Aq4"):
        answer = server.get(path)
        assert answer.status == 200, answer
        assert answer.json in listed["data"] and answer.json["id"] == "team/model:q4"
        head = server.request("HEAD", path)
        assert head.status == 200 and head.body == b"", head
        assert int(head.headers["content-length"]) == len(answer.body)
    missing = server.get("/v1/models/team/other")
    assert missing.status == 404 and missing.error["code"] == "model_not_found", missing
    assert server.get("/v1/models/bad%zz").status == 400


def test_a_model_with_a_problem_is_listed(serve):
    server = serve({"m": FAKE, "bad": "/nowhere/at/all"})
    assert [m["id"] for m in server.get("/v1/models").json["data"]] == ["m", "bad"]
    assert server.get("/v1/models/bad").json["id"] == "bad"
    answer = server.embed(model="bad")
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "/nowhere" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_health(server):
    for path in ("/health/live", "/health/ready"):
        answer = server.get(path)
        assert answer.status == 200 and answer.json == {"status": "ok"}, answer


def test_ready_when_all_are_inspected(serve):
    """A model with a problem is inspected too: the server is ready to say so."""
    server = serve({"bad": "/nowhere/at/all", "m": FAKE}, wait_ready=False)
    wait_until(lambda: server.get("/health/ready").status == 200, 10, "ready")
    assert server.model("bad")["problem"]
    assert server.embed().status == 200


def test_status_shape(server):
    server.vector("x")
    server.wait_settled()
    status = server.status()
    memory = status["memory"]
    assert {"budget", "leased", "measured", "pressure"} <= set(memory)
    assert memory["budget"] == 16 * 1024 ** 3
    assert memory["pressure"] in ("Low", "Normal", "High", "Critical")
    model = server.model()
    assert {"name", "capabilities", "revision", "queue", "breaker", "problem", "spawned",
            "workers"} <= set(model)
    assert model["capabilities"] == ["text_embedding"]
    assert model["queue"] == 0 and model["breaker"] == "closed" and model["problem"] is None
    assert model["spawned"] == 2 and len(model["workers"]) == 2
    for worker in model["workers"]:
        assert {"id", "pid", "state", "leased", "measured", "jobs", "idle_ms"} <= set(worker)
        title = server.children()[worker["pid"]]
        assert title == f"weir:text_embedding:m:{worker['id']}"


def test_event_shape(server):
    events = server.events()
    server.vector("x")
    events.state("Ready", count=2)
    for event in events.seen:
        assert {"time_ms", "kind", "model", "worker", "from", "to", "reason"} <= set(event), event
    grants = events.kinds("grant")
    assert len(grants) == 2 and "GiB" in grants[0]["reason"]


def test_event_readers_come_and_go(server):
    """Readers that leave without a word neither block nor break the others."""
    first = server.events()
    for _ in range(20):
        server.raw(b"GET /weir/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").close()
    server.vector("x")
    first.state("Ready", count=2)


def test_tokenize(server):
    answer = server.post("/weir/v1/tokenize", {"model": "m", "input": "to be or not to be"})
    assert answer.status == 200, answer
    assert answer.json["pieces"] == [["to", "be", "or", "not", "to", "be"]]
    (ids,) = answer.json["tokens"]
    assert ids[0] == ids[4] and ids[1] == ids[5] and len(set(ids)) == 4
    several = server.post("/weir/v1/tokenize", {"model": "m", "input": ["to", "", "not be"]})
    assert [len(row) for row in several.json["tokens"]] == [1, 0, 2]
    back = server.post("/weir/v1/detokenize", {"model": "m", "tokens": [7, 8]})
    assert back.status == 200 and back.json == {"text": "7 8"}, back
    wrong = server.post("/weir/v1/detokenize", {"model": "m", "tokens": "7"})
    assert wrong.status == 400 and wrong.error["param"] == "tokens"


def test_sighup_changes_nothing(serve):
    """Without a file there is nothing new to read; requests go on with the same workers."""
    server = serve({"m": FAKE})
    server.vector("x")
    pids = sorted(w["pid"] for w in server.wait_settled())
    server.signal(signal.SIGHUP)
    assert server.embed("y").status == 200
    assert sorted(w["pid"] for w in server.workers()) == pids


def test_two_addresses(serve):
    server = serve({"m": FAKE}, "--listen", "127.0.0.2:0")
    lines = [line for line in server.log if line and line.startswith("weir: listening on ")]
    assert len(lines) == 2
    other = next(line for line in lines if "127.0.0.2" in line).rsplit(":", 1)[1]
    connection = http.client.HTTPConnection("127.0.0.2", int(other), timeout=20 * SLOW)
    connection.request("GET", "/health/live")
    assert connection.getresponse().status == 200
    connection.close()
