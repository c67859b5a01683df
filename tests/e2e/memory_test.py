"""The governor on real processes: budgets, victims, waiting, refusals. No byte is touched."""

import time

from harness import GiB, MiB, names_gib, state_machine, wait_until

FAKE = "fake:text_embedding?context=0&scratch=0"


def order(events, *wanted):
    """The place among all events of the first event of each (model, state)."""
    seen = [(e["model"], e["to"]) for e in events.seen if e["kind"] == "state"]
    return [seen.index(pair) for pair in wanted]


def test_never_fits(serve):
    """507, at once and for good, with what is needed and what there is."""
    server = serve({"m": FAKE + "&weights=20GiB", "other": FAKE + "&weights=8GiB"})
    server.vector("resident", "other")
    for _ in range(2):
        answer = server.embed()
        assert answer.status == 507, answer
        assert answer.error["code"] == "model_too_large"
        assert "'m'" in answer.error["message"]
        assert names_gib(20, answer.error["message"]) and names_gib(16, answer.error["message"])
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
    assert server.model()["spawned"] == 0
    assert server.workers("other") != []  # nobody was pushed out for nothing


def test_evict_waits_for_exit(serve):
    """Two models that do not fit together: the idle one leaves, and only its exit makes room (F063)."""
    server = serve({"a": FAKE + "&weights=10GiB", "b": FAKE + "&weights=10GiB"})
    events = server.events()
    server.vector("one", "a")
    server.wait_settled("a")
    server.vector("two", "b")
    assert len(events.workers("a")) == 2
    last_dead = events.state("Dead", model="a", count=2)
    spawned = events.state("Spawning", model="b")
    seen = list(events.seen)
    assert seen.index(spawned) > seen.index(last_dead)
    assert spawned["time_ms"] >= last_dead["time_ms"]
    evictions = events.kinds("evict", "a")
    assert len(evictions) == 2
    assert "'b'" in evictions[0]["reason"] and names_gib(10, evictions[0]["reason"])
    for worker in events.workers("a"):
        assert events.states(worker, "a")[-2:] == ["Evicting", "Dead"]
    assert server.leased() == 10 * 1024
    assert server.workers("a") == []


def test_ledger_never_exceeds_the_budget(serve):
    """Three models of which two fit, asked in turns: what is leased never passes the budget (F010, F061)."""
    server = serve({name: FAKE + "&weights=7GiB&load=50ms" for name in "abc"},
                   "--max-workers", "1", "--limit", "min_stay_ms=0")
    expected = {name: server.vector("x" + name, name) for name in "abc"}
    running = [(name, server.later(server.embed, "x" + name, name)) for name in "abcabcabc"]
    highest = 0
    while not all(request.done() for _, request in running):
        highest = max(highest, server.status()["memory"]["leased"])
        time.sleep(0.01)
    for name, request in running:
        answer = request.result()
        assert answer.status == 200, answer
        assert answer.vectors == [expected[name]]
    assert 0 < highest <= 16 * GiB


def test_busy_is_never_evicted(serve):
    """The second model waits until the first has done its work, and then gets its room (F030)."""
    server = serve({"a": FAKE + "&weights=10GiB&steps=15&step=100ms",
                    "b": FAKE + "&weights=10GiB"}, "--max-workers", "1")
    events = server.events()
    long = server.later(server.embed, "long", "a")
    worker = server.wait_jobs(1, "a")[0]
    waiting = server.later(server.embed, "waits", "b")
    events.wait(lambda e: e["kind"] == "wait" and e["model"] == "b", 5, "b waits for memory")
    assert server.model("b")["queue"] == 1
    assert server.workers("a", ["Processing"])[0]["pid"] == worker["pid"]
    first, second = long.result(), waiting.result()
    assert (first.status, second.status) == (200, 200), (first, second)
    assert first.ended < second.ended
    assert events.states(worker["id"], "a") == [
        "Spawning", "Loading", "Ready", "Processing", "Ready", "Evicting", "Dead"]
    assert order(events, ("a", "Dead"), ("b", "Spawning")) == sorted(
        order(events, ("a", "Dead"), ("b", "Spawning")))
    assert server.model("a")["spawned"] == 1


def test_loading_is_never_evicted(serve):
    """A load that runs is let finish, and its requests are answered, before another's turn (F030)."""
    server = serve({"a": FAKE + "&weights=10GiB&load=1s", "b": FAKE + "&weights=10GiB"},
                   "--max-workers", "1")
    events = server.events()
    first = server.later(server.embed, "one", "a")
    events.state("Loading", model="a")
    second = server.embed("two", "b")
    assert first.result().status == 200 and second.status == 200
    assert events.states(events.workers("a")[0], "a") == [
        "Spawning", "Loading", "Ready", "Processing", "Ready", "Evicting", "Dead"]


