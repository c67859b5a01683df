"""embed_peer PEER CORPUS MODEL PEERS THREADS PRECISION: one peer at its best, resident, for `bench embed`.

Reads orders from stdin, one a line, and answers each with one line of JSON:
    calibrate       tries the settings it knows on a part of the corpus and keeps the fastest
    pass            the whole corpus once: {"seconds"}
    latency N       the short text N times, alone: {"ms"}, their median
    vectors FILE    the corpus' vectors as floats, one after another
Peers in process get token ids and may sort them by length; what
they do is one call of `embed(indexes)`, and tokens of one batch are at most `budget` with their padding.
"""
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402

PART = 4  # one text of so many is calibrated with


def normalised(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Peer:
    """Texts in batches of rising length; children say what a batch is and how their options differ."""
    choices = [{"budget": budget} for budget in (256, 512, 1024, 2048, 4096)]

    def __init__(self, corpus, model, peers, threads, precision):
        self.corpus = corpus
        self.ids = [*corpus["ids"], corpus["short_ids"]]
        self.model, self.peers, self.threads, self.precision = model, peers, threads, precision
        self.choice = self.choices[0]
        self.open()

    def configure(self, choice):
        self.choice = choice

    def batches(self, indexes):
        batch = []
        for index in sorted(indexes, key=lambda i: len(self.ids[i])):
            if batch and (len(batch) + 1) * len(self.ids[index]) > self.choice["budget"]:
                yield batch
                batch = []
            batch.append(index)
        yield batch

    def padded(self, batch):
        width = len(self.ids[batch[-1]])
        ids = np.zeros((len(batch), width), np.int64)
        mask = np.zeros_like(ids)
        for row, index in enumerate(batch):
            mine = self.ids[index]
            ids[row, :len(mine)] = mine
            mask[row, :len(mine)] = 1
        return ids, mask

    def embed(self, indexes):
        """{index: vector}"""
        found = {}
        for batch in self.batches(indexes):
            found.update(zip(batch, self.run(batch)))
        return found

    def timed(self, choice, indexes):
        self.configure(choice)
        self.embed(indexes)
        began = time.perf_counter()
        self.embed(indexes)
        return time.perf_counter() - began

    def calibrate(self):
        """All choices once; the two that came out best again."""
        part = range(0, len(self.corpus["ids"]), PART)
        first = sorted(self.choices, key=lambda choice: self.timed(choice, part))
        best = min(first[:2], key=lambda choice: self.timed(choice, part))
        self.configure(best)
        self.all()
        return best

    def all(self):
        return self.embed(range(len(self.corpus["ids"])))

    def one(self):
        self.run([len(self.ids) - 1])

    def close(self):
        pass


class OpenVino(Peer):
    choices = [{"hint": hint, "budget": budget} for hint in ("THROUGHPUT", "LATENCY")
               for budget in (128, 256, 512, 1024, 2048)]

    def open(self):
        import openvino
        self.library = openvino
        self.version = openvino.__version__
        self.compiled = {}
        self.source = openvino.Core().read_model(
            os.path.join(self.peers, "models", "openvino", "openvino_model.xml"))
        self.about = {"INFERENCE_PRECISION_HINT runs": self.compile("LATENCY").get_property(
            "INFERENCE_PRECISION_HINT").to_string()}

    def compile(self, hint):
        if hint not in self.compiled:
            self.compiled[hint] = self.library.Core().compile_model(self.source, "CPU", {
                "PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": self.threads,
                "INFERENCE_PRECISION_HINT": self.precision})
        return self.compiled[hint]

    def configure(self, choice):
        self.choice = choice
        compiled = self.compile(choice["hint"])
        streams = compiled.get_property("NUM_STREAMS")
        self.queue = self.library.AsyncInferQueue(compiled, max(streams, 1))
        self.alone = self.compile("LATENCY").create_infer_request()

    def feed(self, batch):
        ids, mask = self.padded(batch)
        return {"input_ids": ids, "attention_mask": mask}

    def embed(self, indexes):
        found = {}
        self.queue.set_callback(lambda request, batch: found.update(
            zip(batch, request.get_tensor("sentence_embedding").data.copy())))
        for batch in self.batches(indexes):
            self.queue.start_async(self.feed(batch), batch)
        self.queue.wait_all()
        return found

    def one(self):
        self.alone.infer(self.feed([len(self.ids) - 1]))


class OnnxRuntime(Peer):
    def open(self):
        import onnxruntime
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(os.path.join(self.peers, "models", "model.onnx"),
                                                    options, providers=["CPUExecutionProvider"])
        self.kind = np.int32 if "int32" in self.session.get_inputs()[0].type else np.int64
        self.about = {"graph": "fused for BERT", "intra_op": self.threads}

    def run(self, batch):
        ids, mask = self.padded(batch)
        feed = {"input_ids": ids.astype(self.kind), "attention_mask": mask.astype(self.kind),
                "token_type_ids": np.zeros(ids.shape, self.kind)}
        states, = self.session.run(["states"], feed)
        weights = mask[:, :, None].astype(np.float32)
        return normalised((states * weights).sum(1) / weights.sum(1))


class SentenceTransformers(Peer):
    """Reads the texts itself, as its users have it do; sorts by length itself."""
    choices = [{"batch": batch} for batch in (4, 8, 16, 32, 64)]

    def open(self):
        import sentence_transformers
        import torch
        torch.set_num_threads(self.threads)
        self.version = f"{sentence_transformers.__version__}, torch {torch.__version__}"
        self.transformer = sentence_transformers.SentenceTransformer(self.model, device="cpu")
        self.texts = [*self.corpus["texts"], self.corpus["short"]]
        self.about = {"threads": self.threads, "cpu": torch.backends.cpu.get_cpu_capability()}

    def embed(self, indexes):
        vectors = self.transformer.encode([self.texts[i] for i in indexes],
                                          batch_size=self.choice["batch"], show_progress_bar=False)
        return dict(zip(indexes, vectors))

    def one(self):
        self.transformer.encode(self.corpus["short"], show_progress_bar=False)


class LlamaServer(Peer):
    """Over HTTP, since it has no other form: several requests of several texts are under way."""
    choices = [{"slots": slots, "texts": texts} for slots, texts in ((8, 8), (32, 16), (32, 80))]
    gguf = "model-f32.gguf"

    def open(self):
        self.process = None
        self.texts = [*self.corpus["texts"], self.corpus["short"]]
        said = subprocess.run([self.program(), "--version"], capture_output=True, text=True)
        found = re.search(r"version: .*", said.stdout + said.stderr)
        self.version = found.group(0) if found else "?"
        self.about = {"gguf": "F32", "threads": self.threads}

    def program(self):
        return os.path.join(self.peers, "llama.cpp", "build", "bin", "llama-server")

    def configure(self, choice):
        if self.process and choice["slots"] == self.choice["slots"]:
            self.choice = choice
            return
        self.choice = choice
        self.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        slots = choice["slots"]
        self.process = subprocess.Popen(
            [self.program(), "-m", os.path.join(self.peers, "models", self.gguf), "--embedding",
             "--pooling", "mean", "-t", str(self.threads), "-tb", str(self.threads), "-np", str(slots),
             "-c", str(slots * 512), "-b", "4096", "-ub", "4096", "--host", "127.0.0.1",
             "--port", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.ask("GET", "/health", None)[0] == 200:
                    return
            time.sleep(0.02)
        sys.exit("llama-server does not listen")

    def ask(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def request(self, indexes):
        body = json.dumps({"input": [self.texts[i] for i in indexes]})
        status, answer = self.ask("POST", "/v1/embeddings", body)
        if status != 200:
            sys.exit(f"llama-server: {status} {answer[:200]!r}")
        rows = json.loads(answer)["data"]
        return {indexes[row["index"]]: np.array(row["embedding"], np.float32) for row in rows}

    def embed(self, indexes):
        step = self.choice["texts"]
        order = sorted(indexes, key=lambda i: len(self.texts[i]))
        parts = [order[i:i + step] for i in range(0, len(order), step)]
        found = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for some in pool.map(self.request, parts):
                found.update(some)
        return found

    def one(self):
        self.request([len(self.ids) - 1])

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


PEERS = {"openvino": OpenVino, "onnxruntime": OnnxRuntime, "sentence-transformers": SentenceTransformers,
         "llama.cpp": LlamaServer}


def order(peer, words):
    if words[0] == "calibrate":
        return {"choice": peer.calibrate(), "version": peer.version, "about": peer.about}
    if words[0] == "pass":
        began = time.perf_counter()
        peer.all()
        return {"seconds": time.perf_counter() - began}
    if words[0] == "latency":
        times = []
        for _ in range(int(words[1])):
            began = time.perf_counter()
            peer.one()
            times.append((time.perf_counter() - began) * 1e3)
        return {"ms": statistics.median(times)}
    if words[0] == "vectors":
        found = peer.all()
        np.stack([found[i] for i in range(len(found))]).astype(np.float32).tofile(words[1])
        return {}
    sys.exit(f"embed_peer: no order '{words[0]}'")


def main():
    name, corpus, model, peers, threads, precision = sys.argv[1:]
    with open(corpus) as file:
        peer = PEERS[name](json.load(file), model, peers, int(threads), precision)
    # What libraries print goes to stderr; stdout is for answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        for line in sys.stdin:
            answers.write(json.dumps(order(peer, line.split())) + "\n")
    finally:
        peer.close()


if __name__ == "__main__":
    main()
