"""How texts become vectors, beyond the vectors themselves: packed weights that workers share,
precision, prompts, and what becomes of texts that are too long."""

import glob
import json
import math
import os
import re
import shutil
import signal

import pytest
from harness import ROOT, decode_base64, read_text, wait_until

FIXTURES = os.path.join(ROOT, "tests", "fixtures")
TINY = os.path.join(FIXTURES, "tiny_bert")
PROMPTED = os.path.join(FIXTURES, "encoders", "bert_shards")
MINILM = os.path.join(os.environ.get("WEIR_MODELS", os.path.join(ROOT, "build", "models")),
                      "all-MiniLM-L6-v2")
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def minilm():
    if not os.path.isdir(MINILM):
        problem = f"{MINILM} is not there: scripts/get-model all-MiniLM-L6-v2, and WEIR_MODELS"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    return MINILM


@pytest.fixture
def cache(tmp_path):
    """The folder that $XDG_CACHE_HOME/weir/prepared will be."""
    return tmp_path / "cache" / "weir" / "prepared"


def serve_cached(serve, cache, models, *options, **more):
    return serve(models, *options, XDG_CACHE_HOME=str(cache.parent.parent), **more)


def packed(cache):
    return sorted(glob.glob(str(cache / "*.packed")))


def serve_alone(serve, tmp_path, models):
    """A server that has no folder for a cache, so that each worker packs for itself."""
    (tmp_path / "no-folder").write_text("")
    return serve(models, XDG_CACHE_HOME=str(tmp_path / "no-folder"))


def maps_packed(worker):
    return ".packed" in read_text(f"/proc/{worker['pid']}/maps")


def raw_vector(server, text, model="m", **fields):
    """All bits of it."""
    answer = server.embed(text, model, encoding_format="base64", **fields)
    assert answer.status == 200, answer
    return decode_base64(answer.vectors[0])


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def memory_of(worker):
    """The sums of /proc/PID/smaps_rollup, in KiB."""
    text = read_text(f"/proc/{worker['pid']}/smaps_rollup")
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.M)}


# --- packed weights ------------------------------------------------------------------------------

def test_workers_share_what_was_prepared(serve, cache, tmp_path):
    server = serve_cached(serve, cache, {"m": TINY})
    shared = raw_vector(server, "water")
    (path,) = packed(cache)
    assert os.listdir(cache) == [os.path.basename(path)]
    for worker in server.wait_settled():
        assert maps_packed(worker), worker
    alone = serve_alone(serve, tmp_path, {"m": TINY})
    assert raw_vector(alone, "water") == shared


def test_two_servers_at_once_make_one_file(serve, cache):
    servers = [serve_cached(serve, cache, {"m": TINY}) for _ in range(2)]
    first = [server.later(raw_vector, server, "water") for server in servers]
    assert first[0].result() == first[1].result()
    (path,) = packed(cache)
    made = os.stat(path).st_ino
    for server in servers:
        assert f" {made} " in read_text(f"/proc/{server.workers()[0]['pid']}/maps")


def test_a_cache_that_cannot_be_written(serve, cache):
    """The model runs all the same, and the log says why it is not shared."""
    cache.parent.mkdir(parents=True)
    cache.write_text("no folder")
    server = serve_cached(serve, cache, {"m": TINY})
    assert server.embed("water").status == 200
    assert not any(maps_packed(worker) for worker in server.wait_settled())
    said = wait_until(lambda: next((line for line in list(server.log) if line is not None
                                    and "not prepared" in line), None), 5, "a line of the log")
    assert str(cache) in said
    assert cache.read_text() == "no folder"