def test_request_during_evict(serve):
    """Who asks for a model that is just leaving is answered: nothing hangs, nothing is lost (F039)."""
    server = serve({name: FAKE + "&weights=10GiB&load=200ms" for name in "ab"},
                   "--max-workers", "1", "--limit", "min_stay_ms=0")
    expected = {name: server.vector("back", name) for name in "ab"}
    events = server.events()
    for round_ in range(3):
        other = server.later(server.embed, "back", "a")
        events.state("Evicting", model="b", count=round_ + 1)
        again = server.later(server.embed, "back", "b")
        for name, answer in (("a", other.result()), ("b", again.result())):
            assert answer.status == 200, answer
            assert answer.vectors == [expected[name]]


def test_waiting_for_memory_ends_with_the_deadline(serve):
    """What memory refuses now waits in the queue (F018)."""
    server = serve({"a": FAKE + "&weights=10GiB&script=yes", "b": FAKE + "&weights=10GiB"},
                   "--max-workers", "1")
    long = server.later(server.embed, "!sleep 2s", "a")
    server.wait_jobs(1, "a")
    answer = server.embed("x", "b", headers={"x-weir-deadline-ms": "400"})
    assert answer.status == 503, answer
    assert answer.error["code"] == "no_memory_now"
    assert int(answer.headers["retry-after"]) >= 1
    assert server.model("b")["queue"] == 0
    assert long.result().status == 200
    assert server.model("b")["spawned"] == 0


def test_surplus_workers_leave_before_last_ones(serve):
    """Room for a small model is made by a second worker, not by the last one of anybody."""
    server = serve({"a": "fake:text_embedding?weights=4GiB&context=5GiB&scratch=0",
                    "b": FAKE + "&weights=5GiB"})
    events = server.events()
    server.vector("x", "a")
    server.wait_settled("a")
    assert server.leased() == 14 * 1024
    server.vector("x", "b")
    events.state("Dead", model="a")
    assert len(server.workers("a")) == 1
    assert len(events.kinds("evict", "a")) == 1


def test_second_worker_only_if_memory_allows(serve):
    """0 -> 2 becomes 0 -> 1 where two do not fit; nobody is pushed out for a second one (F018)."""
    server = serve({"a": "fake:text_embedding?weights=4GiB&context=8GiB&scratch=0",
                    "b": FAKE + "&weights=3GiB"}, "--limit", "pressure_ms=50")
    server.vector("x", "b")
    server.wait_settled("b")
    server.vector("x", "a")
    time.sleep(0.3)
    assert len(server.workers("a")) == 1
    assert server.model("a")["spawned"] == 1
    assert len(server.workers("b")) == 2


def test_big_budget_never_evicts(serve, tmp_path):
    """Twenty models in a budget far above their sum: nobody ever leaves for another."""
    big = state_machine(tmp_path / "big", 500 * GiB, 500 * GiB)
    names = [f"m{i}" for i in range(20)]
    server = serve({name: "fake:text_embedding?weights=1GiB" for name in names},
                   "--max-workers", "1", machine=big, memory="400GiB")
    events = server.events()
    for name in names:
        server.vector("x", name)
    assert [e for e in events.seen if e["kind"] == "evict" or e["to"] == "Evicting"] == []
    assert all(len(server.workers(name)) == 1 for name in names)
    assert server.leased() >= 20 * 1024


def test_cgroup_cache_not_used(serve, tmp_path):
    """A group that is full of file cache has room: cache is not use (F065)."""
    folder = state_machine(tmp_path / "group")
    group = folder / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{12 * GiB}\n")
    (group / "memory.current").write_text(f"{12 * GiB - MiB}\n")
    (group / "memory.stat").write_text(f"anon {GiB}\ninactive_file {10 * GiB}\n"
                                       f"active_file {GiB - MiB}\n")
    server = serve({"m": FAKE + "&weights=8GiB"}, machine=folder, memory="9GiB")
    assert server.embed().status == 200
    assert server.leased() == 8192


def test_budget_follows_the_group(serve, tmp_path):
    """Without --memory the budget comes of the tightest group, not of the machine (F065)."""
    folder = state_machine(tmp_path / "group")
    group = folder / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{20 * GiB}\n")
    (group / "memory.current").write_text("0\n")
    server = serve({"m": FAKE + "&weights=15GiB"}, machine=folder, memory="100%")
    assert server.status()["memory"]["budget"] == 20 * GiB - 256 * MiB
    half = serve({"m": FAKE}, machine=folder, memory="50%")
    assert round(half.status()["memory"]["budget"] / MiB) == 10 * 1024


def test_other_programs_memory_counts(serve, tmp_path):
    """The budget would allow it, the machine does not have it now: wait, then 503."""
    folder = state_machine(tmp_path / "full", 24 * GiB, 6 * GiB)
    server = serve({"m": FAKE + "&weights=8GiB"}, "--limit", "pressure_ms=50", machine=folder)
    answer = server.embed(headers={"x-weir-deadline-ms": "300"})
    assert answer.status == 503 and answer.error["code"] == "no_memory_now", answer
    waiting = server.later(server.embed)
    wait_until(lambda: server.model()["queue"] == 1, 5, "the request waits")
    (folder / "proc" / "meminfo").write_text(
        f"MemTotal: {24 * GiB // 1024} kB\nMemAvailable: {20 * GiB // 1024} kB\n")
    assert waiting.result().status == 200


