"""The verbs of `weir`, with a server and without one."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

import pytest
from harness import SLOW, clean_environment, decode_base64, names_gib, program, wait_until

FAKE = "fake:text_embedding?dim=8"
NOBODY = "http://127.0.0.1:1"  # where no server answers


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help(weir):
    done = weir("help")
    assert done.returncode == 0
    for verb in ("serve", "embed", "tokenize", "ps", "top", "plan", "load", "unload", "pin", "unpin",
                 "bench", "help"):
        assert f"\n  {verb} " in done.stdout
        about = weir("help", verb)
        assert about.returncode == 0 and about.stdout.startswith(f"weir {verb}"), about
    flags = weir("help", "serve").stdout
    for flag in ("--listen", "--model", "--memory", "--threads", "--max-workers", "--min-workers",
                 "--idle", "--idle-label", "--allow-host", "--allow-origin", "--limit", "--log",
                 "--log-level", "--print-config", "--config", "--models"):
        assert f"  {flag}" in flags
    assert weir("--help").stdout == done.stdout
    assert weir("serve", "--help").stdout == flags


@pytest.mark.parametrize("arguments, named", [
    ([], "verb"),
    (["embde"], "embde"),
    (["help", "nothing"], "nothing"),
    (["embed"], "MODEL"),
    (["embed", FAKE], "TEXT"),
    (["embed", FAKE, "x", "--colour"], "--colour"),
    (["embed", FAKE, "x", "--format", "xml"], "xml"),
    (["embed", FAKE, "x", "--format", "npy"], "-o"),
    (["embed", FAKE, "x", "--dimensions", "0"], "dimensions"),
    (["tokenize", FAKE], "TEXT"),
    (["ps", "extra"], "extra"),
    (["top", "extra"], "extra"),
    (["top"], "weir ps"),
    (["plan"], "MODEL"),
    (["bench"], "MODEL"),
    (["bench", FAKE, "second"], "second"),
    (["bench", FAKE, "-p", "0"], "prompt"),
    (["bench", FAKE, "-n", "1"], "-n"),
    (["load"], "MODEL"),
    (["unload", "--force", "m"], "--force"),
    (["pin"], "MODEL"),
    (["unpin"], "MODEL"),
    (["serve", "stray"], "stray"),
    (["serve", "--memory", "lots"], "lots"),
    (["serve", "--model", "nameless"], "nameless"),
    (["serve", "--model", "bad name=fake:text_embedding"], "bad name"),
    (["serve", "--model", "a=fake:text_embedding", "--model", "a=fake:text_embedding"], "'a'"),
    (["serve", "--idle", "1", "--idle-label", "2"], "idle-label"),
    (["serve", "--min-workers", "5"], "min-workers"),
    (["serve", "--max-workers", "0"], "max-workers"),
    (["serve", "--limit", "colour=1"], "colour"),
    (["serve", "--limit", "queue_jobs=0"], "queue_jobs"),
    (["serve", "--limit", "queue_jobs"], "queue_jobs"),
    (["serve", "--listen", "127.0.0.1"], "127.0.0.1"),
    (["serve", "--log", "xml"], "xml"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_wrong_usage_exits_2(weir, arguments, named):
    done = weir(*arguments, WEIR_HOST=NOBODY)
    assert done.returncode == 2, done
    assert named in done.stderr
    assert done.stdout == ""


def test_version(weir):
    done = weir("--version")
    assert done.returncode == 0 and done.stdout.startswith("weir ")


def test_print_config(weir):
    done = weir("serve", "--memory", "6GiB", "--limit", "queue_jobs=9", "--model", f"a={FAKE}",
                "--print-config", WEIR_IDLE="7", WEIR_LIMIT_PING_MS="250")
    assert done.returncode == 0, done
    rows = done.stdout.splitlines()
    for expected in ("memory = 6GiB  (flag)", "max-workers = 4  (default)",
                     "limit = queue_jobs=9  (flag)", f"model = a={FAKE}  (flag)",
                     "listen = 127.0.0.1:9347  (default)"):
        assert expected in rows, (expected, rows)
    assert [row for row in rows if row.startswith("idle = 7  (environment WEIR_IDLE")]
    assert [row for row in rows if "ping_ms=250" in row and "environment" in row]


def test_every_limit_can_be_set(weir):
    """The names of the limits that exist so far are those that the documentation lists."""
    names = ("head_bytes body_bytes connections head_ms keep_alive_ms queue_jobs queue_bytes "
             "queues_share deadline_ms hello_ms load_stall_ms job_stall_ms accept_ms ping_ms "
             "pong_ms evict_ms bye_ms term_ms drain_ms min_stay_ms restart_max_ms breaker_failures "
             "breaker_open_ms breaker_probes ageing_ms unsent_bytes client_stall_ms quarantine_ms "
             "pressure_ms stderr_bytes inputs").split()
    options = [word for name in names for word in ("--limit", f"{name}=7")]
    done = weir("serve", *options, "--print-config")
    assert done.returncode == 0, done
    for name in names:
        assert f"limit = {name}=7  (flag)" in done.stdout.splitlines()


def test_flag_beats_environment(serve):
    server = serve({"m": FAKE}, "--max-workers", "1", WEIR_MAX_WORKERS="3", WEIR_MIN_WORKERS="1")
    server.vector("x")
    server.wait_workers(1, ("Ready", "Idle"))
    assert server.model()["spawned"] == 1


def test_address_in_use(serve, weir):
    server = serve({"m": FAKE})
    done = weir("serve", "--listen", f"{server.host}:{server.port}")
    assert done.returncode == 1
    assert str(server.port) in done.stderr and "in use" in done.stderr


# --- embed ---------------------------------------------------------------------------------------

def test_embed_by_server_equals_embed_here(serve, weir):
    server = serve({"m": FAKE})
    there = weir("embed", "m", "one", "two words", WEIR_HOST=server.url)
    here = weir("embed", FAKE, "one", "two words", WEIR_HOST=server.url)
    assert there.returncode == here.returncode == 0, (there, here)
    assert there.stdout == here.stdout
    rows = lines(there)
    assert [(row["index"], row["tokens"]) for row in rows] == [(0, 1), (1, 2)]
    assert server.model()["spawned"] == 2  # the server did it, and only for the name
    http = server.embed(["one", "two words"], encoding_format="base64").vectors
    for row, coded in zip(rows, http):
        bits = [struct.unpack("<f", struct.pack("<f", v))[0] for v in row["embedding"]]
        assert bits == decode_base64(coded)


def test_embed_lines_of_stdin(weir):
    done = weir("embed", FAKE, "-", input="".join(f"line {i}\n" for i in range(5000)))
    assert done.returncode == 0, done.stderr
    rows = lines(done)
    assert [row["index"] for row in rows] == list(range(5000))
    (alone,) = lines(weir("embed", FAKE, "line 4999"))
    assert rows[4999]["embedding"] == alone["embedding"]


def test_embed_blank_line_is_an_error_with_its_number(weir):
    done = weir("embed", FAKE, "-", input="one\ntwo\n\nfour\n")
    assert done.returncode != 0
    assert "3" in done.stderr and "line" in done.stderr


def test_embed_nothing_is_an_empty_result(weir):
    done = weir("embed", FAKE, "-", input="")
    assert done.returncode == 0 and done.stdout == "", done


def test_embed_npy(weir, tmp_path):
    file = tmp_path / "out.npy"
    done = weir("embed", FAKE, "one", "two", "--format", "npy", "-o", file)
    assert done.returncode == 0 and done.stdout == "", done
    data = file.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    length = struct.unpack("<H", data[8:10])[0]
    header = data[10:10 + length].decode()
    assert "'descr': '<f4'" in header and "'fortran_order': False" in header
    assert "'shape': (2, 8)" in header
    numbers = struct.unpack("<16f", data[10 + length:])
    expected = [v for row in lines(weir("embed", FAKE, "one", "two")) for v in row["embedding"]]
    assert list(numbers) == [struct.unpack("<f", struct.pack("<f", v))[0] for v in expected]


def test_embed_table(weir):
    done = weir("embed", FAKE, "one", "--format", "table")
    assert done.returncode == 0
    head, row = done.stdout.splitlines()
    assert head.split()[:3] == ["index", "tokens", "norm"]
    assert row.split()[:3] == ["0", "1", "1.0000"]


def test_embed_errors(serve, weir):
    server = serve({"m": FAKE + "&load_fail=no such tensor"})
    done = weir("embed", "m", "x", WEIR_HOST=server.url)
    assert done.returncode == 1 and "no such tensor" in done.stderr, done
    unknown = weir("embed", "nobody", "x", WEIR_HOST=server.url)
    assert unknown.returncode == 1 and "nobody" in unknown.stderr, unknown
    assert "does not know" in unknown.stderr
    nowhere = weir("embed", "m", "x", WEIR_HOST=NOBODY)
    assert nowhere.returncode == 1 and NOBODY in nowhere.stderr, nowhere
    bad = weir("embed", "fake:text_embedding?colour=1", "x")
    assert bad.returncode == 1 and "colour" in bad.stderr, bad
    large = weir("embed", "fake:text_embedding?weights=30GiB", "x")
    assert large.returncode == 1 and names_gib(30, large.stderr), large


def test_embed_starts_one_worker_and_leaves_none(weir):
    """A one-shot verb that survives its worker's death, and says what went wrong at the second."""
    done = weir("embed", FAKE + "&crash=step:1", "x")
    assert done.returncode == 1
    assert "ended two workers" in done.stderr
    assert weir("embed", FAKE + "&crash=every:2", "x").returncode == 0