@pytest.mark.parametrize("spoil", ["cut", "longer", "header"])
def test_a_spoilt_file_is_made_again(serve, cache, spoil):
    server = serve_cached(serve, cache, {"m": TINY})
    before = raw_vector(server, "water")
    assert server.stop() == 0
    (path,) = packed(cache)
    size = os.stat(path).st_size
    if spoil == "header":
        with open(path, "r+b") as file:
            file.write(b"another!")
    else:
        os.truncate(path, size // 2 if spoil == "cut" else size + 1)
    again = serve_cached(serve, cache, {"m": TINY})
    assert raw_vector(again, "water") == before
    assert packed(cache) == [path]
    assert os.stat(path).st_size == size
    assert all(maps_packed(worker) for worker in again.wait_settled())


def test_other_weights_are_another_file(serve, cache, tmp_path):
    """A model that differs from one that was prepared in its weights alone."""
    folder = tmp_path / "model"
    folder.mkdir()
    for root, _, files in os.walk(TINY):
        target = folder / os.path.relpath(root, TINY)
        target.mkdir(exist_ok=True)
        for name in files:
            with open(os.path.join(root, name), "rb") as file:
                data = file.read()
            if name == "model.safetensors":
                words = [data[at:at + 4] for at in range(len(data) - 40000, len(data), 4)]
                data = data[:-40000] + b"".join(reversed(words))
            (target / name).write_bytes(data)
    server = serve_cached(serve, cache, {"m": TINY, "other": folder})
    assert raw_vector(server, "water") != raw_vector(server, "water", "other")
    assert len(packed(cache)) == 2
    alone = serve_alone(serve, tmp_path, {"other": folder})
    assert raw_vector(alone, "water", "other") == raw_vector(server, "water", "other")


def test_four_workers_need_the_memory_of_one(serve, cache, minilm):
    """Weights, packed and not, are file cache: once for all workers, and none of it private."""
    texts = [f"{'the weir holds the water ' * 20} {number}" for number in range(64)]
    server = serve_cached(serve, cache, {"m": minilm}, "--min-workers", 1, "--max-workers", 1)
    for text in texts:
        raw_vector(server, text)
    (worker,) = server.wait_workers(1, ("Ready", "Idle"), seconds=30)
    one = memory_of(worker)
    assert one["Pss_Anon"] < 40 * 1024, one
    assert one["Pss_File"] > 40 * 1024, one
    assert server.stop() == 0
    four = serve_cached(serve, cache, {"m": minilm}, "--min-workers", 4, "--max-workers", 4)
    workers = four.wait_workers(4, ("Ready", "Idle"), seconds=60)
    running = [four.later(raw_vector, four, text) for text in texts]
    for answer in running:
        answer.result()
    wait_until(lambda: all(memory_of(w)["Rss"] > one["Pss_File"] for w in workers), 10,
               "every worker has read its weights")
    together = sum(memory_of(w)["Pss_File"] for w in workers)
    print(f"file-backed PSS: {together} KiB of four, {one['Pss_File']} KiB of one")
    assert together <= 1.05 * one["Pss_File"]


# --- precision -----------------------------------------------------------------------------------

def test_precision(serve, cache, tmp_path, minilm):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model full]\npath = {minilm}\n"
                    f"[model half]\npath = {minilm}\nprecision = bf16\n")
    server = serve_cached(serve, cache, {}, "--config", conf)
    for text in ("water", "the weir holds the water at one level " * 8):
        full, half = raw_vector(server, text, "full"), raw_vector(server, text, "half")
        assert full != half
        assert cosine(full, half) >= 0.999
    sizes = sorted(os.stat(path).st_size for path in packed(cache))
    assert len(sizes) == 2 and sizes[0] < 0.6 * sizes[1]


def test_a_reload_changes_the_precision(serve, cache, tmp_path, weir):
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model m]\npath = {TINY}\n")
    server = serve_cached(serve, cache, {}, "--config", conf)
    full = raw_vector(server, "water")
    conf.write_text(f"[model m]\npath = {TINY}\nprecision = bf16\n")
    shown = weir("serve", "--config", conf, "--print-config")
    assert re.search(r"precision = bf16  \(.*weir.conf:3\)", shown.stdout), shown
    server.signal(signal.SIGHUP)
    wait_until(lambda: raw_vector(server, "water") != full, 10, "another precision")
    assert len(packed(cache)) == 2


# --- prompts -------------------------------------------------------------------------------------

def test_a_prompt_by_its_name(serve):
    server = serve({"m": PROMPTED})
    plain, prompted = server.embed("water"), server.embed("water", prompt_name="query")
    assert plain.json["usage"]["prompt_tokens"] + 2 == prompted.json["usage"]["prompt_tokens"]
    assert plain.vectors != prompted.vectors
    assert server.embed("water", prompt_name="passage").vectors == plain.vectors
    assert server.embed("water", prompt_name=None).vectors == plain.vectors
    assert server.embed("water", prompt_name="").vectors == plain.vectors


def test_a_prompt_of_white_space_is_a_prompt(serve, tmp_path):
    """It makes no tokens of its own; pooling leaves out the ones that lead, as with any other prompt."""
    shutil.copytree(PROMPTED, tmp_path / "m")
    (tmp_path / "m" / "config_sentence_transformers.json").write_text('{"prompts":{"query":" "}}')
    server = serve({"m": tmp_path / "m"})
    plain, prompted = server.embed("water"), server.embed("water", prompt_name="query")
    assert plain.json["usage"] == prompted.json["usage"] and plain.vectors != prompted.vectors


def test_requests_with_other_prompts_are_not_one(serve):
    """They come while the first is loading, so that equal ones would share its answer."""
    server = serve({"m": PROMPTED})
    names = ["query", "passage", "", "query"]
    answers = [server.later(server.embed, "water", prompt_name=name) for name in names]
    query, passage, plain, again = (answer.result().vectors for answer in answers)
    assert query == again and passage == plain and query != plain


