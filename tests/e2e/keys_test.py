"""API keys: who is let in, under which name, and what a file of keys may look like."""

import base64
import os
import signal

import pytest
from harness import raw_answer, raw_post, wait_until

FAKE = "fake:text_embedding?dim=8&script=yes"


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# for tests\nalice:sk-one\nalice:sk-one-later\nbob:sk:two\nsk-nameless\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def locked(serve, key_file):
    server = serve({"m": FAKE}, "--api-key-file", key_file, wait_ready=False)
    wait_until(lambda: server.get("/health/ready").status == 200, 10, "ready")
    return server


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def client_of(server, request_id):
    """How the log calls the client of a request."""
    def found():
        lines = [line for line in server.log_text().split("\n") if f" id={request_id} " in line]
        return [word for line in lines for word in line.split() if word.startswith("client=")]
    return wait_until(found, 5, "the request's line")[0][len("client="):]


@pytest.mark.parametrize("headers, client", [
    (bearer("sk-one"), "alice"), (bearer("sk-one-later"), "alice"), (bearer("sk:two"), "bob"),
    (bearer("sk-nameless"), "127.0.0.1"), ({"x-api-key": "sk-one"}, "alice"),
    (basic("anyone", "sk:two"), "bob"), (basic("", "sk-nameless"), "127.0.0.1"),
    ({"Authorization": "bearer  sk-one"}, "alice"),
    ({**bearer("sk-wrong"), "x-api-key": "sk-one"}, "alice"),
], ids=str)
def test_a_key_lets_in_under_its_name(locked, headers, client):
    answer = locked.embed(headers=headers)
    assert answer.status == 200, answer
    assert client_of(locked, answer.headers["x-request-id"]) == client


@pytest.mark.parametrize("headers", [
    {}, bearer("sk-wrong"), bearer(""), bearer("sk-on"), bearer("sk-onee"), bearer("alice:sk-one"),
    bearer("sk-nameless sk-one"), basic("sk-one", ""), {"Authorization": "sk-one"},
    {"Authorization": "Digest sk-one"}, {"x-api-key": ""}, {"x-api-key": "# for tests"},
    {"Cookie": "api_key=sk-one"},
], ids=str)
def test_no_key_no_answer(locked, headers):
    for method, path in (("POST", "/v1/embeddings"), ("GET", "/v1/models"), ("GET", "/metrics"),
                         ("GET", "/nothing"), ("POST", "/weir/v1/unload")):
        body = {"model": "m", "input": "x"} if method == "POST" else None
        answer = locked.post(path, body, headers) if body else locked.get(path, headers=headers)
        assert answer.status == 401, answer
        assert answer.error["type"] == "authentication_error"
        assert answer.error["code"] == "invalid_api_key" and answer.error["param"] is None
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["x-should-retry"] == "false"
        assert "sk-" not in answer.error["message"]


def test_what_needs_no_key(locked):
    for path in ("/health/live", "/health/ready"):
        assert locked.get(path).status == 200
        assert locked.request("HEAD", path).status == 200
    answer = locked.request("OPTIONS", "/v1/embeddings", headers={
        "Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization"})
    assert answer.status == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]
    # A page of an origin that is let in may read why it is refused.
    answer = locked.get("/v1/models", headers={"Origin": "http://localhost:3000"})
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "x-should-retry" in answer.headers["access-control-expose-headers"]


def test_refused_before_the_body(locked):
    status, headers, _ = raw_answer(locked, raw_post({}, Expect="100-continue").partition(b"{}")[0])
    assert status == 401 and headers["connection"] == "close"


def test_the_name_is_the_client_of_the_pool(locked):
    keys = ("sk-one", "sk-one-later", "sk:two", "sk-nameless")
    asked = [locked.later(locked.embed, f"!sleep {20 + i}s", headers={**bearer(key), "x-request-id": f"r{i}"})
             for i, key in enumerate(keys)]

    def clients():
        listed = locked.get("/weir/v1/requests", headers=bearer("sk-one")).json["requests"]
        return sorted(request["client"] for request in listed)
    wait_until(lambda: clients() == ["127.0.0.1", "alice", "alice", "bob"], 10, "all four")
    for i in range(len(keys)):
        assert locked.request("DELETE", f"/weir/v1/requests/r{i}", headers=bearer("sk-one")).status == 200
    assert [answer.result().status for answer in asked] == [499] * 4


