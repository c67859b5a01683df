"""Five capabilities over HTTP, plain and streamed: right answers, honest errors, one end each."""

import base64
import http.client
import json
import os
import signal
import socket
import struct
import time

import pytest
from harness import SLOW, MiB, raw_post, wait_until

IMAGES = [b"\x89PNG\r\n\x1a\n first", b"\x89PNG\r\n\x1a\n second"]
MODELS = {
    "text": "fake:text_embedding?dim=8&script=yes&slots=4",
    "chat": "fake:text_to_text?script=yes&slots=4",
    "clip": "fake:image_embedding?dim=8&script=yes",
    "eye": "fake:vision?script=yes&slots=4",
    "draw": "fake:text_to_image?steps=3&script=yes",
}


def data_url(image):
    return "data:image/png;base64," + base64.b64encode(image).decode()


def chat(text, images=(), model="chat", **fields):
    content = text if not images else [
        {"type": "image_url", "image_url": {"url": data_url(i)}} for i in images] + [
        {"type": "text", "text": text}]
    return "/v1/chat/completions", {
        "model": model, "messages": [{"role": "user", "content": content}], **fields}


def describe(text, images=IMAGES, **fields):
    return chat(text, images, model="eye", **fields)


def draw(prompt, **fields):
    return "/v1/images/generations", {"model": "draw", "prompt": prompt, **fields}


def embed(model, inputs, **fields):
    return "/v1/embeddings", {"model": model, "input": inputs, **fields}


def text_of(answer):
    (choice,) = answer.json["choices"]
    return choice["message"]["content"]


class Stream:
    """One streamed answer: its status, and its events as they come."""

    def __init__(self, server, request):
        path, body = request
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=60 * SLOW)
        self.connection.request("POST", path, json.dumps({**body, "stream": True}),
                                {"Content-Type": "application/json"})
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def event(self):
        """(name, data) of the next event, None at the end; data is JSON or "[DONE]"."""
        name = None
        for line in self.response:
            line = line.rstrip(b"\n")
            if line.startswith(b"event: "):
                name = line[7:].decode()
            elif line.startswith(b"data: "):
                data = line[6:].decode()
                assert self.response.readline() == b"\n"
                return name, data if data == "[DONE]" else json.loads(data)
            else:
                assert line.startswith(b":"), line
        return None

    def rest(self):
        """Every event to the end, which must come by HTTP's own rules."""
        events = []
        while (event := self.event()) is not None:
            events.append(event)
        self.close()
        return events

    def close(self):
        self.connection.close()
        self.response.close()


def streamed(server, request):
    stream = Stream(server, request)
    assert stream.status == 200, (stream.status, stream.response.read())
    assert stream.response.getheader("content-type").startswith("text/event-stream")
    assert stream.response.getheader("cache-control") == "no-cache"
    return stream.rest()


def chat_text(events):
    """The text of a whole stream, whose form is checked on the way."""
    assert events[-1] == (None, "[DONE]")
    chunks = [data for _, data in events[:-1]]
    assert all(c["object"] == "chat.completion.chunk" for c in chunks)
    assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
    choices = [c["choices"][0] for c in chunks if c["choices"]]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert [c["finish_reason"] is None for c in choices] == [True] * (len(choices) - 1) + [False]
    assert choices[-1]["delta"] == {}
    return "".join(c["delta"]["content"] for c in choices[1:-1]), choices[-1]["finish_reason"]


@pytest.fixture
def server(serve):
    return serve(MODELS)


# --- right answers -------------------------------------------------------------------------------

def test_text_embedding(server):
    answer = server.post(*embed("text", ["a b", "c"]))
    assert answer.status == 200, answer
    first, second = answer.vectors
    assert len(first) == 8 and first != second
    assert server.post(*embed("text", "c")).vectors == [second]