def state_available(folder, available, total=24 * GiB):
    """What the machine in the folder has available from now on."""
    path = folder / "proc" / "meminfo"
    new = path.with_suffix(".new")
    new.write_text(f"MemTotal: {total // 1024} kB\nMemAvailable: {available // 1024} kB\n")
    new.rename(path)


def test_critical_pressure_makes_idle_workers_leave(serve, machine):
    """Other programs take the memory: who is idle leaves, who works stays, and all is told."""
    server = serve({"a": FAKE + "&weights=4GiB", "b": FAKE + "&weights=4GiB&script=yes"},
                   "--max-workers", "1", "--limit", "pressure_ms=50")
    events = server.events()
    server.vector("x", "a")
    long = server.later(server.embed, "!sleep 2s", "b")
    server.wait_jobs(1, "b")
    state_available(machine, GiB)
    events.state("Dead", model="a")
    (evicted,) = events.kinds("evict", "a")
    assert evicted["reason"].startswith("for pressure: needs "), evicted
    assert server.status()["memory"]["pressure"] == "Critical"
    assert server.workers("b", ["Processing"]) != []
    assert long.result().status == 200
    events.state("Dead", model="b")
    state_available(machine, 20 * GiB)
    assert server.embed("x", "a").status == 200


def test_two_weirs_share_one_machine(serve, machine):
    """Each has a budget of 16 of 24 GiB. What the first one's worker uses is not available to the
    second, whose budget would allow it, and is once that worker has gone."""
    model = "fake:text_embedding?weights=0&scratch=0&context=14GiB"
    one = serve({"m": model}, "--max-workers", "1")
    two = serve({"m": model}, "--max-workers", "1", "--limit", "pressure_ms=50")
    one.vector("x")
    state_available(machine, 10 * GiB)  # as the kernel would say once the context is used
    answer = two.embed(headers={"x-weir-deadline-ms": "300"})
    assert answer.status == 503 and answer.error["code"] == "no_memory_now", answer
    assert two.model()["spawned"] == 0
    waiting = two.later(two.embed)
    wait_until(lambda: two.model()["queue"] == 1, 5, "the request waits")
    assert one.stop() == 0
    state_available(machine, 24 * GiB)
    assert waiting.result().status == 200


def test_two_weirs_race_for_one_load(serve, machine):
    """Both look before either has used what it was granted: each may err by that one load, and by
    no more, for its own untouched leases count as used."""
    models = {name: "fake:text_embedding?weights=0&scratch=0&context=7GiB&load=5s" for name in "ab"}
    state_available(machine, 8 * GiB)
    servers = [serve(models, "--max-workers", "1", "--limit", "pressure_ms=50") for _ in range(2)]
    running = [server.later(server.embed, "x", name, headers={"x-weir-deadline-ms": "3000"})
               for server in servers for name in models]
    for answer in [request.result() for request in running]:
        assert answer.status in (503, 504), answer
    assert [sum(server.model(name)["spawned"] for name in models) for server in servers] == [1, 1]


def test_min_workers_are_never_victims(serve):
    """A model that must stay makes another one that never fits beside it a 507, at any time."""
    server = serve({"a": FAKE + "&weights=9GiB", "b": FAKE + "&weights=9GiB"}, "--min-workers", "1",
                   "--max-workers", "1")
    def one_is_there():
        there = {name: server.workers(name, ("Ready", "Idle")) for name in "ab"}
        return [name for name, workers in there.items() if workers]
    (resident,) = wait_until(one_is_there, 10, "one of the two was loaded")
    pid = server.workers(resident)[0]["pid"]
    (other,) = set("ab") - {resident}
    answer = server.embed("x", other, headers={"x-weir-deadline-ms": "500"})
    assert answer.status in (503, 507), answer
    message = answer.error["message"]
    assert names_gib(9, message) or str(9 * GiB) in message
    assert server.embed("x", resident).status == 200
    assert server.workers(resident)[0]["pid"] == pid


def test_measured_memory_raises_the_lease(serve):
    """A worker that uses more than it stated, be it nothing, is charged what it uses (F015, F068)."""
    server = serve({"m": "fake:text_embedding?weights=1GiB&context=0&scratch=0&leak=96MiB"},
                   "--max-workers", "1", "--limit", "pressure_ms=50")
    server.vector("x")
    if server.status()["memory"]["measured"] == 0:  # sanitizers hide what the model uses
        return
    (worker,) = server.workers()
    assert worker["measured"] >= 96 * MiB
    assert worker["leased"] >= 96 * MiB
    assert server.leased() >= 1024 + 96