# --- tokenize and ps -----------------------------------------------------------------------------

def test_tokenize(serve, weir):
    server = serve({"m": FAKE})
    there = weir("tokenize", "m", "to be", "or not", WEIR_HOST=server.url)
    here = weir("tokenize", FAKE, "to be", "or not", WEIR_HOST=NOBODY)
    assert there.returncode == here.returncode == 0, (there, here)
    assert there.stdout == here.stdout
    assert [row["pieces"] for row in lines(there)] == [["to", "be"], ["or", "not"]]
    assert all(len(row["tokens"]) == 2 for row in lines(there))
    for host in (server.url, NOBODY):
        model = "m" if host == server.url else FAKE
        back = weir("tokenize", model, "--decode", "1 2 3", "4", WEIR_HOST=host)
        assert back.returncode == 0 and lines(back) == [{"text": "1 2 3"}, {"text": "4"}], back


def test_ps(serve, weir):
    server = serve({"m": FAKE, "bad": "/nowhere"})
    server.vector("x")
    server.wait_settled()
    table = weir("ps", WEIR_HOST=server.url)
    assert table.returncode == 0, table
    assert names_gib(16, table.stdout.splitlines()[0])
    rows = [row.split() for row in table.stdout.splitlines()]
    assert len([row for row in rows if row and row[0] == "m" and "Ready" in row]) == 2
    for pid in server.children():
        assert str(pid) in table.stdout
    assert "problem" in table.stdout and "/nowhere" in table.stdout
    status = json.loads(weir("ps", "--json", WEIR_HOST=server.url).stdout)
    assert [model["name"] for model in status["models"]] == ["m", "bad"]
    nobody = weir("ps", WEIR_HOST=NOBODY)
    assert nobody.returncode == 1 and NOBODY in nobody.stderr


