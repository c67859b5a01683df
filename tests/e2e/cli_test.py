"""The verbs of `weir`, with a server and without one."""

import fcntl
import json
import os
import pty
import re
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
    for verb in ("serve", "embed", "tokenize", "ls", "show", "ps", "top", "plan", "load", "unload", "pin", "unpin",
                 "bench", "help"):
        assert f"\n  {verb} " in done.stdout
        about = weir("help", verb)
        assert about.returncode == 0 and about.stdout.startswith(f"weir {verb}"), about
    flags = weir("help", "serve").stdout
    for flag in ("--listen", "--model", "--memory", "--threads", "--max-workers", "--min-workers",
                 "--idle", "--idle-label", "--allow-host", "--allow-origin", "--limit", "--log",
                 "--log-level", "--print-config", "--config", "--models"):
        assert f"  {flag}" in flags
    assert weir("--help").stdout == weir("-h").stdout == done.stdout
    assert weir("serve", "--help").stdout == weir("serve", "-h").stdout == flags


@pytest.mark.parametrize("arguments, named", [
    ([], "verb"),
    (["embde"], "'embed'?"),
    (["help", "nothing"], "nothing"),
    (["help", "embde"], "'embed'?"),
    (["embed"], "MODEL"),
    (["embed", FAKE], "TEXT"),
    (["embed", FAKE, "x", "--colour"], "--colour"),
    (["embed", FAKE, "x", "--format", "xml"], "xml"),
    (["embed", FAKE, "x", "--format", "npy"], "-o"),
    (["embed", FAKE, "x", "--dimensions", "0"], "dimensions"),
    (["tokenize", FAKE], "TEXT"),
    (["ps", "extra"], "extra"),
    (["ls", "extra"], "extra"),
    (["ls", "--json", "--names"], "--names"),
    (["show"], "MODEL"),
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
    for flag in re.findall(r"^  --([a-z-]+)", weir("help", "serve").stdout, re.M):
        assert [row for row in rows if row.startswith(f"{flag} = ")], flag
    settings = rows[rows.index("[model a]") + 1:]
    for key in ("path", "capability", "alias", "max_workers", "idle_label", "precision", "truncate"):
        assert [row for row in settings if row.startswith(f"{key} = ")], key


def test_every_limit_can_be_set(weir):
    """The names of the limits that exist so far are those that the documentation lists."""
    names = ("head_bytes body_bytes connections head_ms keep_alive_ms queue_jobs queue_bytes "
             "queues_share deadline_ms hello_ms load_stall_ms job_stall_ms accept_ms ping_ms "
             "pong_ms evict_ms bye_ms term_ms drain_ms min_stay_ms restart_max_ms breaker_failures "
             "breaker_open_ms breaker_probes ageing_ms unsent_bytes client_stall_ms quarantine_ms "
             "pressure_ms stderr_bytes inputs").split()
    options = [word for name in names for word in ("--limit", f"{name}=27")]
    done = weir("serve", *options, "--print-config")
    assert done.returncode == 0, done
    for name in names:
        assert f"limit = {name}=27  (flag)" in done.stdout.splitlines()


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


def npy_rows(file):
    """The rows of a NumPy file, which must have as many as it says."""
    data = file.read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    count, dim = map(int, re.search(r"'shape': \((\d+), (\d+)\)", data[:10 + length].decode("latin-1")).groups())
    numbers = struct.unpack(f"<{count * dim}f", data[10 + length:])
    return [list(numbers[i * dim:(i + 1) * dim]) for i in range(count)]


def test_embed_into_a_file(weir, tmp_path):
    printed = weir("embed", FAKE, "one", "two").stdout
    file = tmp_path / "out.json"
    file.write_text("old")
    file.chmod(0o640)
    done = weir("embed", FAKE, "one", "two", "-o", file)
    assert done.returncode == 0 and done.stdout == "", done
    assert file.read_text() == printed and file.stat().st_mode & 0o777 == 0o640
    by_name = tmp_path / "out.npy"
    assert weir("embed", FAKE, "one", "two", "-o", by_name).returncode == 0
    assert len(npy_rows(by_name)) == 2
    device = weir("embed", FAKE, "one", "-o", "/dev/null")
    assert device.returncode == 1 and "no regular file" in device.stderr, device
    assert sorted(entry.name for entry in tmp_path.glob("out*")) == ["out.json", "out.npy"]


def test_embed_keeps_what_was_answered_before_an_error(weir, tmp_path):
    file = tmp_path / "out.json"
    file.write_text("old")
    done = weir("embed", FAKE, "-", "-o", file, input="".join(f"line {i}\n" for i in range(300)) + "\n")
    assert done.returncode == 1 and "line 301" in done.stderr, done
    assert f"the first 300 answers are in {file}.part" in done.stderr
    kept = (tmp_path / "out.json.part").read_text().splitlines()
    assert [json.loads(line)["index"] for line in kept] == list(range(300))
    assert file.read_text() == "old"


class Streamed:
    """`weir embed MODEL -`, whose stdin is written and whose stdout is read while it runs."""

    def __init__(self, folder, *arguments, **environment):
        self.process = subprocess.Popen([program("weir"), "embed", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=clean_environment(folder, **environment))

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def interrupt(self, number=signal.SIGINT):
        """The exit status, and the rest of stdout and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20 * SLOW)
        return self.process.returncode, out, err


@pytest.mark.parametrize("there", [True, False], ids=["by a server", "here"])
def test_ctrl_c_loses_nothing_of_what_was_answered(serve, tmp_path, there):
    """Answers come before the input has ended, and stay when the user has had enough."""
    model = "m" if there else FAKE
    host = serve({"m": FAKE}).url if there else NOBODY
    work = Streamed(tmp_path, model, "-", WEIR_HOST=host)
    for i in range(3):
        work.write(f"line {i}\n")
        assert json.loads(work.process.stdout.readline())["index"] == i
    status, out, err = work.interrupt()
    assert (status, out, err) == (128 + signal.SIGINT, "", "")
    file = tmp_path / "out.npy"
    work = Streamed(tmp_path, model, "-", "-o", file, WEIR_HOST=host)
    work.write("one\ntwo\n")
    temporary = wait_until(lambda: [entry for entry in tmp_path.glob("out.npy.*.tmp")
                                    if entry.stat().st_size == 128 + 2 * 8 * 4], 20, "two rows")
    assert len(temporary) == 1
    status, out, err = work.interrupt(signal.SIGTERM)
    assert (status, out) == (128 + signal.SIGTERM, "")
    assert err == f"weir embed: the first 2 answers are in {file}.part\n"
    assert len(npy_rows(tmp_path / "out.npy.part")) == 2
    assert [entry.name for entry in tmp_path.glob("out*")] == ["out.npy.part"]


def test_ctrl_c_before_the_first_answer_leaves_no_file(tmp_path):
    work = Streamed(tmp_path, FAKE, "-", "-o", tmp_path / "out.json", WEIR_HOST=NOBODY)
    wait_until(lambda: list(tmp_path.glob("out*.tmp")), 20, "the file beside it")
    assert work.interrupt() == (128 + signal.SIGINT, "", "")
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("model", ["m", FAKE], ids=["by a server", "here"])
def test_a_closed_terminal_and_what_is_ignored(serve, tmp_path, model):
    """SIGHUP is like Ctrl-C; a signal that was ignored when the verb began does not end it."""
    host = serve({"m": FAKE}).url if model == "m" else NOBODY
    work = Streamed(tmp_path, model, "-", "-o", tmp_path / "out.json", WEIR_HOST=host)
    work.write("one\n")
    wait_until(lambda: [entry for entry in tmp_path.glob("out.json.*.tmp") if entry.stat().st_size],
               20, "the first answer")
    assert work.interrupt(signal.SIGHUP)[0] == 128 + signal.SIGHUP
    assert [entry.name for entry in tmp_path.glob("out*")] == ["out.json.part"]
    before = {number: signal.signal(number, signal.SIG_IGN)
              for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        work = Streamed(tmp_path, model, "-", WEIR_HOST=host)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    work.write("one\n")
    assert json.loads(work.process.stdout.readline())["index"] == 0
    work.process.send_signal(signal.SIGINT)
    status, out, err = work.interrupt(signal.SIGHUP)
    assert (status, out, err) == (0, "", "")


def on_terminal(folder, *arguments, lines=0, **environment):
    """What `weir embed` wrote to a stderr that is a terminal; its stdout is a file."""
    source = folder / "lines.txt"
    source.write_text("".join(f"line {i}\n" for i in range(lines)))
    try:
        master, slave = pty.openpty()
    except OSError as why:
        pytest.skip(f"no pseudo-terminal to be had here: {why}")
    with open(source) as stdin, open(folder / "stdout", "w") as stdout:
        process = subprocess.Popen([program("weir"), "embed", *arguments], stdin=stdin, stdout=stdout,
                                   stderr=slave, env=clean_environment(folder, **environment))
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 65536):
            text += piece
    except OSError:
        pass  # its other end was closed
    os.close(master)
    assert process.wait(20 * SLOW) == 0, text
    return text.decode()


def test_progress_of_a_long_input_on_a_terminal(tmp_path):
    slow = FAKE + "&step=150ms"
    shown = on_terminal(tmp_path, slow, "-", lines=600, WEIR_HOST=NOBODY, TERM="xterm")
    pieces = shown.split("\r\x1b[K")
    assert pieces[0] == "" and pieces[-1] == ""  # wiped when it was over
    assert re.fullmatch(r"\[-+\]   0 %  0 texts, 0 a second", pieces[1])
    assert re.fullmatch(r"\[#+-+\] +\d+ %  256 texts, \d+ a second", pieces[2])
    assert len((tmp_path / "stdout").read_text().splitlines()) == 600
    texts = on_terminal(tmp_path, slow, *(["x"] * 300), WEIR_HOST=NOBODY, TERM="xterm")
    assert re.search(r"\[#+-+\]  85 %  256 of 300 texts, \d+ a second", texts)
    assert on_terminal(tmp_path, slow, "-", lines=300, WEIR_HOST=NOBODY, TERM="dumb") == ""
    assert on_terminal(tmp_path, FAKE, "one", WEIR_HOST=NOBODY, TERM="xterm") == ""


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


def test_ls(serve, weir, tmp_path):
    (tmp_path / "weir.conf").write_text(f"[model m]\npath = {FAKE}&weights=3MiB\nalias = other, more\n"
                                        "[model bad]\npath = /nowhere\n[model idle]\npath = fake:text_to_text\n")
    server = serve({}, "--config", tmp_path / "weir.conf")
    server.vector("x")
    for host, state in ((server.url, "loaded"), (NOBODY, "not loaded")):
        def run(*arguments):
            return weir("ls", *arguments, WEIR_HOST=host, WEIR_CONFIG=str(tmp_path / "weir.conf"))

        table = run()
        assert table.returncode == 0 and table.stderr == "", table
        rows = [re.split(r"  +", row) for row in table.stdout.splitlines()]
        assert rows[0] == ["MODEL", "CAPABILITIES", "STATE", "SIZE", "ALIASES", "PATH"]
        assert rows[1] == ["m", "text_embedding", state, "3 MiB", "other,more", FAKE + "&weights=3MiB"]
        assert rows[2] == ["bad", "-", "problem", "-", "-", "/nowhere"]
        assert rows[3][:3] == ["idle", "text_to_text", "not loaded"]
        assert rows[4][0].startswith("bad: ") and "/nowhere" in rows[4][0]
        models = lines(run("--json"))
        assert [(row["name"], row["state"]) for row in models] == [("m", state), ("bad", "problem"),
                                                                   ("idle", "not loaded")]
        assert models[0]["aliases"] == ["other", "more"] and models[0]["weights"] == 3 << 20
        assert models[0]["problem"] is None and "/nowhere" in models[1]["problem"]
        assert run("--names").stdout.split() == ["m", "other", "more", "bad", "idle"]
    assert weir("ls", "--local", WEIR_HOST=server.url).stdout == "no models\n"
    broken = weir("ls", WEIR_HOST=NOBODY, WEIR_IDLE="soon")
    assert broken.returncode == 1 and "WEIR_IDLE" in broken.stderr


def test_show(serve, weir, tmp_path):
    (tmp_path / "weir.conf").write_text(f"[model m]\npath = {FAKE}&weights=3MiB\nalias = other\npreload = yes\n"
                                        "min_workers = 1\nprecision = bf16\n[model bad]\npath = /nowhere\n")
    server = serve({}, "--config", tmp_path / "weir.conf")
    server.wait_workers(1, ("Ready", "Idle"))

    def run(host, *arguments):
        return weir("show", *arguments, WEIR_HOST=host, WEIR_CONFIG=str(tmp_path / "weir.conf"))

    for host in (server.url, NOBODY):
        done = run(host, "other", "bad")
        assert done.returncode == 0 and done.stderr == "", done
        good, bad = done.stdout.split("\n\n")
        for row in (f"path +{FAKE}&weights=3MiB".replace("?", r"\?"), "aliases +other", "architecture +fake",
                    "capabilities +text_embedding", "dimensions +8", "weights +3 MiB",
                    f"{'next' if host == server.url else 'first'} worker +[0-9]",
                    "settings .*min_workers 1.*precision bf16.*preload yes"):
            assert re.search(rf"^  {row}", good, re.M), (row, good)
        assert re.search("^  problem +.*/nowhere", bad, re.M) and "architecture" not in bad
        (plan,) = lines(run(host, "m", "--json"))
        about = plan["about"]
        assert (about["name"], about["dim"], about["weights"]) == ("m", 8, 3 << 20)
        assert about["settings"]["min_workers"] == 1 and about["settings"]["preload"] is True
        assert about["prompts"] == [] and about["default_prompt"] is None
    assert server.model()["spawned"] == 1  # looking started nobody, here or there
    by_path = run(server.url, FAKE)
    assert by_path.returncode == 0 and "dimensions    8\n" in by_path.stdout, by_path
    unknown = run(server.url, "nobody")
    assert unknown.returncode == 1 and "does not know 'nobody'" in unknown.stderr, unknown
    nowhere = run(NOBODY, "nobody")
    assert nowhere.returncode == 1 and NOBODY in nowhere.stderr and "nobody" in nowhere.stderr, nowhere


def test_tokenize_here_heeds_the_budget(weir):
    large = FAKE + "&weights=3GiB"
    refused = weir("tokenize", large, "x", WEIR_MEMORY="2GiB")
    assert refused.returncode == 1 and names_gib(2, refused.stderr), refused
    assert weir("tokenize", large, "x", "--memory", "8GiB", WEIR_MEMORY="2GiB").returncode == 0


def test_models_and_budget_of_the_configuration_hold_here_too(weir, tmp_path):
    """Of keys, which only a server needs, nothing is read: they may be another user's secret."""
    (tmp_path / "weir.conf").write_text(
        f"memory = 2GiB\nthreads = 1\napi-key-file = /nowhere/keys\n"
        f"[model small]\npath = {FAKE}&dim=3\nalias = tiny\ncontext = 2\ntruncate = yes\nmin_workers = 1\n"
        f"[model large]\npath = {FAKE}&weights=3GiB\n")

    def run(*arguments, **more):
        return weir(*arguments, WEIR_HOST=NOBODY, WEIR_CONFIG=str(tmp_path / "weir.conf"), **more)

    for name in ("small", "tiny"):
        (row,) = lines(run("embed", name, "a b c d"))
        assert len(row["embedding"]) == 3
        (row,) = lines(run("tokenize", "--local", name, "a b"))
        assert len(row["tokens"]) == 2
    assert json.loads(run("bench", "tiny", "-p", "2", "--batch", "1", "--json").stdout)["limits"]["threads"] == 1
    refused = run("embed", "large", "x")
    assert refused.returncode == 1 and names_gib(2, refused.stderr), refused
    assert run("embed", "large", "x", WEIR_MEMORY="8GiB").returncode == 0
    assert run("embed", "large", "x", "--memory", "8GiB").returncode == 0
    assert run("embed", "nobody", "x").returncode == 1
    (tmp_path / "weir.conf").write_text("memory = much\n")
    refused = run("embed", FAKE, "x")
    assert refused.returncode == 1 and "weir.conf:1" in refused.stderr, refused


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
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        try:
            while True:
                self.text += os.read(self.master, 65536).decode("ascii", "replace")
        except OSError:
            pass  # nobody has the other end, and all that was written to it was read

    def wait(self, word, seconds=10):
        wait_until(lambda: word in self.text, seconds, f"'{word}' on the screen")

    def key(self, data):
        os.write(self.master, data)

    def end(self):
        """The exit status; the terminal must be as it was."""
        status = self.process.wait(10 * SLOW)
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        self.reader.join(10 * SLOW)
        os.close(self.master)
        assert "\x1b[?1049l" in self.text  # it gave back the screen that was there before
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


@pytest.mark.parametrize("verb", ["show", "plan"])
def test_models_before_one_that_fails_are_printed(serve, weir, verb):
    host = serve({"m": FAKE}).url
    done = weir(verb, "--json", "m", "nope", WEIR_HOST=host)
    assert done.returncode == 1 and "'nope'" in done.stderr, done
    assert json.loads(done.stdout)["model"] == "m"


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
    ["ps"], ["ps", "--json"], ["ls"], ["show", "m"], ["help", "--format", "markdown"], ["plan", "m"], ["top", "--once"], ["tokenize", "m", "x"],
], ids=" ".join)
def test_a_full_disk_is_a_failure(serve, tmp_path, arguments):
    server = serve({"m": FAKE})
    with open("/dev/full", "w") as full:
        done = subprocess.run([program("weir"), *arguments], stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20 * SLOW,
                              env=clean_environment(tmp_path, WEIR_HOST=server.url))
    assert done.returncode == 1
    assert "stdout cannot be written" in done.stderr and "No space left" in done.stderr


def test_closed_standard_descriptors_are_nobodys(weir, tmp_path):
    """What is printed there goes nowhere, and not into a descriptor that the pool was given instead."""
    def closed(which, *arguments):
        return subprocess.run(["sh", "-c", f'exec "$@" {which}', "sh", program("weir"), *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 * SLOW,
                              env=clean_environment(tmp_path, WEIR_HOST=NOBODY))
    done = closed(">&-", "embed", FAKE, "x")
    assert done.returncode == 1 and "stdout cannot be written: Bad file descriptor" in done.stderr, done
    done = closed("<&-", "embed", FAKE, "-")
    assert done.returncode == 1 and "Bad file descriptor" in done.stderr and done.stdout == "", done
    done = closed("<&- 2>&-", "embed", FAKE, "x")
    assert done.returncode == 0 and len(lines(done)) == 1, done


def test_log_as_json(serve):
    server = serve({"m": FAKE}, "--log", "json")
    server.vector("x")
    assert server.stop() == 0
    rows = [line for line in server.log if line and line.startswith("{")]
    assert len(rows) >= 4
    for row in rows:
        assert {"level", "text"} <= set(json.loads(row)) or "message" in json.loads(row), row
