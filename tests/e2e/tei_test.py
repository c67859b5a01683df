"""The routes of Text Embeddings Inference: its bodies, bare, with the statuses of this server."""

import math
import os

import pytest
from harness import ROOT, raw_post, read_answers, wait_until

FAKE = "fake:text_embedding"
FIXTURES = os.path.join(ROOT, "tests", "fixtures")
TINY = os.path.join(FIXTURES, "tiny_bert")
PROMPTED = os.path.join(FIXTURES, "encoders", "bert_shards")


def embed(server, inputs, path="/embed", headers=None, **fields):
    return server.post(path, {"inputs": inputs, **fields}, headers)


def vectors(server, inputs, **fields):
    answer = embed(server, inputs, **fields)
    assert answer.status == 200, answer
    return answer.json


def error_of(answer, status, kind):
    """The sentence of an error, which has this status and type and nothing else."""
    assert answer.status == status, answer
    assert set(answer.json) == {"error", "error_type"} and answer.json["error"], answer
    assert answer.json["error_type"] == kind, answer
    assert answer.headers["content-type"] == "application/json"
    return answer.json["error"]


def length(vector):
    return math.sqrt(sum(v * v for v in vector))


# --- POST /embed ---------------------------------------------------------------------------------

def test_every_form_of_inputs(serve):
    server = serve({"m": FAKE + "?dim=8"})
    one, two = server.vector("one"), server.vector("two words")
    ids = server.embed([5, 6, 7]).vectors[0]
    assert vectors(server, "one") == [one]
    assert vectors(server, ["one", "two words"]) == [one, two]
    assert vectors(server, [5, 6, 7]) == [ids]
    assert vectors(server, [[5, 6, 7]]) == [ids]
    assert vectors(server, ["one", [5, 6, 7], "two words"]) == [one, ids, two]
    assert vectors(server, "one", truncate=None, normalize=None, dimensions=None, prompt_name=None,
                   truncation_direction=None, model=None, colour="blue") == [one]


def test_what_the_head_says(serve):
    server = serve({"m": FAKE})
    head = embed(server, ["zwölf käse", [5, 6, 7]]).headers
    assert head["x-compute-type"] == "cpu"
    assert head["x-compute-characters"] == "10" and head["x-compute-tokens"] == "5"
    total = int(head["x-total-time"])
    for name in ("x-compute-time", "x-queue-time", "x-inference-time"):
        assert 0 <= int(head[name]) <= total + 1, name
    assert head["x-request-id"] and "x-weir-truncated" not in head


def test_normalize(serve):
    """The same bits as elsewhere when the model normalises; its own length when it shall not."""
    server = serve({"m": TINY})
    (unit,), (own,) = vectors(server, "water"), vectors(server, "water", normalize=False)
    assert unit == server.vector("water") == vectors(server, "water", normalize=True)[0]
    assert not math.isclose(length(own), 1, rel_tol=0.01)
    assert unit == pytest.approx([v / length(own) for v in own], abs=1e-6)
    (cut,) = vectors(server, "water", normalize=False, dimensions=4)
    assert cut == own[:4]
    (cut,) = vectors(server, "water", dimensions=4)
    assert math.isclose(length(cut), 1, rel_tol=1e-5) and len(cut) == 4


def test_requests_with_other_lengths_are_not_one(serve):
    """They come while the model loads, so that equal ones would share an answer and a batch."""
    server = serve({"m": TINY})
    asked = [server.later(vectors, server, "water", normalize=flag)
             for flag in (True, False, True, False)]
    found = [one.result() for one in asked]
    assert found[0] == found[2] and found[1] == found[3] and found[0] != found[1]


def test_truncate(serve):
    server = serve({"m": TINY})
    limit = server.get("/info").json["max_input_length"]
    body = limit - 2  # besides the special tokens
    long = "weir " * 10 + "water " * body
    for fields in ({}, {"truncate": False}):
        assert str(limit) in error_of(embed(server, ["x", long], **fields), 400, "Validation")
    cut = embed(server, ["x", long], truncate=True)
    assert cut.status == 200 and cut.headers["x-weir-truncated"] == "1", cut
    assert cut.json[1] == vectors(server, "weir " * 10 + "water " * (body - 10))[0]
    left = vectors(server, long, truncate=True, truncation_direction="Left")
    assert left == vectors(server, "water " * body)
    assert vectors(server, long, truncate=True, truncation_direction="Right") == [cut.json[1]]
    ids = server.post("/weir/v1/tokenize", {"model": "m", "input": long}).json["tokens"][0]
    assert vectors(server, [ids], truncate=True, truncation_direction="left") == \
        vectors(server, [ids[-limit:]])


def test_a_model_that_truncates(serve, tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model m]\npath = {TINY}\ntruncate = yes\n")
    server = serve({}, "--config", conf)
    assert server.get("/info").json["auto_truncate"] is True
    assert embed(server, "water " * 1000).headers["x-weir-truncated"] == "1"
    error_of(embed(server, "water " * 1000, truncate=False), 400, "Validation")


