"""The configuration file of `weir serve`, and SIGHUP, which reads it again."""

import os
import signal

import pytest
from harness import Traffic, clean_environment, names_gib, program, run_weir, wait_until

FAKE = "fake:text_embedding?dim=8"


@pytest.fixture
def conf(tmp_path):
    """conf(text) writes the configuration file and returns its path."""
    path = tmp_path / "weir.conf"

    def write(text):
        path.write_text(text)
        return path

    write.path = path
    return write


def reload(server, said="SIGHUP: configuration read"):
    """SIGHUP, and the line that says how it went."""
    before = len(server.log)
    server.signal(signal.SIGHUP)
    return wait_until(lambda: next((line for line in list(server.log)[before:]
                                    if line is not None and said in line), None), 10, said)


def names(server):
    return sorted(model["name"] for model in server.status()["models"])


def test_a_server_from_a_file_alone(serve, conf):
    path = conf(f"memory = 8GiB\nmax_workers = 1\n\n[model a]\npath = {FAKE}\n"
                f"[model b]\npath = {FAKE}\nmin_workers = 1\nalias = bee\n")
    server = serve({}, memory="4GiB", WEIR_CONFIG=str(path))
    assert names(server) == ["a", "b"]
    assert server.status()["memory"]["budget"] == 4 << 30  # the flag is stronger
    server.wait_workers(1, ("Ready", "Idle"), name="b")
    assert server.vector("x", "bee") == server.vector("x", "a")
    assert server.model("a")["spawned"] == 1


def test_the_users_file_is_found(serve, tmp_path):
    folder = tmp_path / ".config" / "weir"
    folder.mkdir(parents=True)
    (folder / "weir.conf").write_text(f"[model a]\npath = {FAKE}\n")
    assert names(serve({})) == ["a"]