def test_ps_says_more_where_there_is_more(serve, weir):
    server = serve({"m": FAKE + "&script=yes&slots=1"}, "--max-workers", "1")
    busy = [server.later(server.embed, f"!sleep {1500 + i}ms") for i in range(3)]  # equal ones are joined
    server.wait_jobs(1)
    table = weir("ps", WEIR_HOST=server.url).stdout
    assert "waiting" in table and "the oldest for" in table
    assert weir("pin", "m", WEIR_HOST=server.url).returncode == 0
    assert "pinned" in weir("ps", WEIR_HOST=server.url).stdout
    assert [answer.result().status for answer in busy] == [200] * 3


def test_tokenize_here_heeds_the_budget(weir):
    large = FAKE + "&weights=3GiB"
    refused = weir("tokenize", large, "x", WEIR_MEMORY="2GiB")
    assert refused.returncode == 1 and names_gib(2, refused.stderr), refused
    assert weir("tokenize", large, "x", "--memory", "8GiB", WEIR_MEMORY="2GiB").returncode == 0


# --- plan, load, unload, pin, unpin --------------------------------------------------------------

def test_plan(serve, weir):
    server = serve({"small": FAKE + "&weights=1GiB", "large": FAKE + "&weights=12GiB",
                    "huge": FAKE + "&weights=20GiB"}, "--max-workers", "1")
    server.vector("x", "small")
    done = weir("plan", "small", "large", "huge", WEIR_HOST=server.url)
    assert done.returncode == 0, done
    small, large, huge = done.stdout.split("\n\n")
    assert small.startswith("small: loaded\n") and "a request is served at once" in small
    assert large.startswith("large: grant\n") and names_gib(12, large) and names_gib(16, large)
    assert huge.startswith("huge: never\n") and names_gib(20, huge)
    rows = lines(weir("plan", "--json", "small", "large", WEIR_HOST=server.url))
    assert [(row["model"], row["verdict"]) for row in rows] == [("small", "loaded"),
                                                                ("large", "grant")]
    assert rows[1]["needed"] >= 12 << 30 and rows[1]["budget"] == 16 << 30
    unknown = weir("plan", "nobody", WEIR_HOST=server.url)
    assert unknown.returncode == 1 and "nobody" in unknown.stderr and unknown.stdout == ""
    nowhere = weir("plan", "small", WEIR_HOST=NOBODY)
    assert nowhere.returncode == 1 and NOBODY in nowhere.stderr


