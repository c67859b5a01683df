"""Chaos: mixed load on five capabilities, a real model among them, while everything around it goes wrong.

Most of a minute in the tests, ten by hand: WEIR_CHAOS_SECONDS=600 pytest chaos_test.py. A seed is printed and
taken from WEIR_CHAOS_SEED; it orders the disturbances, not what the machine makes of them.

All the while: every request gets one answer, right or with a reason; the ledger is the sum of its leases;
the status names the processes that there are, and no others; leases only fall while they are above the
budget; the metrics count what the clients counted. At the end, when all have left: no process, no
descriptor and no memory of it is left.
"""

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import threading
import time

import pytest
from harness import (GONE_STATES, MiB, SLOW, children_of, process_fields, state_machine, wait_until)

SECONDS = float(os.environ.get("WEIR_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("WEIR_CHAOS_SEED", str(int(time.time()) % 100000)))
TOTAL = 24 * 1024 * MiB
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
# What a client may be told while such things go on. Anything else is a mistake of ours.
REASONS = {404, 408, 422, 429, 499, 500, 502, 503, 504, 507}

MODELS = {
    "texts": "fake:text_embedding?slots=4&dim=16&step=5ms&script=yes&weights=512MiB"
             "&packed=256MiB&prepare=200ms",
    "words": "fake:text_to_text?slots=4&step=5ms&script=yes&weights=2GiB&context=64MiB",
    "pictures": "fake:image_embedding?dim=16&step=10ms&weights=1GiB",
    "eyes": "fake:vision?slots=2&step=5ms&script=yes&weights=2GiB",
    "brush": "fake:text_to_image?steps=8&step=10ms&script=yes&weights=3GiB",
    "weak": "fake:text_embedding?crash=every:5&dim=8",
    "flaky": "fake:text_embedding?load_fail_times=2&load_fail=out of luck&dim=8",
    "slow": "fake:text_to_text?load=700ms&weights=4GiB",
    "vast": "fake:text_to_image?weights=40GiB",
}

HELPERS = ("weir:inspect", "weir:prepare")


class Clients:
    """Threads that ask, check what they get, and count."""

    def __init__(self, server, models):
        self.server, self.models = server, models
        self.lock = threading.Lock()
        self.asked = self.answered = self.vanished = 0
        self.failed, self.problems, self.expected = {}, [], {}
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(SEED * 100 + i,), daemon=True)
                        for i in range(12)]
        for thread in self.threads:
            thread.start()

    def run(self, seed):
        dice = random.Random(seed)
        while not self.stop.is_set():
            try:
                self.one(dice)
            except OSError as problem:
                self.problems.append(f"{type(problem).__name__}: {problem}")
            time.sleep(dice.random() * 0.02)

    def one(self, dice):
        name = dice.choice(self.models)
        path, body, key = self.request(dice, name)
        if dice.random() < 0.06:
            self.vanish(path, body, dice)
            return
        with self.lock:
            self.asked += 1
        answer = self.server.post(path, body, {"x-weir-deadline-ms": str(dice.choice((800, 5000, 20000)))})
        self.judge(name, body, key, answer)

    def request(self, dice, name):
        number = dice.randrange(20)
        stream = dice.random() < 0.4
        if name in ("words", "eyes", "slow"):
            content = f"one two three {number}"
            if name == "words" and dice.random() < 0.02:
                content = dice.choice(("!crash", "!fail no", "!hang"))
            parts = [{"type": "text", "text": content}]
            if name == "eyes":
                parts.append({"type": "image_url",
                              "image_url": {"url": "data:image/png;base64," + PIXEL}})
            return "/v1/chat/completions", {"model": name, "stream": stream, "messages": [
                {"role": "user", "content": parts}]}, content
        if name in ("brush", "vast"):
            return "/v1/images/generations", {"model": name, "prompt": f"a weir {number}", "seed": 7,
                                              "size": "32x32", "stream": stream}, str(number)
        if name == "pictures":
            return "/v1/embeddings", {"model": name, "input": [
                {"image": "data:image/png;base64," + PIXEL}]}, "pixel"
        text = f"text {number}"
        if name == "texts" and dice.random() < 0.02:
            text = dice.choice(("!crash", "!fail no", "!sleep 300ms"))
        return "/v1/embeddings", {"model": name, "input": text}, text

    def vanish(self, path, body, dice):
        """A client that sends its request and goes, at once or a little later."""
        data = json.dumps(body).encode()
        head = (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\n\r\n").encode()
        whole = head + data
        connection = self.server.raw(whole[:dice.choice((len(whole), len(whole), len(head), 10))])
        time.sleep(dice.random() * 0.05)
        connection.close()
        with self.lock:
            self.vanished += 1

    def judge(self, name, body, key, answer):
        with self.lock:
            if answer.status != 200:
                self.failed[answer.status] = self.failed.get(answer.status, 0) + 1
                if answer.status not in REASONS or not answer.error["message"]:
                    self.problems.append(f"{name}: {answer}")
                return
            outcome, value = self.outcome(body, answer)
            if outcome == "failed":
                self.failed[outcome] = self.failed.get(outcome, 0) + 1
                return
            self.answered += 1
            if outcome != "ok" or self.expected.setdefault((name, key), value) != value:
                self.problems.append(f"{name}: {outcome}, another answer than before: {answer}")

    @staticmethod
    def outcome(body, answer):
        """("ok", what was said), or ("failed", …) for a stream that says so, or what is wrong."""
        if not body.get("stream"):
            value = answer.json
            if "choices" in value:
                return "ok", value["choices"][0]["message"]["content"]
            row = value["data"][0]
            return "ok", row.get("b64_json") or json.dumps(row["embedding"])
        text = answer.body.decode()
        events = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        errors = [e for e in events if e.startswith("{") and "error" in json.loads(e)]
        if errors:
            return ("failed", "") if "[DONE]" not in events else ("an error and an end", text)
        if "messages" in body:
            if events[-1:] != ["[DONE]"]:
                return "a stream without its end", text
            pieces = [c["delta"].get("content") or "" for e in events[:-1]
                      for c in json.loads(e)["choices"]]
            return "ok", "".join(pieces)
        done = [json.loads(e) for e in events if "completed" in e]
        return ("ok", done[-1]["b64_json"]) if done else ("no image", text)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60 * SLOW)
            assert not thread.is_alive(), "a request is never answered"


