"""GET /metrics: it parses, it is true, and it counts what happened."""

import json
import os
import re
import signal
import time

from harness import MiB, ROOT, SLOW, process_fields, wait_until

FAKE = "fake:text_embedding"
PAGE = os.sysconf("SC_PAGE_SIZE")

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN")
TYPES = ("counter", "gauge", "histogram")


class Page:
    """The text format, version 0.0.4, read without mercy: {name: {labels: value}} and {name: type}."""

    def __init__(self, text):
        self.samples, self.types, self.helps = {}, {}, {}
        self._family = None
        assert text.endswith("\n") and "\r" not in text
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                self._help(line)
            elif line.startswith("# TYPE "):
                self._type(line)
            else:
                self._sample(line)
        assert self.types.keys() == self.helps.keys()
        for name, kind in self.types.items():
            if kind == "histogram":
                self._check_histogram(name)
            if kind == "counter":
                assert name.endswith("_total"), name
                assert all(value >= 0 for value in self.samples.get(name, {}).values()), name

    def _help(self, line):
        name, _, text = line[len("# HELP "):].partition(" ")
        assert NAME.fullmatch(name) and text, line
        assert name not in self.helps, f"{name} comes twice"
        self.helps[name] = text
        self._family = name

    def _type(self, line):
        name, _, kind = line[len("# TYPE "):].partition(" ")
        assert name == self._family and name not in self.types and kind in TYPES, line
        self.types[name] = kind

    def _sample(self, line):
        name = NAME.match(line).group()
        rest = line[len(name):]
        labels = {}
        if rest.startswith("{"):
            inside, closed, rest = rest[1:].rpartition("} ")
            assert closed, line
            while inside:
                match = LABEL.match(inside)
                assert match, line
                assert match.group(1) not in labels, line
                labels[match.group(1)] = re.sub(
                    r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), match.group(2))
                inside = inside[match.end():]
                assert inside == "" or inside.startswith(","), line
                inside = inside[1:]
        else:
            assert rest.startswith(" "), line
            rest = rest[1:]
        assert NUMBER.fullmatch(rest), line
        own = {self._family} if self.types[self._family] != "histogram" else {
            self._family + suffix for suffix in ("_bucket", "_sum", "_count")}
        assert name in own, f"{line} among samples of {self._family}"
        key = tuple(sorted(labels.items()))
        rows = self.samples.setdefault(name, {})
        assert key not in rows, f"{line} comes twice"
        rows[key] = float(rest)

    def _check_histogram(self, name):
        series = {}
        for key, value in self.samples.get(name + "_bucket", {}).items():
            labels = dict(key)
            bound = float(labels.pop("le"))
            series.setdefault(tuple(sorted(labels.items())), []).append((bound, value))
        assert series.keys() == self.samples.get(name + "_count", {}).keys()
        for key, buckets in series.items():
            assert buckets == sorted(buckets), (name, key)
            values = [value for _, value in buckets]
            assert values == sorted(values) and buckets[-1][0] == float("inf"), (name, key)
            assert values[-1] == self.samples[name + "_count"][key]
            total = self.samples[name + "_sum"][key]
            assert total >= 0 and (values[-1] > 0 or total == 0)

    def value(self, name, **labels):
        """The one sample of these labels; 0 when there is none."""
        return self.samples.get(name, {}).get(tuple(sorted(labels.items())), 0)

    def sum(self, name, **labels):
        """Of all samples that have these labels."""
        return sum(value for key, value in self.samples.get(name, {}).items()
                   if labels.items() <= dict(key).items())

    def names(self):
        return set(self.types) | set(self.samples)