def test_plan_names_who_would_leave(serve, weir):
    server = serve({"old": FAKE + "&weights=6GiB", "new": FAKE + "&weights=12GiB"},
                   "--max-workers", "1")
    server.vector("x", "old")
    (worker,) = server.wait_workers(1, ("Ready", "Idle"), name="old")
    done = weir("plan", "new", WEIR_HOST=server.url)
    assert done.returncode == 0 and done.stdout.startswith("new: evict\n"), done
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("  old "))
    assert row[1] == str(worker["id"])
    assert server.workers("old")[0]["pid"] == worker["pid"]  # asking changed nothing


def test_load_unload_pin_unpin(serve, weir):
    server = serve({"m": FAKE, "bad": FAKE + "&load_fail=no such tensor"}, "--max-workers", "1")

    def run(*arguments):
        return weir(*arguments, WEIR_HOST=server.url)

    done = run("load", "m")
    assert done.returncode == 0 and done.stdout == done.stderr == "", done
    assert len(server.workers(states=("Ready", "Idle"))) == 1
    assert run("pin", "m").returncode == 0
    assert server.model()["pinned"] is True
    assert run("unpin", "m").returncode == 0
    assert server.model()["pinned"] is False
    assert run("unload", "m").returncode == 0
    assert server.workers() == []
    failed = run("load", "m", "bad")
    assert failed.returncode == 1 and "no such tensor" in failed.stderr and "bad" in failed.stderr
    for verb in ("load", "unload", "pin", "unpin"):
        unknown = run(verb, "nobody")
        assert unknown.returncode == 1 and "nobody" in unknown.stderr, unknown
        nowhere = weir(verb, "m", WEIR_HOST=NOBODY)
        assert nowhere.returncode == 1 and NOBODY in nowhere.stderr, nowhere


