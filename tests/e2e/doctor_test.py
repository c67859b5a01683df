"""`weir doctor`: what it finds on a good machine, on a stated one, and where something is wrong."""

import json
import os

from harness import ROOT

FIXTURES = os.path.join(ROOT, "tests", "fixtures", "encoders")
CHECKS = ["kernel", "cores", "memory", "swap", "huge pages", "files", "processes", "worker", "speed", "config",
          "models", "cache", "server"]


def findings(done, status):
    """{check: [finding]} of a run with --json that ended with that status."""
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] == (status == 0)
    assert report["ok"] == all(f["verdict"] != "wrong" for f in report["findings"])
    found = {}
    for f in report["findings"]:
        assert set(f) == {"check", "verdict", "says", "advice"}
        found.setdefault(f["check"], []).append(f)
    return found


def test_a_good_machine_beside_a_server(weir, serve, tmp_path):
    (tmp_path / "cache").mkdir()
    server = serve({"m": "fake:text_embedding"})
    done = weir("doctor", "--json", WEIR_MODELS=FIXTURES, XDG_CACHE_HOME=tmp_path / "cache",
                WEIR_HOST=server.url, WEIR_MEMORY="6GiB", seconds=60)
    found = findings(done, 0)
    assert [check for check in found] == CHECKS
    assert "the budget for models is 6 GiB: as configured" in found["memory"][1]["says"]
    assert found["memory"][0]["says"].startswith("24 GiB, ")
    assert f"one answers at {server.url}, with 1 models" in found["server"][0]["says"]
    assert found["models"][0]["verdict"] == "ok"
    assert "GFLOP/s" in found["speed"][0]["says"]
    profiles = [f["says"] for f in found["worker"]]
    for who in ("a worker that loads", "a worker that serves", "an inspector", "a preparer"):
        assert any(says.startswith(who) for says in profiles), profiles
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_stated_machine(weir, machine, tmp_path):
    def state(path, text):
        (machine / path).parent.mkdir(parents=True, exist_ok=True)
        (machine / path).write_text(text)
    meminfo = (machine / "proc/meminfo").read_text()
    state("proc/meminfo", meminfo + "SwapTotal:      4194304 kB\n")
    state("proc/sys/vm/overcommit_memory", "2\n")
    state("proc/self/cgroup", "0::/a/b\n")
    state("sys/fs/cgroup/a/cpu.max", "50000 100000\n")
    state("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    state("sys/fs/cgroup/a/memory.max", f"{8 << 30}\n")
    state("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
    done = weir("doctor", WEIR_HOST="http://127.0.0.1:1", WEIR_CPU="scalar", seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for wanted in ("allows the time of 0.5", "8 GiB of 24 GiB, as the control group allows", "4 GiB of swap", "vm.overcommit_memory is 2", "huge pages  none",
                   "without vector instructions", "none answers at http://127.0.0.1:1", "--threads 1",
                   "unset $WEIR_CPU"):
        assert any(wanted in line for line in lines), (wanted, done.stdout)
    assert lines[-1].startswith("nothing is wrong, ")
    assert {line.split()[0] for line in lines[:-1] if not line.startswith(" ")} == {"ok", "note"}


def test_what_is_wrong_has_an_advice(weir, tmp_path):
    (tmp_path / "weir.conf").write_text("[serve]\nmemory = much\n")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    done = weir("doctor", "--json", WEIR_CONFIG=tmp_path / "weir.conf", XDG_CACHE_HOME=tmp_path / "file",
                WEIR_WORKER=tmp_path / "empty", WEIR_HOST="ftp://here")
    found = findings(done, 1)
    for check, wanted in (("config", "weir.conf:2"), ("cache", "file' cannot be written"),
                          ("worker", "in '%s'" % (tmp_path / "empty")), ("speed", "in '%s'" % (tmp_path / "empty")),
                          ("server", "ftp://here")):
        wrong = [f for f in found[check] if f["verdict"] == "wrong"]
        assert len(wrong) == 1 and wanted in wrong[0]["says"], found[check]
    assert found["config"][0]["advice"] and found["cache"][0]["advice"] and found["worker"][0]["advice"]


def test_a_worker_of_another_build(weir, tmp_path):
    worker = tmp_path / "weir-worker"
    worker.write_text("#!/bin/sh\necho '{\"build\":\"0000000000000000\",\"kernels\":\"avx2\"}'\n"
                      "echo '{\"profile\":\"cpu\",\"filters\":false,\"logs\":false,\"landlock\":0,"
                      "\"refused\":[],\"possible\":[\"exec\",\"open\"],\"holds\":false}'\n")
    worker.chmod(0o755)
    found = findings(weir("doctor", "--json", WEIR_WORKER=tmp_path), 1)
    verdicts = [(f["verdict"], f["says"]) for f in found["worker"]]
    assert verdicts[0][0] == "wrong" and "is of build 0000000000000000, this program of " in verdicts[0][1]
    assert verdicts[1] == ("wrong", "a worker that serves may exec, open (no seccomp, no landlock)")
    assert verdicts[2][0] == "note" and "weir-worker-fake" in verdicts[2][1]


def test_wrong_usage(weir):
    done = weir("doctor", "now")
    assert done.returncode == 2 and "'now' is one argument too many" in done.stderr
    assert "--json" in weir("help", "doctor").stdout
