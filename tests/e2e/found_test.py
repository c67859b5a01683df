"""Models that nobody named: folders of models, the Hugging Face cache; and what inspections cost.

Processes are counted by a folder of worker programs that write down how they were started.
"""

import json
import os
import shutil
import signal

import pytest
from harness import ROOT, program, wait_until

FIXTURES = os.path.join(ROOT, "tests", "fixtures")
TINY = os.path.join(FIXTURES, "tiny_bert")
TEXTS = os.path.join(FIXTURES, "texts")  # a folder, and no model


def fetch(home, name, commit="c0ffee", source=TINY, **other):
    """A model as the tools of Hugging Face leave it: blobs, links to them, and what main is.

    `other` are texts of files by name (dots as __), instead of the source's; None is a link to a
    blob that has not come yet."""
    model = home / "hub" / ("models--" + name.replace("/", "--"))
    snapshot = model / "snapshots" / commit
    for place in (model / "refs", model / "blobs", snapshot):
        place.mkdir(parents=True, exist_ok=True)
    texts = {key.replace("__", "."): text for key, text in other.items()}
    for folder, _, files in os.walk(source):
        for file in files:
            below = os.path.relpath(os.path.join(folder, file), source)
            link, blob = snapshot / below, model / "blobs" / f"{commit}-{below.replace('/', '-')}"
            link.parent.mkdir(exist_ok=True)
            if texts.get(below, "") is not None:
                shutil.copy(os.path.join(source, below), blob)
            if texts.get(below):
                blob.write_text(texts[below])
            link.symlink_to(os.path.relpath(blob, link.parent))
    (model / "refs" / "main").write_text(commit)
    return snapshot


@pytest.fixture
def hub(tmp_path):
    home = tmp_path / "hf"
    (home / "hub").mkdir(parents=True)
    return home


@pytest.fixture
def started(tmp_path):
    """started() is how many inspectors were started since it was asked last; `.folder` is for
    WEIR_WORKER."""
    folder, log = tmp_path / "workers", tmp_path / "started"
    folder.mkdir()
    for name in ("weir-worker", "weir-worker-fake"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {program(name)} "$@"\n')
        script.chmod(0o755)
    log.write_text("")

    def count():
        lines = log.read_text().split()
        log.write_text("")
        return lines.count("--inspect")

    count.folder = str(folder)
    return count


def problems(server):
    return {m["name"]: m["problem"] for m in server.status()["models"]}


def reload(server):
    before = len(server.log)
    server.signal(signal.SIGHUP)
    return wait_until(lambda: next((line for line in list(server.log)[before:]
                                    if "SIGHUP: configuration read" in (line or "")), None), 10, "SIGHUP")


# --- the Hugging Face cache ----------------------------------------------------------------------

def test_what_was_fetched_is_served(serve, hub):
    fetch(hub, "org/tiny")
    fetch(hub, "org/whisper", config__json='{"model_type":"whisper"}')
    fetch(hub, "org/half", model__safetensors=None)
    data = hub / "hub" / "datasets--org--data" / "snapshots" / "c0ffee"
    data.mkdir(parents=True)
    (data / "config.json").write_text("{}")
    server = serve({"direct": TINY}, HF_HOME=str(hub))
    assert server.vector("hello", "org/tiny") == server.vector("hello", "direct")
    found = problems(server)
    assert set(found) == {"direct", "org/tiny", "org/whisper", "org/half"}
    assert found["org/tiny"] is None and "whisper" in found["org/whisper"]
    assert "'model.safetensors' is missing" in found["org/half"]
    assert "leads nowhere" in found["org/half"]
    assert f"{hub}/hub: found models=3" in server.log_text()
    assert "whisper" not in server.log_text()  # what others keep there is no trouble of ours
    assert server.embed("hello", "org/whisper").error["code"] == "model_load_failed"


def test_a_server_with_an_empty_cache_and_no_folder(serve, hub):
    server = serve({}, HF_HUB_CACHE=str(hub / "none"))
    assert problems(server) == {}


def test_the_configuration_and_the_folder_are_stronger(serve, weir, hub, tmp_path):
    for name in ("org/both", "flag", "nick"):
        fetch(hub, name)
    (tmp_path / "models" / "org").mkdir(parents=True)
    (tmp_path / "models" / "org" / "both").symlink_to(TINY)
    conf = tmp_path / "weir.conf"
    conf.write_text("[model other]\npath = fake:text_embedding\nalias = nick\n"
                    "[model org/both@c0ffee]\nslots = 2\n")
    more = {"HF_HOME": str(hub), "WEIR_MODELS": str(tmp_path / "models")}
    done = weir("serve", "--config", conf, "--model", "flag=fake:text_embedding", "--print-config",
                **more)
    for line in (f"path = {tmp_path}/models/org/both  (the folder of models)",
                 f"path = {hub}/hub/models--org--both/snapshots/c0ffee  (the Hugging Face cache)",
                 "path = fake:text_embedding  (flag)"):
        assert line in done.stdout.splitlines(), done.stdout
    assert "[model nick]" not in done.stdout  # it is the other's alias
    server = serve({"flag": "fake:text_embedding"}, "--config", conf, **more)
    assert problems(server) == dict.fromkeys(["flag", "other", "org/both@c0ffee", "org/both"])


def test_sighup_looks_again(serve, hub):
    snapshot = fetch(hub, "org/half", model__safetensors=None)
    server = serve({}, HF_HOME=str(hub))
    assert problems(server)["org/half"] is not None
    fetch(hub, "org/new")
    blob = os.path.join(snapshot, os.readlink(snapshot / "model.safetensors"))
    shutil.copy(os.path.join(TINY, "model.safetensors"), blob)  # the rest of the download
    assert "added=1 changed=0 removed=0 failed=0" in reload(server)
    wait_until(lambda: problems(server) == {"org/half": None, "org/new": None}, 10, "both good")
    assert server.vector("x", "org/half") == server.vector("x", "org/new")
    fetch(hub, "org/new", commit="decade")
    shutil.rmtree(hub / "hub" / "models--org--half")
    assert "added=0 changed=1 removed=1 failed=0" in reload(server)
    assert server.vector("x", "org/new")


def test_verbs_find_it_without_a_server(weir, hub):
    fetch(hub, "org/tiny", commit="old")
    fetch(hub, "org/tiny", commit="new")
    expected = weir("embed", TINY, "hi")
    assert expected.returncode == 0, expected
    for name in ("org/tiny", "org/tiny@old", "org/tiny@main"):
        done = weir("embed", name, "hi", "--local", HF_HOME=str(hub))
        assert (done.returncode, done.stdout) == (0, expected.stdout), done
    done = weir("tokenize", "org/tiny", "hi", HF_HOME=str(hub), WEIR_HOST="http://127.0.0.1:1")
    assert done.returncode == 0 and json.loads(done.stdout)["tokens"], done
    done = weir("embed", "org/tiny@none", "hi", "--local", HF_HOME=str(hub))
    assert done.returncode != 0 and f"{hub}/hub" in done.stderr, done


def test_verbs_share_the_cache(weir, tmp_path, started):
    """What the first one prepared and found out, the next one has."""
    assert weir("embed", TINY, "hi", WEIR_WORKER=started.folder).returncode == 0
    prepared = tmp_path / ".cache" / "weir" / "prepared"
    (packed,) = os.listdir(prepared)
    before = os.stat(prepared / packed)
    assert started() == 1
    assert weir("tokenize", TINY, "hi", WEIR_WORKER=started.folder).returncode == 0
    assert started() == 0
    assert os.listdir(prepared) == [packed] and os.stat(prepared / packed).st_ino == before.st_ino


def test_a_gguf_file_says_what_it_is(serve, weir, tmp_path):
    file = tmp_path / "models" / "quant.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF\3\0\0\0")
    server = serve({}, "--models", file.parent)
    assert "GGUF files are not served yet" in problems(server)["quant"]
    assert str(file) in problems(server)["quant"]
    done = weir("embed", file, "hi")
    assert done.returncode == 1 and "GGUF files are not served yet" in done.stderr, done