def page(server):
    answer = server.get("/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Page(answer.body.decode())


def assert_is_true(server):
    """Every gauge against the status, which itself is compared with /proc by other tests."""
    def compare():
        before, shown, status = server.status(), page(server), server.status()
        # Workers that die, or a job that ends, between the readings say nothing; time always goes on.
        for at in (before, status):
            for model in at["models"]:
                del model["oldest_ms"], model["predicted_wait_ms"]
                for worker in model["workers"]:
                    del worker["idle_ms"], worker["measured"]
            del at["memory"]["measured"]
        return (shown, status) if before == status else None
    shown, status = wait_until(compare, 10, "the pool holds still for three questions")
    assert shown.value("weir_memory_budget_bytes") == status["memory"]["budget"]
    assert shown.value("weir_memory_leased_bytes") == status["memory"]["leased"]
    assert shown.sum("weir_memory_leased_model_bytes") == status["memory"]["leased"]
    pressures = ("Low", "Normal", "High", "Critical")
    assert pressures[int(shown.value("weir_memory_pressure"))] == status["memory"]["pressure"]
    assert shown.value("weir_models") == len(status["models"])
    alive = 0
    for model in status["models"]:
        name = model["name"]
        assert shown.value("weir_queue_jobs", model=name) == model["queue"]
        assert shown.value("weir_running_jobs", model=name) == sum(w["jobs"] for w in model["workers"])
        assert shown.value("weir_worker_spawned_total", model=name) == model["spawned"]
        assert shown.value("weir_breaker_state", model=name) == (
            "closed", "open", "half_open").index(model["breaker"])
        for state in ("Spawning", "Loading", "Ready", "Processing", "Idle", "Evicting", "Dead",
                      "Failed"):
            count = sum(w["state"] == state for w in model["workers"])
            assert shown.value("weir_workers", model=name, state=state) == count, (name, state)
            alive += count if state != "Dead" else 0
    assert alive == len(server.children())  # of the system's own reckoning
    return shown


def test_metrics_match_truth(serve):
    server = serve({"a": FAKE + "?weights=40MiB&steps=3&step=30ms&script=yes",
                    "b": FAKE + "?weights=40MiB", "c": FAKE + "?weights=40MiB"},
                   "--max-workers", "2", "--limit", "min_stay_ms=0", memory="100MiB")
    assert_is_true(server)
    for step in range(6):
        running = [server.later(server.embed, f"{step} {i}", "abc"[(step + i) % 3])
                   for i in range(12)]
        for request in running:
            assert request.result().status == 200, request.result()
        shown = assert_is_true(server)
    assert server.embed("!crash", "a").status == 422
    server.post("/weir/v1/unload", {"model": "b"})
    shown = assert_is_true(server)
    assert shown.sum("weir_evictions_total", reason="memory") > 0
    assert shown.value("weir_quarantined_total") == 1
    # The server's own, against /proc.
    statm = open(f"/proc/{server.pid}/statm").read().split()
    resident = int(statm[1]) * PAGE
    assert abs(shown.value("process_resident_memory_bytes") - resident) < 4 * MiB
    files = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert abs(shown.value("weir_open_fds") - files) <= 3
    boot = time.time() - float(open("/proc/uptime").read().split()[0])
    started = boot + int(process_fields(server.pid)[19]) / os.sysconf("SC_CLK_TCK")
    assert abs(shown.value("process_start_time_seconds") - started) < 3


def test_busy_gauges(serve):
    """Queued, running and the wait of the oldest, while they are there."""
    server = serve({"m": FAKE + "?steps=200&step=50ms"}, "--max-workers", "1")
    requests = [server.later(server.embed, f"text {i}", headers={"x-request-id": f"r{i}"})
                for i in range(4)]
    server.wait_jobs(1)
    wait_until(lambda: server.model()["queue"] == 3, 5, "three wait")
    time.sleep(0.3)
    shown = assert_is_true(server)
    assert shown.value("weir_queue_jobs", model="m") == 3
    assert shown.value("weir_queue_bytes", model="m") > 0
    assert 0.2 < shown.value("weir_queue_oldest_seconds", model="m") < 10 * SLOW
    assert shown.value("weir_http_in_flight") == 5 and shown.value("weir_http_connections") >= 5
    for i in range(4):
        assert server.request("DELETE", f"/weir/v1/requests/r{i}").status == 200
    for request in requests:
        assert request.result().status == 499
    wait_until(lambda: page(server).value("weir_running_jobs", model="m") == 0, 5, "none runs")
    shown = page(server)
    assert shown.value("weir_requests_total", model="m", outcome="cancelled") == 4
    assert shown.value("weir_queue_oldest_seconds", model="m") == 0


def test_counters_match_a_session(serve):
    """A scripted session with known totals (F095)."""
    server = serve({"m": FAKE + "?load=200ms&script=yes", "bad": FAKE + "?load_fail=no", "idle": FAKE},
                   "--max-workers", "1", "--limit", "queue_jobs=2")
    fresh = page(server)
    assert fresh.sum("weir_requests_total") == 0 and fresh.value("weir_accepted_total") == 0
    tokens = 0
    for text in ("one", "two words", "and now three"):
        answer = server.embed(text)
        assert answer.status == 200, answer
        tokens += answer.json["usage"]["prompt_tokens"]
    assert server.embed("x", "bad").status == 500
    assert server.embed("x", "none").status == 404
    assert server.embed("!fail because").status == 500
    assert server.embed("slow", headers={"x-weir-deadline-ms": "1"}).status in (200, 504)
    worker = server.workers()[0]
    held = [server.later(server.embed, f"!sleep {int(600 * SLOW)}ms") for _ in range(1)]
    server.wait_jobs(1)
    held += [server.later(server.embed, f"waits {i}") for i in range(2)]
    wait_until(lambda: server.model()["queue"] == 2, 5, "two wait")
    assert server.embed("one too many").status == 429
    assert [request.result().status for request in held] == [200, 200, 200]
    os.kill(worker["pid"], signal.SIGKILL)
    wait_until(lambda: not server.workers(), 5, "the worker is dead")
    wait_until(lambda: server.embed("after").status == 200, 10, "another one answers")
    assert server.post("/weir/v1/unload", {"model": "m"}).status == 200
    shown = assert_is_true(server)
    late = shown.value("weir_requests_total", model="m", outcome="deadline_exceeded")
    assert late in (0, 1)
    unavailable = shown.value("weir_requests_total", model="m", outcome="model_unavailable")
    assert shown.value("weir_requests_total", model="m", outcome="ok") == 8 - late
    assert shown.value("weir_requests_total", model="m", outcome="model_failed") == 1
    assert shown.value("weir_requests_total", model="m", outcome="queue_full") == 1
    assert shown.value("weir_requests_total", model="bad", outcome="model_load_failed") == 1
    assert shown.sum("weir_requests_total", model="none") == 0
    assert not any(dict(key).get("model") == "idle" for rows in shown.samples.values() for key in rows)
    accepted = shown.value("weir_accepted_total")
    assert accepted == shown.sum("weir_requests_total") - 1 - unavailable
    assert accepted == shown.sum("weir_request_duration_seconds_count")
    assert shown.value("weir_load_seconds_count", model="m") == 2
    assert 0.4 <= shown.value("weir_load_seconds_sum", model="m") < 20 * SLOW
    assert shown.value("weir_load_seconds_count", model="bad") == 0
    assert shown.value("weir_worker_spawned_total", model="m") == 2
    assert shown.value("weir_restarts_total", model="m") == 1
    assert shown.value("weir_worker_exits_total", model="m", how="left") == 1
    assert shown.sum("weir_worker_exits_total", model="m") == 2
    assert shown.value("weir_worker_exits_total", model="bad", how="failed") == 1
    assert shown.value("weir_evictions_total", model="m", reason="unload") == 1
    assert shown.value("weir_tokens_total", model="m", direction="input") >= tokens
    assert shown.value("weir_verdicts_total", verdict="grant") >= 3
    assert shown.value("weir_retries_total") == 0 and shown.value("weir_quarantined_total") == 0
    posts = "POST /v1/embeddings"
    assert shown.value("weir_http_requests_total", route=posts, status="404") == 1
    assert shown.value("weir_http_requests_total", route=posts, status="429") == 1
    assert shown.value("weir_http_requests_total", route=posts, status="200") == 8 - late
    assert shown.value("weir_http_requests_total", route="POST /weir/v1/unload", status="200") == 1
    assert shown.sum("weir_http_request_seconds_count", route=posts) == shown.sum(
        "weir_http_requests_total", route=posts)
    assert server.get("/nowhere").status == 404
    assert page(server).value("weir_http_requests_total", route="none", status="404") == 1


def test_a_thousand_models_are_cheap(serve, tmp_path):
    """10 ms for a page with 1000 models, of which nobody uses most."""
    models = {f"m{i}": FAKE for i in range(1000)}
    server = serve(models)
    for i in range(3):
        assert server.embed("x", f"m{i}").status == 200
    best = 1e9
    for _ in range(20):
        began = time.perf_counter()
        answer = server.get("/metrics")
        best = min(best, time.perf_counter() - began)
        assert answer.status == 200
    assert len(answer.body) < 100_000
    assert Page(answer.body.decode()).value("weir_models") == 1000
    assert best < 0.010 * SLOW, best


def test_the_dashboard_asks_for_what_there_is(serve):
    with open(os.path.join(ROOT, "docs", "grafana.json")) as file:
        board = json.load(file)
    assert board["schemaVersion"] >= 36 and board["title"] == "weir" and board["uid"]
    assert "datasource" in [v["name"] for v in board["templating"]["list"] if v["type"] == "datasource"]
    server = serve({"m": FAKE})
    assert server.embed("x").status == 200
    known = page(server).names()
    asked = set()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            bare = re.sub(r'"[^"]*"', "", target["expr"])
            names = set(re.findall(r"\b(?:weir|process)_[a-z0-9_]+", bare))
            assert names, target["expr"]
            asked |= names
    assert asked <= known, asked - known
    with open(os.path.join(ROOT, "docs", "monitoring.md")) as file:
        explained = set(re.findall(r"^\| `([a-z_]+)`", file.read(), re.MULTILINE))
    families = {name for name in page(server).types}
    assert explained == families, explained ^ families
    for name in ("weir_memory_budget_bytes", "weir_memory_leased_bytes", "weir_memory_measured_bytes",
                 "weir_workers", "weir_request_queue_wait_seconds_bucket", "weir_load_seconds_bucket",
                 "weir_request_duration_seconds_bucket", "weir_evictions_total", "weir_restarts_total",
                 "weir_breaker_state", "weir_requests_total"):
        assert name in asked
