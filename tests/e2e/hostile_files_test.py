"""Model folders that are wrong on purpose, through the server and the real worker.

Each is a copy of tests/fixtures/tiny_bert with one thing spoiled. What is wrong must be answered with
500 model_load_failed, in a sentence that names the file and, where it is about weights, the tensor
and the offset (F184); no worker may be lost over it, and another model is served all the while.
"""

import json
import os
import shutil
import struct

import pytest
from harness import ROOT, wait_until

TINY = os.path.join(ROOT, "tests", "fixtures", "tiny_bert")
WORDS = "embeddings.word_embeddings.weight"
LEVELS = 100_000
HEADER_BYTES_MAX = 100_000_000


def read_weights():
    """The header of the fixture's weights, as JSON, and the data."""
    with open(os.path.join(TINY, "model.safetensors"), "rb") as file:
        raw = file.read()
    end = 8 + struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:end]), raw[end:]


def with_header(change):
    """A weights' file whose header was changed by `change`, which gets it and may return another."""
    header, data = read_weights()
    header = change(header) or header
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def with_tensor(**fields):
    return with_header(lambda header: header[WORDS].update(fields))


def with_config(**fields):
    with open(os.path.join(TINY, "config.json"), encoding="utf-8") as file:
        return json.dumps({**json.load(file), **fields}).encode()