def test_image_embedding(server):
    items = [{"image": data_url(IMAGES[0])},
             {"type": "image_url", "image_url": {"url": data_url(IMAGES[1])}}]
    answer = server.post(*embed("clip", items))
    assert answer.status == 200, answer
    first, second = answer.vectors
    assert len(first) == 8 and first != second
    assert server.post(*embed("clip", items[1])).vectors == [second]
    texts = [data_url(IMAGES[1]), data_url(IMAGES[0])]
    assert server.post(*embed("clip", texts, modality="image")).vectors == [second, first]
    coded = server.post(*embed("clip", items[:1], encoding_format="base64")).vectors[0]
    assert list(struct.unpack("<8f", base64.b64decode(coded))) == pytest.approx(first)


def test_text_to_text(server):
    answer = server.post(*chat("one two three"))
    assert answer.status == 200, answer
    assert text_of(answer) == "three two one"
    assert answer.json["object"] == "chat.completion" and answer.json["model"] == "chat"
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert chat_text(streamed(server, chat("one two three"))) == ("three two one", "stop")


def test_vision(server):
    plain = text_of(server.post(*describe("what is it")))
    assert plain.startswith("it is what images=2:")
    assert chat_text(streamed(server, describe("what is it"))) == (plain, "stop")
    other = text_of(server.post(*describe("what is it", IMAGES[::-1])))
    assert other.startswith("it is what images=2:") and other != plain
    assert text_of(server.post(*chat("no image", model="eye"))).startswith("image no images=0:")


def test_text_to_image(server):
    answer = server.post(*draw("a cat", size="64x32", n=2, seed=7))
    assert answer.status == 200, answer
    images = [base64.b64decode(row["b64_json"]) for row in answer.json["data"]]
    assert len(images) == 2 and images[0] != images[1]
    for image in images:
        assert image[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", image[16:24]) == (64, 32)
    assert answer.json["size"] == "64x32" and answer.json["output_format"] == "png"
    assert answer.json["usage"]["input_tokens"] == 2
    events = streamed(server, draw("a cat", size="64x32", n=2, seed=7))
    assert all(name == data["type"] for name, data in events)
    steps = [d["step"] for n, d in events if n == "image_generation.progress"]
    assert steps == [1, 2, 3, 4, 5, 6]
    done = [d for n, d in events if n == "image_generation.completed"]
    assert [base64.b64decode(d["b64_json"]) for d in done] == images
    assert ["usage" in d for d in done] == [False, True]  # the last one is the end
    assert events[-1][1] == done[-1]


def test_length_stop_and_usage(server):
    answer = server.post(*chat("one two three", max_tokens=1, max_completion_tokens=2))
    assert text_of(answer) == "three two"
    assert answer.json["choices"][0]["finish_reason"] == "length"
    events = streamed(server, chat("one two three", max_tokens=2,
                                   stream_options={"include_usage": True}))
    assert chat_text(events) == ("three two", "length")
    assert [data.get("usage") for _, data in events[:-2]] == [None] * (len(events) - 2)
    assert events[-2][1]["choices"] == []
    assert events[-2][1]["usage"]["completion_tokens"] == 2
    assert text_of(server.post(*chat("one two three", stop=" two"))) == "three"
    assert chat_text(streamed(server, chat("a b c d", stop=["b", "zz"]))) == ("d c ", "stop")


def test_conversation_forms(server):
    body = {"model": "chat", "messages": [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "not this"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "x y"}]}]}
    assert text_of(server.post("/v1/chat/completions", body)) == "y x"


def test_priority_and_keep_alive_are_read(server):
    for word in ("critical", "high", "normal", "low", "batch"):
        assert server.post(*chat("a b", priority=word, keep_alive="5m")).status == 200
        assert server.post(*embed("text", "x"), {"x-weir-priority": word}).status == 200
    for fields in ({"priority": "now"}, {"keep_alive": "soon"}):
        for path, body in (chat("a"), draw("a"), embed("text", "a")):
            answer = server.post(path, {**body, **fields})
            assert answer.status == 400 and answer.error["param"] == next(iter(fields)), answer
    answer = server.post(*embed("text", "x"), {"x-weir-priority": "now"})
    assert answer.status == 400 and answer.error["param"] == "x-weir-priority", answer