@pytest.mark.parametrize("name, said", [("qury", ("qury", "query", "passage")), (5, ("prompt_name",)),
                                        ("q\0", ("prompt_name",)), ("q" * 257, ("257", "256"))])
def test_a_prompt_that_there_is_not(serve, name, said):
    server = serve({"m": PROMPTED})
    answer = server.embed("water", prompt_name=name)
    assert answer.status == 400
    for word in said:
        assert word in answer.error["message"], answer


def test_a_model_without_prompts(serve):
    server = serve({"m": TINY})
    answer = server.embed("water", prompt_name="passage")
    assert answer.status == 400 and "passage" in answer.error["message"], answer


def test_a_prompt_of_the_command(weir):
    def vector(*options):
        done = weir("embed", "--local", PROMPTED, "water", *options, WEIR_HOST=NOBODY)
        assert done.returncode == 0, done
        return json.loads(done.stdout)["embedding"]
    assert vector("--prompt-name", "query") != vector()
    assert vector("--prompt-name", "passage") == vector()
    done = weir("embed", "--local", PROMPTED, "water", "--prompt-name", "qury", WEIR_HOST=NOBODY)
    assert done.returncode == 1 and "passage" in done.stderr, done


def test_a_prompt_of_the_command_through_a_server(serve, weir):
    server = serve({"m": PROMPTED})
    done = weir("embed", "m", "water", "--prompt-name", "query", WEIR_HOST=server.url)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["tokens"] == \
        server.embed("water", prompt_name="query").json["usage"]["total_tokens"]


# --- texts that are too long ---------------------------------------------------------------------

def test_a_model_that_truncates(serve, tmp_path):
    """The setting is for requests that do not say; a reload changes it without a new worker."""
    conf = tmp_path / "weir.conf"
    conf.write_text(f"[model m]\npath = {TINY}\ntruncate = yes\nmax_workers = 1\n")
    server = serve({}, "--config", conf)
    text = "water " * 100
    cut = server.embed(text)
    assert cut.status == 200 and cut.json["truncated"] == [0], cut
    assert server.embed(text, truncate=True).vectors == cut.vectors
    assert server.embed(text, truncate=None).vectors == cut.vectors
    assert server.embed(text, truncate=False).error["code"] == "context_length_exceeded"
    (worker,) = server.wait_workers(1)
    conf.write_text(f"[model m]\npath = {TINY}\nmax_workers = 1\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.embed(text).status == 400, 10, "the setting has changed")
    assert server.embed(text, truncate=True).vectors == cut.vectors
    assert [w["pid"] for w in server.workers()] == [worker["pid"]]


# --- what is counted, and what is refused ---------------------------------------------------------

def token_ids(server, text):
    return server.post("/weir/v1/tokenize", {"model": "m", "input": text}).json["tokens"][0]


def test_usage_is_counted_from_token_ids(serve):
    server = serve({"m": TINY})
    texts = ["water", "the weir holds the water, ça va?", "w" * 40]
    ids = [token_ids(server, text) for text in texts]
    count = sum(len(row) for row in ids)
    for value in (texts, ids):
        answer = server.embed(value)
        assert answer.json["usage"] == {"prompt_tokens": count, "total_tokens": count}, answer
    assert server.embed(ids).vectors == server.embed(texts).vectors
    assert server.embed(ids[1]).vectors == server.embed(texts).vectors[1:2]


def test_an_overlong_input_is_told_with_both_numbers(serve):
    server = serve({"m": TINY})
    text = "water " * 1000
    count = len(token_ids(server, text))
    limit = server.get("/info").json["max_input_length"]
    for value in (["fine", text], [[5], [5] * count]):
        answer = server.embed(value)
        assert answer.status == 400 and answer.error["code"] == "context_length_exceeded", answer
        error = answer.error
        assert (error["n_prompt_tokens"], error["n_ctx"], error["param"]) == (count, limit, "input")
        for word in ("input 1", str(count), str(limit), "exceeds the available context size"):
            assert word in error["message"], error


def test_ids_that_the_model_has_not(serve):
    server = serve({"m": TINY})
    answer = server.embed([[5], [5, 2000000000]])
    assert answer.status == 400 and answer.error["param"] == "input", answer
    assert "input 1" in answer.error["message"] and "2000000000" in answer.error["message"], answer


def test_a_user_and_unknown_fields_mean_nothing(serve):
    server = serve({"m": TINY})
    plain = raw_vector(server, "water")
    assert raw_vector(server, "water", user="somebody", colour={"blue": [1]}) == plain
    assert raw_vector(server, "water", user=None, dimensions=None, truncate=None,
                      modality=None) == plain