def test_prompts(serve):
    server = serve({"m": PROMPTED})
    assert vectors(server, "water", prompt_name="query") == \
        server.embed("water", prompt_name="query").vectors
    assert "query" in error_of(embed(server, "water", prompt_name="qury"), 400, "Validation")


@pytest.mark.parametrize("body, kind, words", [
    ('{"inputs":""}', "Empty", ["inputs[0]"]),
    ('{"inputs":[]}', "Empty", ["inputs"]),
    ('{"inputs":[[]]}', "Empty", ["inputs[0]"]),
    ('{"inputs":["x","y",""]}', "Empty", ["inputs[2]"]),
    ('{"inputs":["x",[]]}', "Empty", ["inputs[1]"]),
    ('{}', "Validation", ["inputs"]),
    ('{"inputs":null}', "Validation", ["inputs"]),
    ('{"inputs":7}', "Validation", ["inputs", "integer"]),
    ('{"inputs":["x",7]}', "Validation", ["inputs[1]", "integer"]),
    ('{"inputs":[7,"x"]}', "Validation", ["inputs"]),
    ('{"inputs":[-7]}', "Validation", ["inputs"]),
    ('{"inputs":[{"text":"x"}]}', "Validation", ["inputs", "object"]),
    ('{"inputs":["a","b","c","d","e"]}', "Validation", ["5", "4"]),
    ('{"inputs":"x","normalize":"no"}', "Validation", ["normalize"]),
    ('{"inputs":"x","truncate":1}', "Validation", ["truncate"]),
    ('{"inputs":"x","truncation_direction":"Up"}', "Validation", ["truncation_direction", "Up"]),
    ('{"inputs":"x","dimensions":0}', "Validation", ["dimensions", "0"]),
    ('{"inputs":"x","dimensions":9}', "Validation", ["9", "8"]),
    ('{"inputs":"x","model":7}', "Validation", ["model"]),
    ('{"inputs":"x","model":""}', "Validation", ["model"]),
    ('{"inputs":"x","prompt_name":7}', "Validation", ["prompt_name"]),
    ('{"inputs":"x"', "Validation", ["JSON"]),
    ('[]', "Validation", ["object"]),
    ('', "Validation", ["empty"]),
])
def test_wrong_requests(serve, body, kind, words):
    server = serve({"m": FAKE + "?dim=8"}, "--limit", "inputs=4")
    answer = server.post("/embed", body)
    said = error_of(answer, 400, kind)
    assert all(word in said for word in words), said
    assert answer.headers["x-should-retry"] == "false"
    assert embed(server, "x").status == 200


def test_errors_of_the_pool(serve):
    server = serve({"m": FAKE + "?script=yes&slots=1", "weak": FAKE + "?script=yes",
                    "bad": "/nowhere/at/all", "vast": FAKE + "?weights=900GiB"},
                   "--max-workers", 1, "--limit", "queue_jobs=1")
    assert "nobody" in error_of(embed(server, "x", model="nobody"), 404, "Validation")
    error_of(embed(server, "!crash", model="weak"), 422, "Backend")
    error_of(embed(server, "!fail no luck", model="m"), 500, "Backend")
    assert "/nowhere" in error_of(embed(server, "x", model="bad"), 500, "Backend")
    error_of(embed(server, "!sleep 20s", model="m", deadline_ms=100), 504, "Backend")
    error_of(embed(server, "x", model="vast"), 507, "Backend")

    def named(name, text):
        return server.later(embed, server, text, model="m", headers={"x-request-id": name})

    held = [named("running", "!sleep 20s")]
    server.wait_jobs(1)
    held.append(named("waiting", "y"))
    wait_until(lambda: server.model()["queue"] == 1, 10, "one waits")
    full = embed(server, "z", model="m")
    error_of(full, 429, "Overloaded")
    assert int(full.headers["retry-after"]) >= 1
    for name in ("waiting", "running"):
        assert server.request("DELETE", f"/weir/v1/requests/{name}").status == 200
    for request in held:
        error_of(request.result(), 499, "Backend")


def test_other_methods_and_types(serve):
    server = serve({"m": FAKE})
    for method, path in (("GET", "/embed"), ("POST", "/info"), ("POST", "/health")):
        answer = server.request(method, path, "{}" if method == "POST" else None)
        error_of(answer, 405, "Validation")
        assert "OPTIONS" in answer.headers["allow"]
    answer = server.post("/embed", {"inputs": "x"}, {"Content-Type": "text/plain"})
    error_of(answer, 415, "Validation")


