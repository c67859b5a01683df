"""Large requests and answers, which cross shared memory, and workers that misuse it."""

import re

import pytest
from harness import MiB, Traffic, decode_base64, read_text, wait_until

FAKE = "fake:text_embedding"


def large_text(number, size):
    """Some bytes of words, of which the last alone tells two of the same size apart."""
    return "abcdefghijklmno " * (size // 16) + f"word{number}"


def test_large_requests_arrive_whole(serve):
    """Beside each other, more than the region holds: each gets the vector of its own last word."""
    server = serve({"m": FAKE + "?dim=8&slots=8"}, "--max-workers", "1")
    texts = [large_text(i, 3 * MiB) for i in range(6)]
    alone = [server.vector(text) for text in texts[:2]]
    assert alone[0] != alone[1]
    running = [server.later(server.embed, text) for text in texts]
    answers = [request.result() for request in running]
    assert [answer.status for answer in answers] == [200] * 6
    assert [answer.vectors[0] for answer in answers[:2]] == alone
    assert len({tuple(answer.vectors[0]) for answer in answers}) == 6
    words = len(texts[0].split())
    assert all(answer.json["usage"]["prompt_tokens"] == words for answer in answers)


def test_large_answers_arrive_whole(serve):
    """8 MiB of vectors: more than the region holds, some of it inline."""
    server = serve({"m": FAKE + "?dim=65536"}, "--max-workers", "1")
    texts = [f"text {i}" for i in range(32)]
    answer = server.post("/v1/embeddings", {"model": "m", "input": texts, "encoding_format": "base64"})
    assert answer.status == 200, answer
    vectors = [decode_base64(text) for text in answer.vectors]
    assert len({tuple(vector[:8]) for vector in vectors}) == 32
    for at in (0, 15, 31):
        assert vectors[at] == pytest.approx(server.vector(texts[at]), abs=1e-7)


def resident(pid, kind):
    """RssAnon or RssShmem of a process, in bytes."""
    return int(re.search(kind + r":\s+(\d+) kB", read_text(f"/proc/{pid}/status")).group(1)) * 1024


def test_large_payloads_are_no_memory_of_the_model(serve):
    """A worker is measured without them, and soon after the last one their memory is given back."""
    server = serve({"m": FAKE + "?dim=65536"}, "--max-workers", "1")
    server.vector("first")
    pid = server.wait_settled(workers=1)[0]["pid"]
    for i in range(4):
        assert server.embed([large_text(i, MiB) for _ in range(3)] + ["x"] * 8).status == 200
        assert server.workers()[0]["measured"] <= resident(pid, "RssAnon")
    wait_until(lambda: server.status() and resident(pid, "RssShmem") <= MiB // 16, 5, "the memory is back")
    assert server.workers()[0]["pid"] == pid


@pytest.mark.parametrize("kind", ["outside", "length", "flood"])
def test_a_worker_that_misuses_blocks_ends_itself_only(serve, kind):
    server = serve({"m": FAKE + "?script=yes&dim=8", "other": FAKE}, "--max-workers", "1")
    with Traffic(server, "other"):
        expected = server.vector("sense")
        events = server.events()
        answer = server.embed(f"!garbage {kind}")
        assert answer.status == 422 and answer.error["code"] == "input_quarantined", answer
        assert len(events.kinds("retry")) == 1
        wait_until(lambda: server.embed("sense").status == 200, 5, "the model answers again")
        assert server.vector("sense") == expected


def test_a_block_that_holds_no_answer_fails_its_request(serve):
    server = serve({"m": FAKE + "?script=yes&dim=8", "other": FAKE}, "--max-workers", "1")
    with Traffic(server, "other"):
        answer = server.embed("!garbage foreign")
        assert answer.status == 500 and answer.error["code"] == "model_failed", answer
        assert server.embed("sense").status == 200


def test_who_gives_back_what_was_not_lent_is_lost(serve):
    """It shows at the next large request, which another worker answers."""
    server = serve({"m": FAKE + "?script=yes&dim=8", "other": FAKE}, "--max-workers", "1")
    with Traffic(server, "other"):
        text = large_text(1, MiB)
        expected = server.vector(text)
        first = server.wait_settled(workers=1)[0]
        assert server.embed("!garbage return").status == 200
        assert server.vector(text) == expected
        wait_until(lambda: "that it was not lent" in server.log_text(), 5, "the log says why")
        assert server.wait_settled(workers=1)[0]["pid"] != first["pid"]


def test_shared_memory_cannot_be_taken_away(serve):
    server = serve({"m": FAKE + "?script=yes&dim=8", "other": FAKE}, "--max-workers", "1")
    with Traffic(server, "other"):
        text = large_text(1, MiB)
        expected = server.vector(text)
        assert server.embed("!garbage shrink").status in (200, 422)
        wait_until(lambda: server.embed("sense").status == 200, 5, "the model answers")
        assert server.vector(text) == expected