def test_a_folder_of_models(serve, tmp_path):
    for name in ("mini", "org/large"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text("{}")
    server = serve({"mini": FAKE}, "--models", tmp_path / "models")
    assert names(server) == ["mini", "org/large"]
    assert server.vector("x", "mini")  # the flag's, not the folder's, which is no model
    assert server.model("org/large")["problem"] is not None


@pytest.mark.parametrize("text, named", [
    ("memroy = 6GiB", ("weir.conf:1", "memroy", "'memory'")),
    ("\n[modle a]", ("weir.conf:2", "[modle a]", "[model]")),
    ("[limits]\nqueue_job = 5", ("weir.conf:2", "queue_job", "'queue_jobs'")),
    (f"[model a]\npath = {FAKE}\ncolour = red", ("weir.conf:3", "colour")),
    (f"[model a]\npath = {FAKE}\nprecision = f16", ("weir.conf:3", "precision", "f32", "bf16")),
    (f"[model a]\npath = {FAKE}\ntruncate = maybe", ("weir.conf:3", "truncate", "maybe")),
    ("memory = lots", ("weir.conf:1", "memory", "lots")),
], ids=lambda value: None)
def test_a_wrong_file_is_wrong_usage(weir, conf, text, named):
    done = weir("serve", "--config", conf(text))
    assert done.returncode == 2, done
    for word in named:
        assert word in done.stderr


def test_a_file_that_was_asked_for_must_be_there(weir, tmp_path):
    for done in (weir("serve", "--config", tmp_path / "none"),
                 weir("serve", WEIR_CONFIG=tmp_path / "none"),
                 weir("serve", "--models", tmp_path / "none")):
        assert done.returncode == 2 and str(tmp_path / "none") in done.stderr, done


def test_print_config_names_file_and_line(weir, conf):
    path = conf(f"idle = 7\n[limits]\nqueue_jobs = 5\n[model a]\npath = {FAKE}\nslots = 2\n")
    done = weir("serve", "--config", path, "--threads", "1", "--print-config", WEIR_MEMORY="6GiB")
    assert done.returncode == 0, done
    rows = done.stdout.splitlines()
    for expected in (f"idle = 7  ({path}:1)", f"limit = queue_jobs=5  ({path}:3)",
                     "limit = ping_ms=10000  (default)", "memory = 6GiB  (environment WEIR_MEMORY)",
                     "threads = 1  (flag)", "[model a]", f"path = {FAKE}  ({path}:5)",
                     f"slots = 2  ({path}:6)", "max_workers = as max-workers  (default)"):
        assert expected in rows, (expected, rows)


# --- SIGHUP --------------------------------------------------------------------------------------

def test_models_come_change_and_go(serve, conf):
    path = conf(f"[model same]\npath = {FAKE}\n[model changed]\npath = {FAKE}\n"
                f"[model gone]\npath = {FAKE}\n")
    server = serve({"flag": FAKE}, "--config", path, "--max-workers", "1")
    short = server.vector("x", "changed")
    server.vector("x", "same")
    server.vector("x", "gone")
    (kept,) = server.wait_workers(1, ("Ready", "Idle"), name="same")
    conf(f"[model same]\npath = {FAKE}\n[model changed]\npath = {FAKE[:-1]}16\n"
         f"[model new]\npath = {FAKE}\nalias = newer\n")
    assert "added=1 changed=1 removed=1 failed=0" in reload(server)
    wait_until(lambda: names(server) == ["changed", "flag", "new", "same"], 10, "gone left")
    assert len(short) == 8 and len(server.vector("x", "changed")) == 16
    assert server.vector("x", "newer") == short
    assert server.embed("x", "gone").status == 404
    (still,) = server.wait_workers(1, ("Ready", "Idle"), name="same")
    assert still["pid"] == kept["pid"]
    assert "added=0 changed=0 removed=0 failed=0" in reload(server)


def test_an_alias_moves(serve, conf):
    path = conf(f"[model a]\npath = {FAKE}\nalias = both\n[model b]\npath = {FAKE[:-1]}16\n")
    server = serve({}, "--config", path)
    assert len(server.vector("x", "both")) == 8
    conf(f"[model a]\npath = {FAKE}\n[model b]\npath = {FAKE[:-1]}16\nalias = both\n")
    assert "changed=2 removed=0 failed=0" in reload(server)
    assert len(server.vector("x", "both")) == 16


def test_aliases_change_places(serve, conf):
    """Two swap theirs, and three hand theirs on in the order in which none is free yet."""
    def text(*aliases):
        return "".join(f"[model m{i}]\npath = {FAKE[:-1]}{8 * (i + 1)}\nalias = {alias}\n"
                       for i, alias in enumerate(aliases))
    path = conf(text("a", "b", "c", "d", "e"))
    server = serve({}, "--config", path)
    conf(text("b", "a", "d", "e", "f"))
    assert "added=0 changed=5 removed=0 failed=0" in reload(server)
    dims = {alias: len(server.vector("x", alias)) for alias in "abdef"}
    assert dims == {"a": 16, "b": 8, "d": 24, "e": 32, "f": 40}
    assert server.embed("x", "c").status == 404
    conf(text("b", "a", "d", "e", "f") + f"[model c]\npath = {FAKE}\n")
    assert "added=1 changed=0 removed=0 failed=0" in reload(server)


def test_a_name_that_was_an_alias(serve, conf):
    path = conf(f"[model z]\npath = {FAKE}\nalias = a\n")
    server = serve({}, "--config", path)
    assert len(server.vector("x", "a")) == 8
    conf(f"[model a]\npath = {FAKE[:-1]}16\n[model z]\npath = {FAKE}\n")
    assert "added=1 changed=1 removed=0 failed=0" in reload(server)
    assert len(server.vector("x", "a")) == 16


def test_memory_changes_at_once(serve, conf):
    path = conf("memory = 8GiB\n")
    server = serve({"m": FAKE + "&weights=3GiB"}, "--config", path, memory=None)
    assert server.status()["memory"]["budget"] == 8 << 30
    server.vector("x")
    conf("memory = 2GiB\n")
    reload(server)
    wait_until(lambda: server.status()["memory"]["budget"] == 2 << 30, 10, "the new budget")
    refused = server.embed("x")
    wait_until(lambda: server.embed("x").status == 507, 20, "what no longer fits is refused")
    assert refused.status in (200, 507)
    assert names_gib(2, server.embed("x").error["message"])
    conf("memory = 8GiB\n")
    reload(server)
    assert server.vector("x")


def test_a_bad_file_changes_nothing(serve, conf):
    path = conf(f"[model a]\npath = {FAKE}\n")
    server = serve({}, "--config", path)
    for text, word in ((f"[model b]\npath = {FAKE}\n[model a]\ncolour = red\n", "weir.conf:4"),
                       (f"[model b]\npath = {FAKE}\nalias = b\n", "name of a model")):
        conf(text)
        assert word in reload(server, "everything stays as it was")
        assert names(server) == ["a"]
    os.unlink(path)
    assert str(path) in reload(server, "everything stays as it was")
    assert server.vector("x", "a")


def test_what_needs_a_restart_is_said(serve, conf):
    path = conf("threads = 1\n")
    server = serve({"m": FAKE}, "--config", path)
    conf("threads = 1\nlog_level = debug\n[limits]\ndrain_ms = 4000\n")
    reload(server)
    assert "after a restart" not in server.log_text()
    conf("threads = 2\n[limits]\ndrain_ms = 4000\nqueue_jobs = 5\n")
    assert "limits changed" in reload(server, "after a restart")
    assert "'threads' changed" in server.log_text()
    # Said again until the file says what runs, and not when it does so again.
    assert "'threads' changed" in reload(server, "'threads'")
    conf("threads = 1\n[limits]\ndrain_ms = 4000\n")
    before = len(server.log)
    reload(server)
    assert "after a restart" not in "".join(line or "" for line in list(server.log)[before:])


def test_what_flags_leave_open_reaches_every_model(serve, conf):
    path = conf("max_workers = 1\n")
    server = serve({"m": FAKE}, "--config", path)
    server.vector("x")
    conf("max_workers = 1\nmin_workers = 1\n")
    assert "changed=1" in reload(server)
    server.wait_workers(1, ("Ready", "Idle"))


def test_no_request_is_lost(serve, conf):
    """Models that change, come and go under load: every answer is right, old requests too."""
    slow = FAKE + "&step=20ms"

    def text(step, extra):
        return (f"[model steady]\npath = {FAKE}\n[model changing]\npath = {FAKE}&step={step}ms\n"
                + (f"[model extra{extra}]\npath = {slow}\n" if extra else ""))

    path = conf(text(1, 0))
    server = serve({}, "--config", path, "--max-workers", "2")
    with Traffic(server, "steady"), Traffic(server, "changing"), Traffic(server, "changing"):
        for round in range(1, 7):
            conf(text(1 + round, round % 3))
            line = reload(server)
            assert "failed=0" in line, line


def test_a_changed_path_serves_its_old_requests_to_the_end(serve, conf):
    path = conf(f"[model m]\npath = {FAKE}&step=1500ms\n")
    server = serve({}, "--config", path, "--max-workers", "1")
    old = server.later(server.embed, "x", "m")
    server.wait_jobs(1)
    conf(f"[model m]\npath = {FAKE[:-1]}16\n")
    reload(server)
    new = server.embed("x", "m")
    assert new.status == 200 and len(new.vectors[0]) == 16
    answer = old.result()
    assert answer.status == 200 and len(answer.vectors[0]) == 8


def test_the_cache_is_the_users(serve, tmp_path):
    """What is learned is kept below $XDG_CACHE_HOME, which need not exist before."""
    server = serve({"m": FAKE}, XDG_CACHE_HOME=str(tmp_path / "cache"))
    server.vector("x")
    assert server.stop() == 0
    assert not (tmp_path / "cache").exists() or (tmp_path / "cache" / "weir").is_dir()


def test_default_paths_of_the_machine(tmp_path, machine):
    """Without a home there is no file of the user, which is no error."""
    environment = clean_environment(tmp_path, machine)
    del environment["HOME"]
    done = run_weir(["serve", "--print-config"], environment)
    assert done.returncode == 0, done


def test_ten_thousand_models(serve, tmp_path):
    """10,000 entries are there at once, cost no process and less than 64 MiB, and any of them answers (F151)."""
    capabilities = ("text_embedding", "text_to_text", "image_embedding", "vision", "text_to_image")
    with open(program("weir"), "rb") as binary:
        sanitized = b"__asan_init" in binary.read()
    count = 1000 if sanitized else 10000  # checked builds look at every entry in every turn
    file = tmp_path / "many.conf"
    file.write_text("".join(f"[model org/model-{i:05}]\npath = fake:{capabilities[i % 5]}\nalias = m{i}\n"
                            for i in range(count)))
    few = serve({"m": "fake:text_embedding"})
    many = serve({}, WEIR_CONFIG=str(file))
    wait_until(lambda: not many.children(), 20, "the inspector left")
    cost = resident(many) - resident(few)
    print(f"{count} entries: {cost / 1024:.0f} KiB")
    assert sanitized or cost < 64 * 1024 * 1024  # the sanitizer's memory is for the most part its own
    assert many.embed("x", f"m{count // 2}").status == 200
    assert many.embed("x", f"org/model-{count - 5:05}").status == 200


def resident(server):
    with open(f"/proc/{server.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