def test_refused_before_there_is_a_route(serve, tmp_path):
    """Whoever is refused at the door is told so in the words of the path that it knocked at."""
    keys = tmp_path / "keys"
    keys.write_text("sk-right\n")
    keys.chmod(0o600)
    server = serve({"m": FAKE}, "--api-key-file", keys, "--limit", "body_bytes=256KiB", wait_ready=False)
    right = {"Authorization": "Bearer sk-right"}
    wait_until(lambda: server.get("/health").status == 200, 10, "ready")
    for answer in (embed(server, "x"), server.get("/info"), embed(server, "x", headers={"x-api-key": "sk"})):
        assert "key" in error_of(answer, 401, "Validation")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        assert "evil.example" in error_of(embed(server, "x", headers={**right, **headers}), 403, "Validation")
        error_of(server.get("/health", headers=headers), 403, "Validation")
    too_large = b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n"
    for head, status in ((too_large + b"\r\n", 413), (too_large.replace(b"Length", b"Other") + b"X\r\n\r\n", 400),
                         (b"GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n\r\n", 417)):
        connection = server.raw(head)
        ((found, _, body),) = read_answers(connection, 1)
        connection.close()
        assert found == status and b'"error_type":"Validation"' in body, body
    assert embed(server, "x", headers=right).status == 200


# --- which model ---------------------------------------------------------------------------------

def test_the_only_embedding_model(serve):
    server = serve({"chat": "fake:text_to_text", "a/b:c": FAKE + "?dim=3",
                    "bad": "/nowhere/at/all"})
    assert len(vectors(server, "x")[0]) == 3
    assert server.get("/info").json["model_id"] == "a/b:c"


def test_one_of_several(serve, tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model three]\npath = {FAKE}?dim=3\nalias = other/three\n")
    server = serve({"two": FAKE + "?dim=2", "chat": "fake:text_to_text"}, "--config", conf)
    assert len(vectors(server, "x", model="two")[0]) == 2
    assert len(vectors(server, "x", path="/embed?model=other%2Fthree")[0]) == 3
    assert len(vectors(server, "x", path="/embed?model=two", model="three")[0]) == 3
    assert server.get("/info?model=other/three").json["model_id"] == "three"
    assert "model" in error_of(embed(server, "x"), 400, "Validation")
    assert "model" in error_of(server.get("/info"), 400, "Validation")
    assert "model" in error_of(embed(server, "x", path="/embed?model="), 400, "Validation")
    error_of(embed(server, "x", path="/embed?model=%zz"), 400, "Validation")
    error_of(server.get("/info?model=nobody"), 404, "Validation")
    error_of(server.get("/info?model=chat"), 400, "Validation")


def test_no_embedding_model(serve):
    server = serve({"chat": "fake:text_to_text", "draw": "fake:text_to_image"})
    error_of(embed(server, "x"), 400, "Validation")
    alone = serve({"bad": "/nowhere/at/all"})
    assert "/nowhere" in error_of(embed(alone, "x"), 500, "Backend")
    assert "/nowhere" in error_of(alone.get("/info"), 500, "Backend")


# --- GET /info and /health -----------------------------------------------------------------------

def test_info(serve, tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model half]\npath = {TINY}\nprecision = bf16\n")
    server = serve({"m": TINY}, "--config", conf, "--limit", "inputs=7")
    info = server.get("/info?model=m").json
    assert info["model_id"] == info["served_model_name"] == "m"
    assert info["model_dtype"] == "float32" and info["model_sha"] is None
    assert info["max_client_batch_size"] == 7 and info["auto_truncate"] is False
    assert list(info["model_type"]) == ["embedding"]
    most = info["max_input_length"]
    ids = [5] * most
    assert embed(server, [ids], model="m").status == 200
    assert str(most) in error_of(embed(server, [ids + [5]], model="m"), 400, "Validation")
    assert server.get("/info?model=half").json["model_dtype"] == "bfloat16"
    head = server.request("HEAD", "/info?model=m")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 50


def test_health(serve):
    """An empty 200; while the server drains, which ends when what runs has ended, a 503."""
    server = serve({"m": FAKE + "?step=1s"}, "--max-workers", 1)
    for method in ("GET", "HEAD"):
        answer = server.request(method, "/health")
        assert answer.status == 200 and answer.body == b"", answer
    connection = server.raw()
    running = server.later(server.embed, "x")
    server.wait_jobs(1)
    server.signal(15)
    wait_until(lambda: "draining" in server.log_text(), 5, "a drain")
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    ((status, headers, body),) = read_answers(connection, 1)
    connection.close()
    assert status == 503 and b'"error_type":"Unhealthy"' in body
    assert int(headers["retry-after"]) >= 1
    assert running.result().status == 200
    assert server.wait_exit(15) == 0


def test_pipelined_with_others(serve):
    """Errors of one route have nothing to do with those of the next request."""
    server = serve({"m": FAKE})
    connection = server.raw(raw_post({"inputs": ""}, "/embed")
                            + raw_post({"model": "m", "input": ""})
                            + raw_post({"inputs": "x"}, "/embed"))
    first, second, third = read_answers(connection, 3)
    connection.close()
    assert first[0] == 400 and b'"error_type":"Empty"' in first[2]
    assert second[0] == 400 and b'"error":{"message"' in second[2]
    assert third[0] == 200 and third[2].startswith(b"[[")
