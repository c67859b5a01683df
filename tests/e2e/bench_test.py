"""`weir bench` and what it measures beside a model: `weir-worker --limits`."""

import json
import os
import subprocess

import pytest
from harness import ROOT, program

TINY = os.path.join(ROOT, "tests", "fixtures", "tiny_bert")
TINY_TOKENS = 48
LIMITS = {"cpu", "threads", "f32_gflops", "bf16_gflops", "read_gbs"}


def run_limits(*arguments, **environment):
    return subprocess.run([program("weir-worker"), "--limits", *arguments], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **environment})


def test_limits_are_one_line_a_number_of_threads():
    done = run_limits()
    assert done.returncode == 0 and done.stderr == "", done
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["threads"] for row in rows] == sorted({1, os.cpu_count()})
    for row in rows:
        assert set(row) == LIMITS
        assert all(row[name] > 0 for name in LIMITS - {"cpu"})
    three = json.loads(run_limits("3").stdout)
    assert three["threads"] == 3


def test_limits_are_those_of_the_kernels_in_use():
    assert json.loads(run_limits("1", WEIR_CPU="scalar").stdout)["cpu"] == "scalar"
    refused = run_limits("1", WEIR_CPU="abacus")
    assert refused.returncode == 1 and "abacus" in refused.stderr


@pytest.mark.parametrize("arguments", [["0"], ["x"], ["1", "2"], ["100000"]])
def test_limits_used_wrongly(arguments):
    done = run_limits(*arguments)
    assert done.returncode == 2 and "--limits [THREADS]" in done.stderr and done.stdout == ""


def test_bench_as_json(weir):
    done = weir("bench", TINY, "-p", "40", "--batch", "3", "--threads", "1", "--json", seconds=60)
    assert done.returncode == 0 and done.stderr == "", done
    said = json.loads(done.stdout)
    found, limits = said["embedding"], said["limits"]
    assert (found["tokens"], found["texts"]) == (40, 3) and found["repetitions"] >= 5
    for name in ("texts_per_s", "tokens_per_s"):
        assert 0 < found[name]["min"] <= found[name]["median"] <= found[name]["max"]
    assert found["tokens_per_s"]["median"] == pytest.approx(40 * found["texts_per_s"]["median"])
    assert set(limits) == LIMITS and limits["threads"] == 1


def test_bench_for_people(weir):
    done = weir("bench", TINY, seconds=60)
    assert done.returncode == 0, done
    assert done.stdout.startswith(f"{TINY}: 32 texts of {TINY_TOKENS} tokens, ")
    head, texts, tokens = (line.split() for line in done.stdout.splitlines()[1:4])
    assert head == ["A", "SECOND", "MEDIAN", "LEAST", "MOST"]
    assert texts[0] == "texts" and float(texts[2]) <= float(texts[1]) <= float(texts[3])
    assert tokens[0] == "tokens" and float(tokens[1]) > float(texts[1])
    assert "limits of this machine now, " in done.stdout


def test_bench_refuses_what_the_model_does_not_take(weir):
    long = weir("bench", TINY, "-p", str(TINY_TOKENS + 1))
    assert long.returncode == 1 and f"at most {TINY_TOKENS} tokens" in long.stderr
    other = weir("bench", "fake:text_to_text")
    assert other.returncode == 1 and "no vectors" in other.stderr
    nothing = weir("bench", "nothing-of-that-name")
    assert nothing.returncode == 1 and "nothing-of-that-name" in nothing.stderr


def test_bench_needs_the_worker_for_the_limits(weir, tmp_path):
    """Where it is not, that is said, and by whom it was looked for."""
    done = weir("bench", TINY, WEIR_WORKER=tmp_path)
    assert done.returncode == 1 and str(tmp_path) in done.stderr


@pytest.mark.parametrize("script", ["echo nonsense", "exit 3", "echo '{\"cpu\":\"avx2\",\"threads\":0}'",
                                    "kill -9 $$", "head -c 200000 /dev/zero"])
def test_bench_believes_no_limits_that_are_none(weir, tmp_path, script):
    os.symlink(program("weir-worker-fake"), tmp_path / "weir-worker-fake")
    worker = tmp_path / "weir-worker"
    worker.write_text(f"#!/bin/sh\n{script}\n")
    worker.chmod(0o755)
    done = weir("bench", "fake:text_embedding", WEIR_WORKER=tmp_path)
    assert done.returncode == 1 and done.stdout == "", done
    assert "--limits" in done.stderr and "check failed" not in done.stderr