class Chaos:
    """Does one bad thing after another."""

    def __init__(self, server, machine, cache, config):
        self.server, self.machine, self.cache, self.config = server, machine, cache, config
        self.dice = random.Random(SEED)
        self.done = {}
        self.stopped = set()

    def worker(self):
        found = [pid for pid, title in self.server.children().items() if title.startswith("weir:")]
        return self.dice.choice(found) if found else None

    def signal(self, pid, number):
        try:
            os.kill(pid, number)
            return True
        except ProcessLookupError:
            return False

    def kill(self):
        pid = self.worker()
        return pid is not None and self.signal(pid, signal.SIGKILL)

    def stop(self):
        pid = self.worker()
        if pid is not None and self.signal(pid, signal.SIGSTOP):
            self.stopped.add(pid)

    def slow(self):
        """Stopped for a moment: late, not hung."""
        pid = self.worker()
        if pid is not None and self.signal(pid, signal.SIGSTOP):
            time.sleep(0.1)
            self.signal(pid, signal.SIGCONT)

    def state_memory(self, available):
        text = f"MemTotal: {TOTAL // 1024} kB\nMemAvailable: {available // 1024} kB\n"
        path = self.machine / "proc/meminfo"
        (self.machine / "next").write_text(text)
        os.replace(self.machine / "next", path)

    def others_take_memory(self):
        self.state_memory(self.dice.choice((TOTAL // 20, TOTAL // 8, TOTAL // 3)))

    def others_give_memory(self):
        self.state_memory(TOTAL - 1024 * MiB)

    def other_budget(self):
        self.config(self.dice.choice((5, 8, 12)))
        self.server.signal(signal.SIGHUP)

    def disk(self):
        """The cache is on a disk that is full, then on one that is not."""
        if self.cache.is_symlink():
            self.cache.unlink()
            self.cache.mkdir(exist_ok=True)
            return
        for _ in range(100):  # whoever is at work in the folder may make it again
            shutil.rmtree(self.cache, ignore_errors=True)
            with contextlib.suppress(FileExistsError):
                self.cache.symlink_to("/dev/full")
                return
        raise AssertionError(f"{self.cache} can't be made another thing")

    def unload(self):
        name = self.dice.choice(("texts", "words", "brush", "mini"))
        answer = self.server.post("/weir/v1/unload", {"model": name})
        assert answer.status == 200, answer

    def look(self):
        for path in ("/metrics", "/weir/v1/plan?model=vast", "/weir/v1/requests"):
            assert self.server.get(path).status == 200, path

    def step(self):
        acts = (self.kill, self.kill, self.stop, self.slow, self.others_take_memory,
                self.others_give_memory, self.others_give_memory, self.other_budget, self.disk,
                self.unload, self.look)
        act = self.dice.choice(acts)
        act()
        self.done[act.__name__] = self.done.get(act.__name__, 0) + 1

    def calm(self):
        self.others_give_memory()
        for pid in self.stopped:
            self.signal(pid, signal.SIGCONT)
        self.config(12)
        self.server.signal(signal.SIGHUP)


class Sampler:
    """Looks at the pool from three sides."""

    def __init__(self, server):
        self.server = server
        self.samples = 0
        self.most = 0  # of the sample before: leased, or the budget where that was more

    def sample(self):
        before = children_of(self.server.pid)
        status = self.server.status()
        after = children_of(self.server.pid)
        memory = status["memory"]
        leased = sum(m["weights_leased"] + sum(w["leased"] for w in m["workers"])
                     for m in status["models"])
        assert leased + memory["preparing"] == memory["leased"], (leased, memory)
        # Above the budget only where the budget fell below what is leased; then that may only fall too.
        assert memory["leased"] <= max(memory["budget"], self.most), (memory, self.most)
        self.most = max(memory["leased"], memory["budget"])
        known = {w["pid"] for m in status["models"] for w in m["workers"]
                 if w["state"] not in ("Dead",) and w["pid"] > 0}
        # One without a title has given its memory back already and is about to end.
        both = {pid for pid, title in after.items() if pid in before and title and title not in HELPERS}
        assert both <= known, (both, known)
        alive = {pid for pid in known if (process_fields(pid) or GONE_STATES)[0] not in GONE_STATES}
        assert alive <= before.keys() | after.keys(), (known, before, after)
        self.samples += 1


def counters(server, name):
    """The samples of a metric: {labels as text: value}."""
    found = {}
    for line in server.get("/metrics").body.decode().splitlines():
        if line.startswith(name + "{") or line.startswith(name + " "):
            labels, value = line[len(name):].rsplit(" ", 1)
            found[labels] = float(value)
    return found


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def quiet(server):
    """No worker, no inspector, nothing under way."""
    wait_until(lambda: not server.children(), 90, "all workers left")
    wait_until(lambda: server.status()["memory"]["leased"] == 0, 10, "nothing is leased")


@pytest.fixture
def minilm():
    models = os.environ.get("WEIR_MODELS", "")
    path = os.path.join(models, "all-MiniLM-L6-v2")
    if not os.path.isdir(path):
        if os.environ.get("CI"):
            pytest.fail("no MiniLM under $WEIR_MODELS")
        pytest.skip("no MiniLM under $WEIR_MODELS")
    return path


def storm(server, models, machine, cache, config, seconds):
    """Chaos for so long, then calm until nothing is under way; the clients, with what they saw."""
    clients = Clients(server, list(models))
    chaos, sampler = Chaos(server, machine, cache, config), Sampler(server)
    sampler.sample()  # the first step may be one that changes the budget
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        chaos.step()
        for _ in range(3):
            sampler.sample()
            time.sleep(0.05)
    chaos.calm()
    clients.end()
    quiet(server)
    wait_until(lambda: counters(server, "weir_http_in_flight")[""] <= 1, 10, "no request is under way")
    print(f"asked {clients.asked}, answered {clients.answered}, failed {clients.failed}, "
          f"vanished {clients.vanished}; {sampler.samples} samples; {chaos.done}")
    return clients


def test_chaos(serve, tmp_path, minilm):
    print(f"chaos: seed {SEED}, {SECONDS:g} s")
    machine = state_machine(tmp_path / "stated", total=TOTAL, available=TOTAL - 1024 * MiB)
    cache = tmp_path / "cache" / "weir"
    cache.mkdir(parents=True)
    file = tmp_path / "weir.conf"

    def config(gib):
        next_file = tmp_path / "weir.conf.next"
        next_file.write_text(f"memory = {gib}GiB\n")
        os.replace(next_file, file)

    config(12)
    models = {**MODELS, "mini": minilm}
    server = serve(models, "--idle", "2", "--idle-label", "1", "--limit", "job_stall_ms=2000",
                   "--limit", "load_stall_ms=3000", "--limit", "ping_ms=1000",
                   "--limit", "pressure_ms=300", "--limit", "breaker_open_ms=2000",
                   "--limit", "restart_max_ms=2000", "--limit", "quarantine_ms=3000",
                   "--limit", "queue_jobs=64", machine=machine, memory=None,
                   WEIR_CONFIG=str(file), XDG_CACHE_HOME=str(tmp_path / "cache"))
    # A first, shorter one: for what is made when something happens for the first time, and stays.
    storm(server, models, machine, cache, config, SECONDS / 4)
    start = {"fds": descriptors(server), "bytes": counters(server, "weir_heap_bytes")[""]}
    before = counters(server, "weir_accepted_total")[""]
    clients = storm(server, models, machine, cache, config, SECONDS)

    assert clients.problems == []
    assert clients.asked == clients.answered + sum(clients.failed.values())
    assert clients.answered > 0
    accepted = counters(server, "weir_accepted_total")[""]
    assert accepted > before
    ended = sum(counters(server, "weir_request_duration_seconds_count").values())
    assert accepted == ended, (accepted, ended)
    # The connection of the last question may be a moment from its end.
    wait_until(lambda: descriptors(server) <= start["fds"], 10, f"{start['fds']} descriptors again")
    end = counters(server, "weir_heap_bytes")[""]
    print(f"allocated: {start['bytes']:.0f} bytes before, {end:.0f} after")
    assert end - start["bytes"] < 64 * 1024, (start, end)
