"""The verbs of `weir`, with a server and without one."""

import json
import struct

import pytest
from harness import decode_base64, names_gib

FAKE = "fake:text_embedding?dim=8"
NOBODY = "http://127.0.0.1:1"  # where no server answers


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_help(weir):
    done = weir("help")
    assert done.returncode == 0
    for verb in ("serve", "embed", "tokenize", "ps", "help"):
        assert f"\n  {verb} " in done.stdout
        about = weir("help", verb)
        assert about.returncode == 0 and about.stdout.startswith(f"weir {verb}"), about
    flags = weir("help", "serve").stdout
    for flag in ("--listen", "--model", "--memory", "--threads", "--max-workers", "--min-workers",
                 "--idle", "--idle-label", "--allow-host", "--allow-origin", "--limit", "--log",
                 "--log-level", "--print-config"):
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


def test_log_as_json(serve):
    server = serve({"m": FAKE}, "--log", "json")
    server.vector("x")
    assert server.stop() == 0
    rows = [line for line in server.log if line and line.startswith("{")]
    assert len(rows) >= 4
    for row in rows:
        assert {"level", "text"} <= set(json.loads(row)) or "message" in json.loads(row), row