# --- top -----------------------------------------------------------------------------------------

class Screen:
    """`weir top` on a terminal of 24 rows and 80 columns; `text` is all that it ever wrote."""

    def __init__(self, environment):
        try:
            self.master, slave = pty.openpty()
        except OSError as why:
            pytest.skip(f"no pseudo-terminal to be had here: {why}")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([program("weir"), "top"], env=environment, stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while True:
                self.text += os.read(self.master, 65536).decode("ascii", "replace")
        except OSError:
            pass  # the terminal was closed

    def wait(self, word, seconds=10):
        wait_until(lambda: word in self.text, seconds, f"'{word}' on the screen")

    def key(self, data):
        os.write(self.master, data)

    def end(self):
        """The exit status; the terminal must be as it was."""
        status = self.process.wait(10 * SLOW)
        assert termios.tcgetattr(self.slave) == self.before
        assert "\x1b[?1049l" in self.text  # it gave back the screen that was there before
        os.close(self.slave)
        os.close(self.master)
        return status


def test_top(serve, tmp_path):
    server = serve({"some-model": FAKE}, "--max-workers", "1")
    server.vector("x", "some-model")
    screen = Screen(clean_environment(tmp_path, WEIR_HOST=server.url, TERM="xterm"))
    for word in (server.url, "some-model", "leased", "Ready", "requests/s"):
        screen.wait(word)
    for key in (b"\x1b[B", b"\x1b[6~", b"x", b"\x1b[A"):
        screen.key(key)
    screen.key(b"q")
    assert screen.end() == 0


def test_top_survives_the_server_and_ctrl_c_ends_it(serve, tmp_path):
    server = serve({"m": FAKE})
    screen = Screen(clean_environment(tmp_path, WEIR_HOST=server.url, TERM="xterm"))
    screen.wait("WORKER")
    assert server.stop() == 0
    screen.wait("retrying")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 128 + signal.SIGINT


def test_top_once(serve, weir):
    server = serve({"m": FAKE}, "--max-workers", "1")
    server.vector("x")
    done = weir("top", "--once", WEIR_HOST=server.url)
    assert done.returncode == 0, done
    assert "\x1b" not in done.stdout and names_gib(16, done.stdout)
    (worker,) = server.workers()
    assert [row for row in done.stdout.splitlines() if row.split()[:2] == [str(worker["id"]), "m"]]
    nobody = weir("top", "--once", WEIR_HOST=NOBODY)
    assert nobody.returncode == 1 and NOBODY in nobody.stderr


# --- where the output goes -----------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [
    ["help"], ["help", "serve"], ["--version"], ["serve", "--help"], ["serve", "--print-config"],
    ["ps"], ["ps", "--json"], ["plan", "m"], ["top", "--once"], ["tokenize", "m", "x"],
], ids=" ".join)
def test_a_full_disk_is_a_failure(serve, tmp_path, arguments):
    server = serve({"m": FAKE})
    with open("/dev/full", "w") as full:
        done = subprocess.run([program("weir"), *arguments], stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20 * SLOW,
                              env=clean_environment(tmp_path, WEIR_HOST=server.url))
    assert done.returncode == 1
    assert "stdout cannot be written" in done.stderr and "No space left" in done.stderr


def test_log_as_json(serve):
    server = serve({"m": FAKE}, "--log", "json")
    server.vector("x")
    assert server.stop() == 0
    rows = [line for line in server.log if line and line.startswith("{")]
    assert len(rows) >= 4
    for row in rows:
        assert {"level", "text"} <= set(json.loads(row)) or "message" in json.loads(row), row