# --- inspections ---------------------------------------------------------------------------------

def test_models_that_did_not_change_cost_no_process(serve, tmp_path, started):
    """50 models: one inspector at the first start, none at the second, one for what is new."""
    models = tmp_path / "models"
    models.mkdir()
    for i in range(50):
        (models / f"m{i:02}").symlink_to(TINY)

    def run(*options, **more):
        server = serve({"texts": TEXTS}, "--models", models, *options, WEIR_WORKER=started.folder,
                       **more)
        found = problems(server)
        assert len(found) == 51
        assert "'config.json' is missing" in found.pop("texts")
        return server, set(found.values())

    server, found = run()
    assert found == {None} and started() == 1
    vector = server.vector("hello", "m07")
    server.close()
    started()
    server, found = run()
    assert found == {None} and started() == 0
    assert server.vector("hello", "m07") == vector
    server.close()
    started()
    shutil.copytree(TINY, tmp_path / "other")
    (models / "m07").unlink()
    (models / "m07").symlink_to(tmp_path / "other")  # the same bytes, other files
    server, found = run()
    assert found == {None} and started() == 1
    server.close()
    run("--threads", "1", WEIR_CPU="scalar")[0].close()  # other kernels, other plans
    assert started() == 1


def test_a_damaged_list_of_inspections_is_made_anew(serve, tmp_path, started):
    options = {"WEIR_WORKER": started.folder}
    kept = tmp_path / ".cache" / "weir" / "inspected"
    serve({"m": TINY}, **options).close()
    good = kept.read_bytes()
    assert started() == 1
    for damaged in (good[:-20], good[:40] + b"\xff" + good[41:], b"", os.urandom(5000)):
        kept.write_bytes(damaged)
        server = serve({"m": TINY}, **options)
        assert problems(server) == {"m": None} and f"'{kept}' is not used" in server.log_text()
        server.close()
        assert started() == 1
        assert kept.read_bytes() == good
    kept.unlink()
    kept.mkdir()  # and where nothing can be kept, all goes on
    server = serve({"m": TINY}, **options)
    assert problems(server) == {"m": None}
    server.close()
    assert started() == 1 and "inspections are not kept" in server.log_text()