# --- errors before the answer begins -------------------------------------------------------------

STREAMING = [chat("!fail broken by order"), describe("!fail broken by order"),
             draw("!fail broken by order")]


@pytest.mark.parametrize("request_", STREAMING, ids=["chat", "vision", "draw"])
def test_errors_keep_their_status(server, request_):
    """Until the first output a streamed request fails like a plain one."""
    path, body = request_
    for stream in (False, True):
        answer = server.post(path, {**body, "stream": stream})
        assert answer.status == 500 and "broken by order" in answer.error["message"], answer
        answer = server.post(path, {**body, "model": "nobody", "stream": stream})
        assert answer.status == 404 and answer.error["code"] == "model_not_found", answer
        answer = server.post(path, {**body, "model": "text", "stream": stream})
        assert answer.status == 400, answer


@pytest.mark.parametrize("request_, param", [
    (chat("x", n=2), "n"),
    (chat("x", tools=[{}]), "tools"),
    (chat("x", stop=["a"] * 5), "stop"),
    (chat("x", temperature=3), "temperature"),
    (chat("x", IMAGES), "messages"),
    (("/v1/chat/completions", {"model": "chat", "messages": []}), "messages"),
    (describe("x", IMAGES * 3), "messages"),
    (draw(""), "prompt"),
    (draw("x", size="17x64"), "size"),
    (draw("x", response_format="url"), "response_format"),
    (embed("clip", [{"image": data_url(IMAGES[0])}] * 5), "input"),
    (embed("clip", [{"image": "data:image/png;base64,!!"}]), "input"),
    (embed("clip", [{"image": "data:image/png;base64,"}]), "input"),
    (embed("clip", [{"image": data_url(IMAGES[0])}, "a text"]), "input"),
    (embed("clip", [{}]), "input"),
], ids=str)
def test_wrong_requests(server, request_, param):
    answer = server.post(*request_)
    assert answer.status == 400, answer
    assert answer.error["param"] == param, answer


def test_capability_must_fit(server):
    assert server.post(*embed("clip", "a text")).status == 400
    assert server.post(*embed("text", {"image": data_url(IMAGES[0])})).status == 400
    assert server.post(*chat("x", model="draw")).status == 400


def test_image_limits_are_settable(serve):
    server = serve(MODELS, "--limit", "images=1", "--limit", "image_bytes=10")
    answer = server.post(*describe("x", [b"0123456789"]))
    assert answer.status == 200, answer
    answer = server.post(*describe("x", [b"0123456789abcdef"]))
    assert answer.status == 400 and "10" in answer.error["message"], answer
    answer = server.post(*describe("x", [b"0", b"1"]))
    assert answer.status == 400 and "images" in answer.error["message"], answer


def test_large_images_are_decoded_off_the_loop(server):
    image = os.urandom(3 * MiB)
    again = [text_of(server.post(*describe("x", [image]))) for _ in range(2)]
    assert again[0] == again[1]
    assert text_of(server.post(*describe("x", [image[::-1]]))) != again[0]


# --- streams that end early ----------------------------------------------------------------------

LONG = [chat("!tokens 2000 20ms"), describe("!tokens 2000 20ms")]


def assert_broken(events, code):
    """The last event, and only that, is an error; nothing says that all went well."""
    assert events, "no event"
    assert all(data != "[DONE]" and "error" not in data for _, data in events[:-1])
    assert events[-1][1]["error"]["code"] == code, events[-1]
    assert not any(data.get("choices") and data["choices"][0]["finish_reason"]
                   for _, data in events)