def test_sighup_reads_the_keys_again(locked, key_file):
    assert locked.embed(headers=bearer("sk-one")).status == 200
    key_file.write_text("carol:sk-three\n")
    locked.signal(signal.SIGHUP)
    wait_until(lambda: locked.embed(headers=bearer("sk-three")).status == 200, 5, "the new key")
    assert locked.embed(headers=bearer("sk-one")).status == 401
    key_file.write_text("carol:sk-three\nbad name:sk-four\n")
    locked.signal(signal.SIGHUP)
    wait_until(lambda: "everything stays as it was" in locked.log_text(), 5, "the refusal")
    assert "keys:2:" in locked.log_text() and "sk-four" not in locked.log_text()
    assert locked.embed(headers=bearer("sk-three")).status == 200


def test_keys_come_and_go_by_the_configuration(serve, key_file, tmp_path):
    config = tmp_path / "weir.conf"
    config.write_text(f"[model m]\npath = {FAKE}\n")
    server = serve({}, WEIR_CONFIG=str(config))
    assert server.embed().status == 200
    config.write_text(f"api-key-file = {key_file}\n[model m]\npath = {FAKE}\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.embed().status == 401, 5, "a key is asked for")
    assert server.embed(headers=bearer("sk-one")).status == 200
    config.write_text(f"[model m]\npath = {FAKE}\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.embed().status == 200, 5, "none is asked for")


@pytest.mark.parametrize("text, says", [
    (None, "No such file"), ("", "no key"), ("# nothing\n", "no key"), ("a b\n", ":1:"),
    ("sk-one\nsk-one\n", "line 1 again"), ("1:sk-one\n", "name"),
])
def test_wrong_files_end_the_start(weir, tmp_path, text, says):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    done = weir("serve", "--api-key-file", path, "--listen", "127.0.0.1:0")
    assert done.returncode == 2, done
    assert "--api-key-file" in done.stderr and says in done.stderr, done.stderr
    assert "sk-one" not in done.stderr


def test_a_file_for_everybody_is_warned_about(serve, key_file):
    for mode, is_warned in ((0o644, True), (0o660, True), (0o640, False), (0o600, False)):
        os.chmod(key_file, mode)
        server = serve({"m": FAKE}, "--api-key-file", key_file, wait_ready=False)
        assert (f"mode {mode:04o}" in server.log_text()) == is_warned, server.log_text()


@pytest.mark.parametrize("listen, with_keys, is_warned", [
    ("127.0.0.1:0", False, False), ("localhost:0", False, False), ("127.9.9.9:0", False, False),
    ("0.0.0.0:0", False, True), ("0.0.0.0:0", True, False),
])
def test_an_open_door_is_warned_about(serve, key_file, listen, with_keys, is_warned):
    keys = ["--api-key-file", key_file] if with_keys else []
    server = serve({"m": FAKE}, "--listen", listen, *keys, wait_ready=False)
    wait_until(lambda: server.log_text().count("weir: listening") == 2, 5, "both addresses")
    assert ("without API keys" in server.log_text()) == is_warned, server.log_text()


def test_the_commands_send_their_key(serve, key_file, weir):
    server = serve({"m": FAKE}, "--api-key-file", key_file, wait_ready=False)
    wait_until(lambda: server.get("/health/ready").status == 200, 10, "ready")
    done = weir("embed", "m", "x", WEIR_HOST=server.url, WEIR_API_KEY="sk-one")
    assert done.returncode == 0 and '"embedding"' in done.stdout, done
    assert weir("ls", "--names", WEIR_HOST=server.url, WEIR_API_KEY="sk-one").stdout == "m\n"
    for more, named in (({}, "$WEIR_API_KEY is not set: "), ({"WEIR_API_KEY": "sk-two"}, "$WEIR_API_KEY: ")):
        done = weir("ls", "--names", WEIR_HOST=server.url, **more)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith(f"weir ls: {named}"), done
    done = weir("embed", "m", "x", WEIR_HOST=server.url)
    assert done.returncode != 0 and "API key" in done.stderr, done
