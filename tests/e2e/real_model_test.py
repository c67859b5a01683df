"""Models with weights, through every door: vectors and token ids against the references.

tests/fixtures/tiny_bert is always there. all-MiniLM-L6-v2 is taken from $WEIR_MODELS, where
scripts/get-model puts it; without it those tests are skipped, and with CI=true they fail.
"""

import json
import math
import os
import shutil
import signal
import struct
import subprocess
import time

import pytest
from harness import ROOT, decode_base64, program, wait_until

FIXTURES = os.path.join(ROOT, "tests", "fixtures")
TINY = os.path.join(FIXTURES, "tiny_bert")
MINILM = os.path.join(os.environ.get("WEIR_MODELS", os.path.join(ROOT, "build", "models")),
                      "all-MiniLM-L6-v2")
NOBODY = "http://127.0.0.1:1"


def json_lines(*path):
    with open(os.path.join(FIXTURES, *path), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture
def minilm():
    if not os.path.isdir(MINILM):
        problem = f"{MINILM} is not there: scripts/get-model all-MiniLM-L6-v2, and WEIR_MODELS"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    return MINILM


@pytest.fixture(params=["tiny", "minilm"])
def model(request):
    """Each of the two: its folder, its limit of tokens and its number of dimensions."""
    if request.param == "tiny":
        return {"path": TINY, "tokens": 48, "dim": 32}
    return {"path": request.getfixturevalue("minilm"), "tokens": 256, "dim": 384}


def cosine(a, b):
    assert len(a) == len(b)
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def single(vector):
    """As 32-bit numbers, as which every text of a float is read."""
    return list(struct.unpack(f"<{len(vector)}f", struct.pack(f"<{len(vector)}f", *vector)))


def copy_model(source, target, **changes):
    """A copy of a model folder; changes are files and what they hold instead (None: nothing)."""
    shutil.copytree(source, target)
    for name, data in changes.items():
        path = os.path.join(target, name.replace("__", "."))
        if data is None:
            os.remove(path)
        else:
            with open(path, "wb") as file:
                file.write(data)
    return target


def weights_of(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        return file.read()


# --- vectors -------------------------------------------------------------------------------------

def test_minilm_vectors(serve, minilm):
    """50 texts of 1 to 256 tokens: cosine with sentence-transformers at least 0.99999."""
    rows = json_lines("texts", "minilm_50.jsonl")
    assert len(rows) == 50
    server = serve({"m": minilm}, memory="2GiB")
    answer = server.embed([row["text"] for row in rows], truncate=True)
    assert answer.status == 200, answer
    worst = min(cosine(vector, row["embedding"]) for vector, row in zip(answer.vectors, rows))
    assert worst >= 0.99999
    assert answer.json["usage"]["prompt_tokens"] == sum(len(row["tokens"]) for row in rows)
    for vector in answer.vectors:
        assert math.isclose(sum(v * v for v in vector), 1, abs_tol=1e-5)


def test_minilm_one_by_one(serve, minilm):
    """The same texts, alone and many at once: batch_invariance with the real model."""
    rows = json_lines("texts", "minilm_50.jsonl")[:40]
    server = serve({"m": minilm}, memory="2GiB")
    together = server.embed([row["text"] for row in rows]).vectors
    running = [server.later(server.embed, row["text"]) for row in rows]
    for request, row, expected in zip(running, rows, together):
        answer = request.result()
        assert answer.status == 200, answer
        assert answer.vectors[0] == expected
        assert answer.json["usage"]["prompt_tokens"] == len(row["tokens"])


def test_tiny_vectors(serve):
    with open(os.path.join(TINY, "vectors.json"), encoding="utf-8") as file:
        rows = [row for row in json.load(file) if len(row["ids"]) <= 48]
    assert len(rows) >= 15
    server = serve({"m": TINY})
    answer = server.embed([row["ids"] for row in rows])
    assert answer.status == 200, answer
    assert min(cosine(v, row["vector"]) for v, row in zip(answer.vectors, rows)) >= 0.99999
    alone = [server.embed(row["ids"]).vectors[0] for row in rows]
    assert alone == answer.vectors


def test_every_worker_gives_the_same_bits(serve):
    """Whichever of two workers answers, with whatever beside it: the vectors are the same."""
    server = serve({"m": TINY})
    texts = [row["text"] for row in json_lines("tiny_bert", "tokens.jsonl") if row["text"]]
    first = server.embed(texts, truncate=True).vectors
    server.wait_settled()
    running = [server.later(server.embed, texts, truncate=True) for _ in range(16)]
    for request in running:
        assert request.result().vectors == first


def test_base64_and_dimensions(serve, model):
    server = serve({"m": model["path"]}, memory="2GiB")
    (vector,) = server.embed("water").vectors
    assert len(vector) == model["dim"]
    (coded,) = server.embed("water", encoding_format="base64").vectors
    assert decode_base64(coded) == single(vector)
    (cut,) = server.embed("water", dimensions=16).vectors
    assert cosine(cut, vector[:16]) >= 0.999999 and len(cut) == 16
    refused = server.embed("water", dimensions=model["dim"] + 1)
    assert refused.status == 400 and str(model["dim"]) in refused.error["message"], refused


def test_embed_here_equals_embed_by_server(serve, weir, model):
    texts = ["The weir holds water.", "a", "water " * 20]
    server = serve({"m": model["path"]}, memory="2GiB")
    there = server.embed(texts).vectors
    done = weir("embed", model["path"], *texts, "--local", "--memory", "2GiB", WEIR_HOST=NOBODY)
    assert done.returncode == 0, done
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [single(row["embedding"]) for row in rows] == [single(vector) for vector in there]
    by_name = weir("embed", "m", *texts, WEIR_HOST=server.url)
    assert by_name.stdout == done.stdout


def test_scalar_kernels_agree(serve, weir):
    """WEIR_CPU forces a level; every level gives the same vector within float noise."""
    text = "The weir holds water."
    vectors = {}
    for level in ("scalar", "avx2", ""):
        more = {"WEIR_CPU": level} if level else {}
        done = weir("embed", TINY, text, "--local", WEIR_HOST=NOBODY, **more)
        if done.returncode == 0:
            (row,) = [json.loads(line) for line in done.stdout.splitlines()]
            vectors[level] = row["embedding"]
        else:
            assert level == "avx2", done  # a machine without it says so
    assert min(cosine(v, vectors["scalar"]) for v in vectors.values()) >= 0.999999


# --- tokens --------------------------------------------------------------------------------------

def tokenize(server, texts, **fields):
    return server.post("/weir/v1/tokenize", {"model": "m", "input": texts, **fields})


def test_minilm_tokens(serve, weir, minilm):
    """500 texts: the ids of the tokenizers library, over HTTP, and some by the command."""
    rows = json_lines("texts", "tokenizer_500.jsonl")
    assert len(rows) == 500
    server = serve({"m": minilm}, memory="2GiB")
    answer = tokenize(server, [row["text"] for row in rows])
    assert answer.status == 200, answer
    wrong = [row["text"] for row, ids in zip(rows, answer.json["tokens"]) if ids != row["ids"]]
    assert wrong == []
    assert [len(p) for p in answer.json["pieces"]] == [len(row["ids"]) for row in rows]
    some = [row for row in rows if row["text"].strip() and "\0" not in row["text"]
            and not row["text"].startswith("-")][::10]
    done = weir("tokenize", "m", *[row["text"] for row in some], WEIR_HOST=server.url)
    assert done.returncode == 0, done
    # One object a line: the texts may hold characters at which splitlines() would part too.
    got = [json.loads(line)["tokens"] for line in done.stdout.split("\n") if line]
    assert got == [row["ids"] for row in some]


def test_tiny_tokens(serve, weir):
    rows = json_lines("tiny_bert", "tokens.jsonl")
    server = serve({"m": TINY})
    answer = tokenize(server, [row["text"] for row in rows])
    assert answer.status == 200, answer
    assert answer.json["tokens"] == [row["ids"] for row in rows]
    bare = tokenize(server, rows[0]["text"], add_special_tokens=False)
    assert bare.json["tokens"] == [rows[0]["ids"][1:-1]]
    done = weir("tokenize", TINY, rows[0]["text"], WEIR_HOST=NOBODY)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["tokens"] == rows[0]["ids"]
    back = server.post("/weir/v1/detokenize", {"model": "m", "tokens": rows[0]["ids"][1:-1]})
    assert back.status == 200 and back.json["text"].lower().startswith("the weir"), back
    wrong = server.post("/weir/v1/detokenize", {"model": "m", "tokens": [10 ** 6]})
    assert wrong.status == 400 and wrong.error["param"] == "tokens", wrong


# --- lengths -------------------------------------------------------------------------------------

def test_overlong_text(serve, weir, model):
    """Refused with both numbers and the phrase that agents look for; truncate cuts it instead."""
    server = serve({"m": model["path"]}, memory="2GiB")
    limit, text = model["tokens"], "water " * 300
    (ids,) = tokenize(server, text).json["tokens"]
    assert len(ids) == 302  # tokenizing has no limit

    answer = server.embed(["fits", text])
    assert answer.status == 400, answer
    error = answer.error
    assert error["code"] == "context_length_exceeded" and error["param"] == "input"
    assert "exceeds the available context size" in error["message"]
    assert "302" in error["message"] and str(limit) in error["message"]
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (302, limit)
    assert "1" in error["message"]  # which input it was

    cut = server.embed(["fits", text], truncate=True)
    assert cut.status == 200, cut
    assert cut.json["truncated"] == [1]
    (exact,) = server.embed("water " * (limit - 2)).vectors
    assert cut.vectors[1] == exact  # cut to the limit, the special tokens kept
    fits = len(tokenize(server, "fits").json["tokens"][0])
    assert cut.json["usage"]["prompt_tokens"] == limit + fits

    done = weir("embed", "m", text, WEIR_HOST=server.url)
    assert done.returncode == 1 and "302" in done.stderr and str(limit) in done.stderr, done
    done = weir("embed", "m", text, "--truncate", WEIR_HOST=server.url)
    assert done.returncode == 0, done


def test_ids_out_of_range(serve):
    server = serve({"m": TINY})
    answer = server.embed([5, 256])
    assert answer.status == 400 and "256" in answer.error["message"], answer
    assert server.embed([5, 255]).status == 200
    assert server.model()["spawned"] <= 2 and len(server.workers()) >= 1


# --- files that are wrong ------------------------------------------------------------------------

def expect_problem(server, name, *words):
    """Listed with its problem, and answered with it; another model is served all the while."""
    problem = server.model(name)["problem"]
    answer = server.embed(model=name)
    assert answer.status == 500, answer
    assert answer.error["code"] == "model_load_failed"
    assert answer.headers["x-should-retry"] == "false"
    for word in words:
        assert word in problem, (word, problem)
        assert word in answer.error["message"], (word, answer)
    assert name in [m["id"] for m in server.get("/v1/models").json["data"]]
    assert server.embed(model="good").status == 200
    assert server.model(name)["spawned"] == 0


def test_truncated_weights(serve, tmp_path, model):
    """A file cut in half: refused by file, tensor and offset, from its header alone (F122)."""
    half = copy_model(model["path"], tmp_path / "half")
    weights = half / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    server = serve({"half": half, "good": TINY}, memory="2GiB")
    expect_problem(server, "half", "model.safetensors", "tensor '", "offset")


@pytest.mark.parametrize("what, words, changes", [
    ("no-weights", ["model.safetensors"], {"model__safetensors": None}),
    ("empty-weights", ["model.safetensors"], {"model__safetensors": b""}),
    ("no-config", ["config.json"], {"config__json": None}),
    ("bad-config", ["config.json"], {"config__json": b"{\"hidden_size\": "}),
    ("no-tokenizer", ["tokenizer.json"], {"tokenizer__json": None}),
    ("huge-header", ["model.safetensors"], {"model__safetensors": b"\xff" * 64}),
    ("html", ["config.json"], {"config__json": b"<html>not found</html>"}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_files(serve, tmp_path, what, words, changes):
    bad = copy_model(TINY, tmp_path / what, **changes)
    server = serve({"bad": bad, "good": TINY})
    expect_problem(server, "bad", *words)


def test_wrong_tokenizer(serve, tmp_path):
    """Found at the latest by the load, which says which file it is."""
    bad = copy_model(TINY, tmp_path / "bad", tokenizer__json=b"[]")
    server = serve({"m": bad, "good": TINY})
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert "tokenizer.json" in answer.error["message"]
    assert "tokenizer.json" in server.model()["problem"]
    wait_until(lambda: server.workers() == [], 5, "no worker is left")
    assert server.embed(model="good").status == 200


def test_wrong_shape(serve, tmp_path):
    """Shapes that disagree with the configuration: tensor, what was found, what was expected."""
    bad = copy_model(TINY, tmp_path / "shape")
    config = json.loads((bad / "config.json").read_text())
    config["vocab_size"] = 999
    (bad / "config.json").write_text(json.dumps(config))
    server = serve({"bad": bad, "good": TINY})
    expect_problem(server, "bad", "999", "256", "tensor '")


def test_data_that_is_not_finite(serve, tmp_path):
    """Weights of NaN load, and their request fails; the worker stays."""
    raw = weights_of(TINY)
    header = struct.unpack("<Q", raw[:8])[0]
    nan = raw[:8 + header] + b"\x00\x00\xc0\x7f" * ((len(raw) - 8 - header) // 4)
    bad = copy_model(TINY, tmp_path / "nan", model__safetensors=nan)
    server = serve({"m": bad, "good": TINY})
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_failed", answer
    assert "finite" in answer.error["message"]
    assert server.workers() != []
    assert server.embed(model="good").status == 200


def test_folder_that_is_not_there(serve, tmp_path):
    server = serve({"bad": tmp_path / "nowhere", "good": TINY})
    expect_problem(server, "bad", str(tmp_path / "nowhere"))


def test_folder_that_vanishes(serve, tmp_path):
    """Gone between inspection and load: the load fails and says what is missing; nothing stays (F093)."""
    folder = copy_model(TINY, tmp_path / "here")
    server = serve({"m": folder, "good": TINY})
    events = server.events()
    assert server.model()["problem"] is None
    shutil.rmtree(folder)
    answer = server.embed()
    assert answer.status == 500 and answer.error["code"] == "model_load_failed", answer
    assert str(folder) in answer.error["message"]
    events.state("Dead")
    assert server.workers() == []
    assert server.leased() == 0
    assert server.embed(model="good").status == 200


def test_folder_that_vanishes_after_the_load(serve, tmp_path):
    """What is mapped stays: loaded workers go on without their files."""
    folder = copy_model(TINY, tmp_path / "here")
    server = serve({"m": folder})
    first = server.vector("water")
    server.wait_settled()
    shutil.rmtree(folder)
    assert server.vector("water") == first


def add_tensor(weights, floats):
    """Rewrites a safetensors file with one more tensor, which no architecture asks for."""
    data = weights.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    end = len(data) - 8 - length
    header["extra.weight"] = {"dtype": "F32", "shape": [floats], "data_offsets": [end, end + 4 * floats]}
    text = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:] + bytes(4 * floats))


def test_file_that_grew_since(serve, tmp_path):
    """A larger plan than the inspected one is not granted: inspected anew, granted, served."""
    folder = copy_model(TINY, tmp_path / "here")
    server = serve({"m": folder})
    events = server.events()
    add_tensor(folder / "model.safetensors", 4096)
    answer = server.embed("water " * 40)
    assert answer.status == 200, answer
    first = events.workers()[0]
    wait_until(lambda: events.states(first) == ["Spawning", "Failed", "Dead"], 5,
               "the worker with the larger plan has left")
    assert len(events.kinds("inspected")) == 1
    assert server.model()["problem"] is None


# --- the worker itself ---------------------------------------------------------------------------

def test_workers_use_little_and_leave(serve, minilm):
    """Weights are mapped, not copied for each worker; at zero workers nothing is left (F043)."""
    server = serve({"m": minilm}, "--idle", "1", "--idle-label", "1", memory="2GiB")
    assert server.embed().status == 200
    server.wait_settled()
    assert server.leased() >= 86  # the file is 86.7 MiB
    server.wait_workers(0, seconds=10)
    wait_until(lambda: server.children() == {}, 5, "no process is left")
    assert server.leased() == 0


def test_kill9_worker_midstream_real(serve, minilm):
    """kill -9 of the real worker under real work: the request is answered, and right."""
    rows = json_lines("texts", "minilm_50.jsonl")
    server = serve({"m": minilm}, memory="2GiB")
    texts = [row["text"] for row in rows[:30]]
    server.vector("warm")
    server.wait_settled()
    began = time.monotonic()
    expected = server.embed(texts).vectors
    # As often as it takes to be at it for half a second.
    times = math.ceil(0.5 / (time.monotonic() - began))
    running = server.later(server.embed, texts * times)
    victim = server.wait_jobs(1)[0]
    os.kill(victim["pid"], signal.SIGKILL)
    answer = running.result()
    assert answer.status == 200, answer
    assert answer.vectors == expected * times
    assert server.model()["spawned"] >= 2


def test_worker_is_not_for_people():
    """Started by hand, without a channel on its descriptor 3, it says so and leaves."""
    for name in ("weir-worker", "weir-worker-fake"):
        done = subprocess.run([program(name)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=10, close_fds=True)
        assert done.returncode != 0
        assert done.stderr != ""