@pytest.mark.parametrize("request_", LONG, ids=["chat", "vision"])
def test_kill9_worker_midstream(server, request_):
    """What was streamed cannot be taken back, so the loss is told, and the model goes on."""
    model = request_[1]["model"]
    stream = Stream(server, request_)
    assert stream.status == 200
    begun = [stream.event(), stream.event()]
    assert begun[1][1]["choices"][0]["delta"]["content"] == "token 0"
    (worker,) = server.wait_jobs(1, model)
    os.kill(worker["pid"], signal.SIGKILL)
    assert_broken(begun + stream.rest(), "worker_lost")
    assert server.post(*chat("a b", model=model)).status == 200


def test_kill9_worker_before_the_answer(server):
    """Nothing was sent yet: another worker gives the whole answer."""
    path, body = chat("!sleep 1s")
    for stream in (False, True):
        if stream:
            running = server.later(lambda: chat_text(streamed(server, (path, body)))[0])
        else:
            running = server.later(lambda: text_of(server.post(path, body)))
        (worker,) = server.wait_jobs(1, "chat")
        os.kill(worker["pid"], signal.SIGKILL)
        assert running.result() == "1s !sleep"


def test_kill9_worker_of_a_plain_answer(server):
    """The pool has begun to answer, so it does not try again by itself; the client may."""
    path, body = chat("!tokens 100 20ms")
    running = server.later(server.post, path, body)
    (worker,) = server.wait_jobs(1, "chat")
    time.sleep(0.3)  # some tokens are out
    os.kill(worker["pid"], signal.SIGKILL)
    answer = running.result()
    assert answer.status == 502 and answer.error["code"] == "worker_lost", answer
    assert "x-should-retry" not in answer.headers


def test_kill9_worker_midway_of_a_drawing(server):
    stream = Stream(server, draw("!tokens 50 20ms", n=2, size="16x16"))
    assert stream.status == 200
    begun = [stream.event()]
    (worker,) = server.wait_jobs(1, "draw")
    os.kill(worker["pid"], signal.SIGKILL)
    events = begun + stream.rest()
    # Progress is no output: the pool may try again, and then the picture is drawn after all.
    ends = [e for e in events if "error" in e[1] or "usage" in e[1]]
    assert len(ends) == 1 and events[-1] == ends[0]


@pytest.mark.parametrize("request_", LONG, ids=["chat", "vision"])
def test_deadline_midstream(server, request_):
    path, body = request_
    events = streamed(server, (path, {**body, "deadline_ms": int(600 * SLOW)}))
    assert len(events) > 2
    assert_broken(events, "deadline_exceeded")


def test_deadline_of_plain_requests(server):
    for path, body in (chat("!sleep 20s"), describe("!sleep 20s"), draw("!sleep 20s")):
        answer = server.post(path, {**body, "deadline_ms": 300})
        assert answer.status == 504 and answer.error["code"] == "deadline_exceeded", answer


