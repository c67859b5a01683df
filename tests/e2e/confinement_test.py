"""What a worker can still do, whoever has taken it over: nothing to others, and little to itself."""

import json
import os
import signal
import subprocess

import pytest

from harness import ROOT, children_of, program, read_text, wait_until

TINY = os.path.join(ROOT, "tests", "fixtures", "tiny_bert")
ATTEMPTS = ("connect", "exec", "open", "write")
PASSED_ON = {"WEIR_CPU", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "LLVM_PROFILE_FILE"}


@pytest.fixture(scope="module")
def profiles():
    """What the worker program says of confinement here: {profile: …}."""
    done = subprocess.run([program("weir-worker"), "--doctor"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert set(lines[0]) == {"build", "kernels"}
    return {line["profile"]: line for line in lines[1:]}


def check_report(text, profiles):
    """The answer of a fake model with probe=yes: each attempt, and what came of it."""
    happened = dict(part.split(": ", 1) for part in text.split(", "))
    assert tuple(happened) == ATTEMPTS, text
    if profiles["cpu"]["logs"]:
        pytest.skip("a build with sanitizers refuses nothing")
    assert all(why in ("Operation not permitted", "Permission denied") for why in happened.values()), text


def test_every_profile_holds(profiles):
    assert set(profiles) == {"load", "cpu", "inspect", "prepare"}
    if profiles["cpu"]["logs"]:
        pytest.skip("a build with sanitizers refuses nothing")
    for profile in profiles.values():
        assert profile["filters"] and profile["holds"], profile
    assert profiles["cpu"]["refused"] == list(ATTEMPTS)


def test_a_taken_over_worker_reports_in_text(serve, profiles):
    server = serve({"m": "fake:text_to_text?probe=yes"}, "--max-workers", "1")
    def chat():
        answer = server.post("/v1/chat/completions",
                             {"model": "m", "messages": [{"role": "user", "content": "one two"}]})
        assert answer.status == 200, answer
        return answer.json["choices"][0]["message"]["content"]
    first, second = chat(), chat()
    assert second == "two one"
    check_report(first, profiles)


def test_a_taken_over_worker_reports_as_an_error(serve, profiles):
    server = serve({"m": "fake:text_embedding?probe=yes&dim=8"}, "--max-workers", "1")
    first = server.embed("hello")
    assert (first.status, first.error["code"]) == (500, "model_failed"), first
    # It served on: what was refused harmed nobody.
    assert len(server.vector("hello")) == 8
    assert [w["state"] for w in server.workers()] == ["Ready"]
    check_report(first.error["message"], profiles)


def every_thread(pid, field):
    """The values of a field of /proc/PID/status over all threads."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in read_text(f"/proc/{pid}/task/{task}/status").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                found.append(value.strip())
    return found


def environment_of(pid):
    return {entry.partition("=")[0] for entry in read_text(f"/proc/{pid}/environ").split("\0") if entry}


def descriptors(pid):
    """{number: (identity, what it is)} of the open descriptors of a process."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{entry}"
        try:
            info = os.stat(path)
            found[int(entry)] = ((info.st_dev, info.st_ino), os.readlink(path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def check_process(pid, server, others=()):
    """A worker, inspector or preparer: confined in every thread, and nothing of anybody else in it."""
    assert set(every_thread(pid, "Seccomp")) == {"2"}
    assert set(every_thread(pid, "NoNewPrivs")) == {"1"}
    assert read_text(f"/proc/{pid}/oom_score_adj").strip() == "1000"
    assert environment_of(pid) <= PASSED_ON
    own, servers = descriptors(pid), {identity for identity, _ in descriptors(server.pid).values()}
    elsewhere = {identity for other in others for identity, _ in descriptors(other).values()}
    assert [what for _, what in (own[0], own[1])] == ["/dev/null", "/dev/null"]
    for number, (identity, what) in own.items():
        if what == "/dev/null" or what.endswith(".packed"):
            continue
        # stderr is a pipe to the server; shared pages are made by it; all else is this process's alone.
        assert what.startswith({2: "pipe:", 3: "socket:"}.get(number, ("pipe:", "/memfd:weir"))), own
        assert identity not in elsewhere, own
        assert identity not in servers or number == 2 or what.startswith("/memfd:weir"), own


def test_workers_hold_nothing_of_the_server(serve):
    server = serve({"real": TINY, "m": "fake:text_embedding"}, SECRET_OF_THE_SERVER="1", WEIR_CPU="scalar")
    held = [server.raw(b"GET /health/live HTTP/1.1\r\n") for _ in range(5)]  # connections while it spawns
    for name in ("real", "m"):
        assert server.embed("hello", name).status == 200
        server.wait_settled(name)
    pids = [worker["pid"] for name in ("real", "m") for worker in server.workers(name)]
    assert len(pids) == 4
    for pid in pids:
        check_process(pid, server, [other for other in pids if other != pid])
        assert environment_of(pid) == {"WEIR_CPU"} | environment_of(pid) & PASSED_ON
    for connection in held:
        connection.close()


def stopped(server, kind):
    """The pid of the server's first helper of that kind, which is stopped so that it can be looked at."""
    def find():
        for pid, _ in children_of(server.pid).items():
            # Between its start and its confinement there is nothing to see yet.
            if f"--{kind}" in read_text(f"/proc/{pid}/cmdline") and set(every_thread(pid, "Seccomp")) == {"2"}:
                os.kill(pid, signal.SIGSTOP)
                return pid
        return None
    return wait_until(find, 10, f"a process that was started with --{kind}")


def test_inspectors_hold_nothing_of_the_server(serve):
    server = serve({f"m{i}": TINY for i in range(300)}, wait_ready=False)
    pid = stopped(server, "inspect")
    check_process(pid, server)
    assert not any(what.startswith("/memfd") for _, what in descriptors(pid).values())
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: server.get("/health/ready").status == 200, 30, "all inspected")


def test_preparers_hold_nothing_of_the_server(serve):
    server = serve({"m": "fake:text_embedding?packed=1MiB&prepare=2s"})
    answer = server.later(server.embed)
    pid = stopped(server, "prepare")
    check_process(pid, server)
    os.kill(pid, signal.SIGCONT)
    assert answer.result().status == 200
