"""The official `openai` client, as it comes: every form of input, its typed exceptions, what it
tries again and when, a crowd of requests at once, and what is left of those that were given up."""

import asyncio
import os
import re
import resource
import time

import pytest
from harness import ROOT, SLOW, decode_base64, wait_until

FAKE = "fake:text_embedding"
TINY = os.path.join(ROOT, "tests", "fixtures", "tiny_bert")
ROUTES = ('route="POST /v1/embeddings"', 'route="none"')  # none: refused before one was found


@pytest.fixture
def connect(openai):
    """connect(server, …) is a client of the server; without more words it never tries again."""
    clients = []

    def make(server, **more):
        options = {"api_key": "none", "timeout": 60 * SLOW, "max_retries": 0, **more}
        clients.append(openai.OpenAI(base_url=server.url + "/v1", **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def seen(server):
    """How many requests for embeddings the server has answered, by status."""
    text = server.get("/metrics").body.decode()
    found = re.findall(r"^weir_http_requests_total\{([^}]*)\} (\d+)$", text, re.M)
    counts = {}
    for labels, count in found:
        if any(route in labels for route in ROUTES):
            status = re.search(r'status="(\d+)"', labels).group(1)
            counts[status] = counts.get(status, 0) + int(count)
    return counts


def assert_nothing_is_left(server, model="m"):
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 0, 10, "no request")
    server.wait_jobs(0, model)
    assert server.model(model)["queue"] == 0


# --- models --------------------------------------------------------------------------------------

def test_models(serve, connect, tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model team/model:q4]\npath = {FAKE}\nalias = short, team/other\n")
    server = serve({"m": FAKE, "bad": "/nowhere/at/all"}, "--config", conf)
    client = connect(server)
    listed = list(client.models.list())
    assert sorted(model.id for model in listed) == ["bad", "m", "team/model:q4"]
    assert all(model.object == "model" and model.created and model.owned_by for model in listed)
    for name in ("team/model:q4", "short", "team/other"):
        assert client.models.retrieve(name) in listed
        assert client.models.retrieve(name).id == "team/model:q4"
        answer = client.embeddings.create(model=name, input="one")
        assert answer.model == name and len(answer.data) == 1
    assert client.models.retrieve("bad").id == "bad"


# --- embeddings ----------------------------------------------------------------------------------

@pytest.mark.parametrize("value, tokens", [
    ("one two", [2]), (["one two", "three"], [2, 1]), ([5, 6, 7], [3]), ([[5, 6], [7]], [2, 1]),
], ids=["text", "texts", "ids", "lists of ids"])
def test_every_form_of_input(server, connect, value, tokens):
    client = connect(server)
    answer = client.embeddings.create(model="m", input=value, user="somebody",
                                      extra_body={"colour": "blue"})
    assert answer.object == "list" and answer.model == "m"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(tokens)
    assert [row.index for row in answer.data] == list(range(len(tokens)))
    vectors = [row.embedding for row in answer.data]
    assert all(len(vector) == 8 for vector in vectors)
    floats = client.embeddings.create(model="m", input=value, encoding_format="float")
    assert [row.embedding for row in floats.data] == [pytest.approx(v, rel=1e-7) for v in vectors]
    coded = client.embeddings.create(model="m", input=value, encoding_format="base64")
    assert [decode_base64(row.embedding) for row in coded.data] == vectors
    several = isinstance(value, list) and isinstance(value[0], (str, list))
    assert vectors == [client.embeddings.create(model="m", input=one).data[0].embedding
                       for one in (value if several else [value])]


def test_dimensions_and_truncate(serve, connect):
    client = connect(serve({"m": TINY}))
    assert len(client.embeddings.create(model="m", input="x", dimensions=3).data[0].embedding) == 3
    long = ["water", "water " * 1000]
    cut = client.embeddings.create(model="m", input=long, extra_body={"truncate": True})
    assert cut.model_extra["truncated"] == [1]
    assert cut.usage.prompt_tokens < 1000


def test_request_ids(server, connect):
    client = connect(server)
    answer = client.embeddings.create(model="m", input="x",
                                      extra_headers={"x-request-id": "mine-1"})
    assert answer._request_id == "mine-1"
    other = client.embeddings.create(model="m", input="x")
    assert other._request_id and other._request_id != "mine-1"


# --- exceptions ----------------------------------------------------------------------------------

# The model, the exception, its status and code, and what is asked for.
MISTAKES = {
    "empty": ("m", "BadRequestError", 400, "invalid_request", {"input": ["x", ""]}),
    "none": ("m", "BadRequestError", 400, "invalid_request", {"input": []}),
    "dimensions": ("m", "BadRequestError", 400, "invalid_request", {"dimensions": 9}),
    "too long": ("tiny", "BadRequestError", 400, "context_length_exceeded",
                 {"input": "water " * 1000}),
    "origin": ("m", "PermissionDeniedError", 403, "forbidden",
               {"extra_headers": {"Origin": "http://evil.example"}}),
    "model": ("nobody", "NotFoundError", 404, "model_not_found", {}),
    "body": ("m", "APIStatusError", 413, "body_too_large", {"input": "x" * 300000}),
    "media type": ("m", "APIStatusError", 415, "unsupported_media_type",
                   {"extra_headers": {"Content-Type": "text/plain"}}),
    "deadly": ("weak", "UnprocessableEntityError", 422, "input_quarantined", {"input": "!crash"}),
    "failed": ("m", "InternalServerError", 500, "model_failed", {"input": "!fail no luck"}),
    "load": ("bad", "InternalServerError", 500, "model_load_failed", {}),
    "deadline": ("m", "InternalServerError", 504, "deadline_exceeded",
                 {"input": "!sleep 20s", "extra_body": {"deadline_ms": 200}}),
    "memory": ("vast", "InternalServerError", 507, "model_too_large", {}),
}


def test_exceptions_of_what_is_not_tried_again(serve, openai, connect):
    """Each is told once: the client, who would try three times more, is told not to."""
    server = serve({"m": FAKE + "?dim=8&script=yes", "weak": FAKE + "?script=yes",
                    "bad": "/nowhere/at/all", "tiny": TINY, "vast": FAKE + "?weights=900GiB"},
                   "--limit", "body_bytes=256KiB")
    client = connect(server, max_retries=3)
    for name, (model, kind, status, code, fields) in MISTAKES.items():
        before = seen(server)
        with pytest.raises(getattr(openai, kind)) as caught:
            client.embeddings.create(**{"model": model, "input": "x", **fields})
        error = caught.value
        assert (error.status_code, error.code) == (status, code), name
        assert error.message and error.request_id, name
        assert error.type == ("server_error" if status >= 500 else "permission_error"
                              if status == 403 else "invalid_request_error"), name
        after = seen(server)
        assert sum(after.values()) == sum(before.values()) + 1, (name, before, after)
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/here")
    assert "nobody/here" in caught.value.message
    assert len(client.embeddings.create(model="m", input="still here").data) == 1


def test_a_wrong_key(serve, openai, connect, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("alice:sk-right\n")
    keys.chmod(0o600)
    server = serve({"m": FAKE}, "--api-key-file", keys, wait_ready=False)
    wait_until(lambda: server.get("/health/ready").status == 200, 10, "ready")
    assert len(connect(server, api_key="sk-right").embeddings.create(model="m", input="x").data) == 1
    log = []
    client = connect(server, api_key="sk-wrong", max_retries=3, http_client=watch(openai, log))
    for ask in (client.models.list, lambda: client.embeddings.create(model="m", input="x")):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask()
        error = caught.value
        assert (error.status_code, error.code, error.type) == (401, "invalid_api_key",
                                                               "authentication_error")
        assert error.request_id and "sk-wrong" not in error.message
    assert [row["status"] for row in log] == [401, 401]


def watch(openai, log):
    """A transport that notes when each request went out and what each answer said."""
    def sent(request):
        log.append({"sent": time.monotonic()})

    def came(response):
        log[-1].update(came=time.monotonic(), status=response.status_code,
                       retry_ms=int(response.headers.get("retry-after-ms", 0)),
                       retry_s=int(response.headers.get("retry-after", 0)))
    return openai.DefaultHttpxClient(event_hooks={"request": [sent], "response": [came]})


def fill(server):
    """One request that runs and one that waits, where there is room for no more."""
    held = [server.later(server.embed, "first", headers={"x-request-id": "running"})]
    server.wait_jobs(1)
    held.append(server.later(server.embed, "second", headers={"x-request-id": "waiting"}))
    wait_until(lambda: server.model()["queue"] == 1, 10, "one request waits")
    return held


def clear(server, held):
    for name in ("waiting", "running"):
        assert server.request("DELETE", f"/weir/v1/requests/{name}").status == 200
    assert [request.result().status for request in held] == [499, 499]


def serve_narrow(serve):
    return serve({"m": FAKE + "?slots=1&step=30s&dim=8"}, "--max-workers", 1, "--limit",
                 "queue_jobs=1")


def test_a_full_queue_is_a_rate_limit(serve, openai, connect):
    server = serve_narrow(serve)
    held = fill(server)
    with pytest.raises(openai.RateLimitError) as caught:
        connect(server).embeddings.create(model="m", input="third")
    error = caught.value
    assert (error.status_code, error.code, error.type) == (429, "queue_full", "rate_limit_error")
    assert int(error.response.headers["retry-after"]) >= 1
    assert "x-should-retry" not in error.response.headers
    clear(server, held)
    assert_nothing_is_left(server)


def test_it_waits_as_long_as_it_is_told(serve, openai, connect):
    """It is refused, waits for Retry-After, and comes again to a queue with room."""
    server = serve({"m": FAKE + "?slots=1&script=yes&dim=8"}, "--max-workers", 1, "--limit",
                   "queue_jobs=1")
    log = []
    client = connect(server, max_retries=4, http_client=watch(openai, log))
    assert server.embed("warm up").status == 200
    held = [server.later(server.embed, "!sleep 60s", headers={"x-request-id": "running"})]
    server.wait_jobs(1)
    held.append(server.later(server.embed, "second", headers={"x-request-id": "waiting"}))
    wait_until(lambda: server.model()["queue"] == 1, 10, "one request waits")
    asking = server.later(client.embeddings.create, model="m", input="third")
    wait_until(lambda: log and log[0].get("status") == 429, 10, "it was refused")
    before = seen(server)
    clear(server, held)
    assert len(asking.result(timeout=60 * SLOW).data) == 1
    assert [row["status"] for row in log] == [429, 200]
    refused, again = log
    assert 0 < refused["retry_ms"] <= 1000 * refused["retry_s"] < refused["retry_ms"] + 1000
    assert again["sent"] - refused["came"] >= refused["retry_ms"] / 1000
    assert before["429"] == seen(server)["429"] == 1


def test_it_comes_again_when_the_model_may_be_started_again(serve, openai, connect):
    """Two workers are lost to one input; until others may start the model is unavailable."""
    server = serve({"m": FAKE + "?script=yes&dim=8"}, "--max-workers", 1)
    log = []
    client = connect(server, max_retries=4, http_client=watch(openai, log))
    with pytest.raises(openai.UnprocessableEntityError):
        client.embeddings.create(model="m", input="!crash")
    assert len(client.embeddings.create(model="m", input="x").data) == 1
    assert [row["status"] for row in log] == [422, 503, 200]
    assert log[1]["retry_ms"] >= 1000
    assert log[2]["sent"] - log[1]["came"] >= log[1]["retry_ms"] / 1000


def test_it_gives_up_after_its_retries(serve, openai, connect):
    server = serve_narrow(serve)
    held = fill(server)
    log = []
    with pytest.raises(openai.RateLimitError):
        connect(server, max_retries=1, http_client=watch(openai, log)).embeddings.create(
            model="m", input="third")
    assert [row["status"] for row in log] == [429, 429]
    assert log[1]["sent"] - log[0]["came"] >= log[0]["retry_ms"] / 1000
    assert seen(server)["429"] == 2
    clear(server, held)


# --- a crowd -------------------------------------------------------------------------------------

CROWD, CLIENTS = 2000, 20  # a client's time for a request grows with its connections


def in_crowd(openai, server, texts):
    """All at once, each on a connection of its own: an answer's vector, or the exception."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=len(texts))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(len(texts) + 1000, hard)), hard))

    def connect():
        http_client = openai.DefaultAsyncHttpxClient(limits=limits, verify=False)
        return openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0,
                                  timeout=120 * SLOW, http_client=http_client)

    async def ask(client, text):
        answer = await client.embeddings.create(model="m", input=text, encoding_format="base64")
        return answer.data[0].embedding

    async def run():
        clients = [connect() for _ in range(CLIENTS)]
        found = await asyncio.gather(*(ask(clients[at % CLIENTS], text)
                                       for at, text in enumerate(texts)), return_exceptions=True)
        for client in clients:
            await client.close()
        return found

    try:
        return asyncio.run(run())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_thousand_at_once(serve, openai):
    """Each ends in its own vector or in RateLimitError, and in nothing else."""
    server = serve({"m": FAKE + "?dim=8&slots=16&step=40ms"}, "--max-workers", 2,
                   "--limit", "queue_jobs=256")
    texts = [f"text {number}" for number in range(CROWD)]
    found = in_crowd(openai, server, texts)
    kinds = {type(one).__name__ for one in found}
    assert kinds == {"str", "RateLimitError"}, kinds
    done = [at for at, one in enumerate(found) if isinstance(one, str)]
    assert len(done) >= 256
    alone = server.embed([texts[at] for at in done], encoding_format="base64").vectors
    assert [found[at] for at in done] == alone
    assert seen(server) == {"200": len(done) + 1, "429": len(texts) - len(done)}
    assert_nothing_is_left(server)


# --- given up ------------------------------------------------------------------------------------

def test_cancelled_tasks_leave_nothing(serve, openai):
    server = serve({"m": FAKE + "?slots=2&step=60s"}, "--max-workers", 1)

    async def run():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none",
                                      timeout=60 * SLOW) as client:
            tasks = [asyncio.create_task(client.embeddings.create(model="m", input=f"text {i}"))
                     for i in range(8)]
            await asyncio.to_thread(server.wait_jobs, 2)
            await asyncio.to_thread(wait_until, lambda: server.model()["queue"] == 6, 10, "6 wait")
            for task in tasks:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(one) for one in asyncio.run(run())} == {asyncio.CancelledError}
    assert_nothing_is_left(server)


def test_a_client_that_ran_out_of_time_leaves_nothing(serve, openai, connect):
    server = serve({"m": FAKE + "?slots=1&step=60s"}, "--max-workers", 1)
    server.later(server.embed, "first", headers={"x-request-id": "running"})
    server.wait_jobs(1)
    with pytest.raises(openai.APITimeoutError):
        connect(server, timeout=0.3).embeddings.create(model="m", input="second")
    wait_until(lambda: server.get("/weir/v1/requests").json["count"] == 1, 10, "the other one")
    assert server.request("DELETE", "/weir/v1/requests/running").status == 200
    assert_nothing_is_left(server)


def test_one_that_was_deleted_is_not_tried_again(serve, openai, connect):
    server = serve({"m": FAKE + "?slots=1&step=60s"}, "--max-workers", 1)
    client = connect(server, max_retries=3)
    asking = server.later(client.embeddings.create, model="m", input="x",
                          extra_headers={"x-request-id": "mine"})
    server.wait_jobs(1)
    assert server.request("DELETE", "/weir/v1/requests/mine").status == 200
    with pytest.raises(openai.APIStatusError) as caught:
        asking.result(timeout=60 * SLOW)
    assert (caught.value.status_code, caught.value.code) == (499, "cancelled")
    assert seen(server) == {"499": 1}
    assert_nothing_is_left(server)