@pytest.mark.parametrize("request_", LONG + [draw("!tokens 2000 20ms", size="16x16")],
                         ids=["chat", "vision", "draw"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_client_leaves(server, request_, stream):
    """Its request ends at the worker too, which lives and takes the next one."""
    path, body = request_
    model = body["model"]
    connection = server.raw(raw_post({**body, "stream": stream}, path))
    (worker,) = server.wait_jobs(1, model)
    if stream:
        assert connection.recv(1000)
    connection.close()
    server.wait_jobs(0, model, seconds=3)
    assert worker["pid"] in [w["pid"] for w in server.workers(model)]


def test_shutdown_midstream(serve):
    """What does not end within the drain is told so, and the server ends well."""
    server = serve(MODELS, "--limit", "drain_ms=500ms")
    stream = Stream(server, LONG[0])
    begun = [stream.event(), stream.event()]
    server.signal(signal.SIGTERM)
    assert_broken(begun + stream.rest(), "shutting_down")
    assert server.wait_exit(10) == 0


# --- clients that read slowly --------------------------------------------------------------------

def small_window(server, request):
    """A streamed request on a socket that takes little and reads nothing."""
    path, body = request
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60 * SLOW)
    connection.connect((server.host, server.port))
    connection.sendall(raw_post({**body, "stream": True}, path))
    return connection


def rss(server):
    with open(f"/proc/{server.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def read_all(connection):
    data = b""
    while piece := connection.recv(1 << 20):
        data += piece
    return data


def test_slow_client_gets_everything(serve):
    """The worker waits for it, and nothing is lost."""
    server = serve(MODELS, "--limit", "unsent_bytes=8KiB")
    connection = small_window(server, chat("!tokens 3000 0ms"))
    server.wait_jobs(1, "chat")
    time.sleep(1)
    server.wait_jobs(1, "chat")  # 3000 tokens take no second: it stands still for want of credit
    seen, last = b"", b"data: [DONE]\n\n"
    while last not in seen:
        piece = connection.recv(65536)
        assert piece, seen[-500:]
        seen += piece
    connection.close()
    positions = [seen.find(b'"content":"token %d"' % i) for i in range(3000)]
    assert -1 not in positions and positions == sorted(positions)


def test_stalled_client_is_dropped(serve):
    server = serve(MODELS, "--limit", "client_stall_ms=700ms", "--limit", "unsent_bytes=8KiB")
    connection = small_window(server, chat("!tokens 100000 0ms"))
    (worker,) = server.wait_jobs(1, "chat")
    server.wait_jobs(0, "chat", seconds=8)
    assert worker["pid"] in [w["pid"] for w in server.workers("chat")]
    wait_until(lambda: "client_stall_ms" in server.log_text(), 3, "it is said why")
    assert last_of(connection) is not True
    assert server.post(*chat("a b")).status == 200


def last_of(connection):
    """Whether what a dropped client finds ends as if all had gone well."""
    try:
        return read_all(connection).endswith(b"data: [DONE]\n\n")
    except ConnectionResetError:
        return None
    finally:
        connection.close()


def test_many_stalled_streams_hold_little(serve):
    """Nobody buffers past the credit of a stream."""
    names = [f"chat{i}" for i in range(4)]
    server = serve({name: "fake:text_to_text?script=yes&slots=64" for name in names},
                   "--limit", "unsent_bytes=8KiB")
    for name in names:
        assert server.post(*chat("warm up", model=name)).status == 200
        server.wait_settled(name)
    before = rss(server)
    connections = [small_window(server, chat("!tokens 100000 0ms", model=names[i % 4]))
                   for i in range(240)]
    for name in names:
        server.wait_jobs(60, name, seconds=20)
    time.sleep(1.5)
    grown = rss(server) - before
    assert grown < len(connections) * 128 * 1024, f"{grown} bytes for {len(connections)} streams"
    for connection in connections:
        connection.close()
    for name in names:
        server.wait_jobs(0, name, seconds=20)


# --- the official client -------------------------------------------------------------------------

def test_openai_client(server, openai):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0,
                           timeout=60 * SLOW)
    messages = [{"role": "user", "content": "one two three"}]
    whole = client.chat.completions.create(model="chat", messages=messages)
    assert whole.choices[0].message.content == "three two one"
    assert whole.usage.total_tokens == 6
    chunks = list(client.chat.completions.create(model="chat", messages=messages, stream=True,
                                                 stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "three two one"
    assert chunks[-1].usage.completion_tokens == 3
    seen = client.chat.completions.create(**describe("what")[1])
    assert seen.choices[0].message.content.startswith("what images=2:")
    vectors = client.embeddings.create(model="text", input=["a", "b"])
    assert [row.embedding for row in vectors.data] == [
        pytest.approx(v) for v in server.post(*embed("text", ["a", "b"])).vectors]
    image = client.images.generate(model="draw", prompt="a cat", size="64x64")
    assert base64.b64decode(image.data[0].b64_json)[1:4] == b"PNG"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=messages)
    with pytest.raises(openai.APIError) as broken:
        long = [{"role": "user", "content": "!tokens 2000 20ms"}]
        for chunk in client.chat.completions.create(model="chat", messages=long, stream=True,
                                                    extra_body={"deadline_ms": 500}):
            assert not chunk.choices[0].finish_reason
    assert "500" in str(broken.value)
