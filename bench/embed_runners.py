"""Who takes part in `bench embed`: weir in process and through HTTP, and the peers. All are resident, sleep
while another runs, and obey the same orders; a participant that fails ends the row that needs it."""

import array
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from bench_lib import BIN, Server, environment, program

PEER_NAMES = ("openvino", "onnxruntime", "sentence-transformers", "llama.cpp")
AVX2_ONLY = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


class Missing(Exception):
    """Something could not take part: the row fails by that name."""


class Setting:
    """What all of them are given."""

    def __init__(self, model, peers, place, corpus, threads):
        self.model, self.peers, self.place, self.corpus, self.threads = model, peers, place, corpus, threads
        self.python = os.path.join(peers, "venv", "bin", "python")
        self.corpus_file = os.path.join(place, "corpus.json")
        self.texts_file = os.path.join(place, "texts")
        self.cache = os.path.join(place, "cache")
        with open(self.texts_file, "w") as file:
            file.writelines(text + "\n" for text in [*corpus["texts"], corpus["short"]])
        self.tokens = sum(len(ids) for ids in corpus["ids"])


class Participant:
    """A child that is given orders by lines and answers each with a line."""

    def __init__(self, name, arguments, more=None):
        self.name = name
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments, env={**environment(), **(more or {})}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)

    def order(self, *words):
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            self.log.seek(0)
            raise Missing(f"{self.name} ended: {self.log.read().decode('utf-8', 'replace')[-600:]}")
        return answer

    def vectors(self, place):
        path = os.path.join(place, "vectors")
        self.order("vectors", path)
        found = array.array("f")
        with open(path, "rb") as file:
            found.frombytes(file.read())
        return found

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Weir(Participant):
    def __init__(self, setting, threads=None, precision="f32", cpu=None):
        threads = threads or setting.threads
        name = f"weir {precision}, {threads} thread{'s' if threads > 1 else ''}" + (f", {cpu}" if cpu else "")
        super().__init__(name, [program("bench-embed-pool"), BIN, setting.model, setting.texts_file,
                                str(threads), precision, setting.cache], {"WEIR_CPU": cpu} if cpu else None)

    def warm(self):
        self.run_pass()
        self.run_pass()
        return self.name

    def run_pass(self):
        return float(self.order("pass"))

    def latency(self, count):
        return float(self.order("latency", count))


class Peer(Participant):
    def __init__(self, setting, name, precision="f32", more=None):
        label = f"{name} {precision}" + (" held to AVX2" if more else "")
        super().__init__(label, [setting.python, os.path.join(os.path.dirname(__file__), "embed_peer.py"),
                                 name, setting.corpus_file, setting.model, setting.peers,
                                 str(setting.threads), precision], more)

    def warm(self):
        about = json.loads(self.order("calibrate"))
        return f"{self.name}: {about['version']}; {about['about']}; best with {about['choice']}"

    def run_pass(self):
        return json.loads(self.order("pass"))["seconds"]

    def latency(self, count):
        return json.loads(self.order("latency", count))["ms"]


class Http:
    """weir behind its server: the corpus twice, one text a request, on so many connections."""

    def __init__(self, setting, connections):
        self.name = f"weir f32 by HTTP, {connections} connections"
        self.connections = connections
        self.bodies = os.path.join(setting.place, "bodies")
        with open(self.bodies, "w") as file:
            for text in setting.corpus["texts"]:
                file.write(json.dumps({"model": "m", "input": text, "encoding_format": "base64"}) + "\n")
        self.texts = len(setting.corpus["texts"])
        self.server = serve(setting, 1)

    def warm(self):
        self.run_pass()
        return self.name

    def run_pass(self):
        """Seconds for the corpus once."""
        fields = subprocess.run([program("bench-load"), str(self.server.port), str(self.connections), "2x",
                                 "/v1/embeddings", self.bodies], capture_output=True, text=True,
                                env=environment()).stdout.split()
        if len(fields) != 4 or fields[3] != "0":
            raise Missing(f"{self.name}: bench-load said {fields}")
        return self.texts / float(fields[0])

    def close(self):
        self.server.__exit__()


def serve(setting, workers):
    server = Server({"m": setting.model}, "--threads", str(setting.threads), "--min-workers", str(workers),
                    "--max-workers", str(workers), "--idle", "3600", more={"XDG_CACHE_HOME": setting.cache})
    server.wait(lambda: len(workers_of(server)) == workers)
    return server


def workers_of(server):
    """The process ids of the workers that are loaded."""
    models = json.loads(server.get("/weir/v1/status")[1])["models"]
    return [worker["pid"] for model in models for worker in model["workers"]
            if worker["state"] in ("Ready", "Idle")]


def file_pss(pids):
    """Bytes of mapped files, each page shared out among those that map it."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += int(re.search(r"Pss_File:\s+(\d+) kB", file.read()).group(1)) * 1024
    return total


def start_of_weir(setting):
    """Seconds from the start of `weir serve` until its worker is READY."""
    began = time.perf_counter()
    server = serve(setting, 1)
    took = time.perf_counter() - began
    server.__exit__()
    return took


def start_of_llama(setting):
    """Seconds from the start of llama.cpp's server until it serves the model."""
    log = os.path.join(setting.place, "llama-start")
    began = time.perf_counter()
    with open(log, "w") as out:
        process = subprocess.Popen(
            [os.path.join(setting.peers, "llama.cpp", "build", "bin", "llama-server"), "-m",
             os.path.join(setting.peers, "models", "model-f32.gguf"), "--embedding", "--pooling", "mean",
             "-t", str(setting.threads), "-c", "512", "-np", "1", "--host", "127.0.0.1", "--port", "0"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment())
    try:
        while True:
            with open(log) as said:
                text = said.read()
            if "listening on http" in text:
                break
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise Missing("llama-server does not listen: " + text[-400:])
            time.sleep(0.002)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def busy(threads):
    """A program that wants so many CPUs all the time."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(threads)]
    try:
        yield
    finally:
        for loop in loops:
            loop.send_signal(signal.SIGKILL)
            loop.wait()