def with_piece(text, number):
    with open(os.path.join(TINY, "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    tokenizer["model"]["vocab"][text] = number
    return json.dumps(tokenizer).encode()


def spoil(folder, files):
    shutil.copytree(TINY, folder)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def begin_of(header, name=WORDS):
    return header[name]["data_offsets"][0]


def second_over_first(header):
    """Two tensors of the same size at the same place."""
    first, second = header["encoder.layer.0.attention.self.query.weight"], \
        header["encoder.layer.0.attention.self.key.weight"]
    second["data_offsets"] = first["data_offsets"]


HEADER, DATA = read_weights()
OFFSET = str(begin_of(HEADER))
AT_OFFSET = f"at offset {OFFSET} "
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 110336\n"
WEIGHTS = {
    "overlap": (with_header(second_over_first), ["self.", "offset"]),
    "beyond-the-end": (with_tensor(data_offsets=[begin_of(HEADER), len(DATA) + 4]),
                       [WORDS, str(len(DATA) + 4), str(len(DATA))]),
    "offsets-overflow": (with_tensor(data_offsets=[2**63 - 5, 2**63 - 1]), [WORDS, str(2**63 - 1)]),
    "offsets-backwards": (with_tensor(data_offsets=[4, 0]), [WORDS, "data_offsets"]),
    "shape-overflows": (with_tensor(shape=[2**62, 2**62]), [WORDS, OFFSET, "shape"]),
    "shape-too-large": (with_tensor(shape=[257, 32]), [WORDS, OFFSET, "[257,32]"]),
    "shape-turned": (with_tensor(shape=[32, 256]), [WORDS, AT_OFFSET, "[32,256]", "[256,32]"]),
    "shape-negative": (with_tensor(shape=[-256, -32]), [WORDS, OFFSET, "dimension 0"]),
    "type-unknown": (with_tensor(dtype="F8_E5M2"), [WORDS, OFFSET, "F8_E5M2"]),
    "type-of-another-size": (with_tensor(dtype="BF16"), [WORDS, OFFSET, "BF16"]),
    "type-not-a-float": (with_tensor(dtype="I64", shape=[128, 32]), [WORDS, AT_OFFSET, "I64"]),
    "tensor-missing": (with_header(lambda h: h.update({"words": h.pop(WORDS)})), [WORDS, "missing"]),
    "header-too-long": (struct.pack("<Q", HEADER_BYTES_MAX + 1) + bytes(64),
                        [str(HEADER_BYTES_MAX + 1), str(HEADER_BYTES_MAX)]),
    "header-of-all-ones": (b"\xff" * 64, [str(2**64 - 1)]),
    "header-not-json": (with_header(lambda _: b"<html></html>"), ["JSON"]),
    "header-deep": (with_header(lambda _: b'{"a":' * LEVELS), ["JSON"]),
    "header-deep-list": (with_header(lambda _: b"[" * LEVELS + b"]" * LEVELS), ["JSON"]),
    "truncated": (with_header(lambda _: None)[:-1], ["tensor", "offset"]),
    "header-truncated": (with_header(lambda _: None)[:100], ["header", "length"]),
    "no-bytes": (b"", ["empty"]),
    "git-lfs-pointer": (POINTER, ["Git LFS"]),
    "name-of-controls": (with_header(lambda h: h.update({"\x1b[2J\n": 1})), ["' [2J '"]),
    "seven-bytes": (b"\x02" + bytes(6), ["7 bytes"]),
}
CONFIGURATION = {
    "deep": ("config.json", b'{"a":' * LEVELS + b"1" + b"}" * LEVELS, ["'config.json'", "JSON"]),
    "modules-deep": ("modules.json", b"[" * LEVELS, ["'modules.json'", "JSON"]),
    "sizes-that-overflow": ("config.json", with_config(hidden_size=2**62),
                            ["'config.json'", "hidden_size", str(2**62)]),
    "a-million-layers": ("config.json", with_config(num_hidden_layers=1_000_000),
                         ["'config.json'", "num_hidden_layers", "1000000"]),
    "more-layers": ("config.json", with_config(num_hidden_layers=3),
                    ["model.safetensors", "encoder.layer.2.", "missing"]),
    "other-vocabulary": ("config.json", with_config(vocab_size=999),
                         ["model.safetensors", WORDS, AT_OFFSET, "[256,32]", "[999,32]"]),
    "other-width": ("config.json", with_config(hidden_size=64), ["32", "64"]),
    "empty": ("config.json", b"", ["config.json", "0 bytes"]),
    "controls": ("config.json", b"\x1b[2J", ["'config.json'", "JSON"]),
    "pooling-empty": ("1_Pooling/config.json", b"", ["1_Pooling/config.json", "0 bytes"]),
}
TOKENIZER = {
    "deep": (b"[" * LEVELS + b"]" * LEVELS, []),
    "deep-in-a-field": (b'{"version":"1.0","model":' + b'{"a":' * LEVELS, []),
    "deep-in-the-vocabulary": (b'{"version":"1.0","model":{"type":"WordPiece","vocab":' + b'{"a":' * LEVELS, []),
    "more-ids": (with_piece("of no row", 300), ["300", "256"]),
    "nothing": (b"{}", ["model"]),
    "zeros": (bytes(4096), []),
    "git-lfs-pointer": (POINTER, ["Git LFS"]),
}


def expect_refusals(server, wrong):
    """`wrong`: name of a model to the words that its problem must hold."""
    for name, words in wrong.items():
        answer = server.embed(model=name)
        assert answer.status == 500 and answer.error["code"] == "model_load_failed", (name, answer)
        assert answer.headers["x-should-retry"] == "false"
        for word in words:
            assert word in answer.error["message"], (name, word, answer)
        assert answer.error["message"].isprintable(), (name, answer)
        assert server.model(name)["problem"] is not None
    assert server.embed(model="good").status == 200
    assert "signal" not in server.log_text()  # no worker and no inspector crashed over it


def test_hostile_weights(serve, tmp_path):
    models = {name: spoil(tmp_path / name, {"model.safetensors": data})
              for name, (data, _) in WEIGHTS.items()}
    server = serve({**models, "good": TINY})
    expect_refusals(server, {name: ["model.safetensors", *words] for name, (_, words) in WEIGHTS.items()})


def test_hostile_configuration(serve, tmp_path):
    models = {name: spoil(tmp_path / name, {file: data})
              for name, (file, data, _) in CONFIGURATION.items()}
    server = serve({**models, "good": TINY})
    expect_refusals(server, {name: words for name, (_, _, words) in CONFIGURATION.items()})


def test_hostile_tokenizers(serve, tmp_path):
    """Found at the latest by a worker that loads; it leaves by itself, and none is left."""
    models = {name: spoil(tmp_path / name, {"tokenizer.json": data})
              for name, (data, _) in TOKENIZER.items()}
    server = serve({**models, "good": TINY})
    expect_refusals(server, {name: ["tokenizer.json", *words] for name, (_, words) in TOKENIZER.items()})
    for name in models:
        wait_until(lambda n=name: server.workers(n) == [], 5, "no worker is left")


@pytest.mark.parametrize("number", [b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f"], ids=["nan", "infinity"])
def test_weights_that_are_not_finite(serve, tmp_path, number):
    """They load; a vector that is no number fails its request and nothing else (F188)."""
    bad = spoil(tmp_path / "bad", {"model.safetensors": with_header(lambda _: None)[:-4] + number})
    server = serve({"bad": bad, "good": TINY})
    for _ in range(3):
        answer = server.embed(model="bad")
        assert answer.status == 500 and answer.error["code"] == "model_failed", answer
        assert "finite" in answer.error["message"]
    assert server.workers("bad") != [] and "Dead" not in server.log_text()
    assert server.embed(model="good").status == 200


@pytest.mark.parametrize("file", ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json",
                                  "model.safetensors"])
def test_what_is_no_file(serve, tmp_path, file):
    """A folder, a pipe that nobody writes and a device without an end are refused by name at once."""
    makers = {"folder": os.mkdir, "pipe": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path)}
    models = {name: spoil(tmp_path / name, {}) for name in makers}
    for name, make in makers.items():
        os.unlink(models[name] / file)
        make(models[name] / file)
    server = serve({**models, "good": TINY})
    expect_refusals(server, {name: [f"{name}/{file}' is not a regular file"] for name in models})


def test_what_may_not_be_looked_at_is_not_absent(serve, tmp_path):
    """An optional file decides the vectors too: only one that is not there may be done without."""
    bad = spoil(tmp_path / "bad", {})
    os.unlink(bad / "modules.json")
    shutil.rmtree(bad / "1_Pooling")
    os.symlink("1_Pooling", bad / "1_Pooling")
    server = serve({"bad": bad, "good": TINY})
    expect_refusals(server, {"bad": ["1_Pooling/config.json", "symbolic links"]})
