#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets, and the committed corpora of them.

    fuzz/make_corpus.py tokenizers         fuzz/tokenizers: one of each kind, for the target encode
    fuzz/make_corpus.py seeds FOLDER       FOLDER/TARGET/NAME: files written by hand here
    fuzz/make_corpus.py merge BIN [FOUND]  fuzz/corpus/TARGET: of the seeds, and of what was found
                                           below FOUND/TARGET, the least that reaches as much

The last takes the programs fuzz-TARGET of the folder BIN (preset fuzz: build/fuzz/bin). Everything
is ours: words, weights and vocabularies are made up here.
"""

import base64
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
CORPUS_BYTES_MAX = 400_000
# What was found by mutation is kept where it is small: the seeds reach far, and can be read.
FOUND_BYTES_MAX = {"safetensors": 700, "config": 700, "tokenizer": 300, "vocab": 200, "encode": 200,
                   "frames": 200, "http": 200, "json": 200, "ini": 200}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def deep(opening, closing, depth, inner=""):
    return opening * depth + inner + closing * depth


# --- safetensors ---------------------------------------------------------------------------------

def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else compact(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_seeds():
    f32 = tensor("F32", [1], 0, 4)
    widths = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "F64": 8, "U8": 1, "BOOL": 1, "F8_E4M3": 1}
    for name, width in widths.items():
        yield f"one-{name}", safetensors({"a": tensor(name, [2, 1], 0, 2 * width)}, bytes(2 * width))
    yield "none", safetensors({})
    yield "several", safetensors(
        {"__metadata__": {"format": "pt", "": "ü"}, "b.weight": tensor("F32", [2, 1], 2, 10),
         "a": tensor("BF16", [], 0, 2), "empty": tensor("F16", [0, 7], 10, 10)}, bytes(10))
    yield "spaces", safetensors(b"{}      ")
    yield "overlap", safetensors({"a": tensor("F32", [2], 0, 8), "b": tensor("F32", [2], 4, 12)},
                                 bytes(12))
    yield "gap", safetensors({"a": f32, "b": tensor("F32", [1], 8, 12)}, bytes(12))
    yield "behind", safetensors({"a": f32}, bytes(9))
    yield "beyond", safetensors({"a": tensor("F32", [3], 0, 12)}, bytes(8))
    yield "backwards", safetensors({"a": tensor("F32", [1], 4, 0)}, bytes(4))
    yield "overflow", safetensors({"a": tensor("F32", [1 << 62, 4], 0, 0)})
    yield "overflow-offsets", safetensors({"a": tensor("F32", [1], (1 << 63) - 5, (1 << 63) - 1)})
    yield "ranks", safetensors({"a": tensor("F32", [1] * 8, 0, 4), "b": tensor("F32", [1] * 9, 4, 8)},
                               bytes(8))
    yield "minus", safetensors({"a": tensor("F32", [-1, 0.5, "x"], -4, 4)}, bytes(4))
    yield "more-fields", safetensors({"a": dict(f32, x=1)}, bytes(4))
    yield "fewer-fields", safetensors({"a": {"dtype": "F32"}}, bytes(4))
    yield "types", safetensors({"a": {"dtype": 1, "shape": 1, "data_offsets": 1}}, bytes(4))
    yield "metadata", safetensors({"__metadata__": {"a": 1}, "a": f32}, bytes(4))
    yield "metadata-list", safetensors({"__metadata__": []})
    yield "twice", safetensors(b'{"a":{},"a":{}}')
    yield "list", safetensors([])
    yield "leading-space", safetensors(b" {}")
    yield "long-name", safetensors({"naïve·" * 20: dict(f32, dtype="F33")}, bytes(4))
    yield "not-utf8", safetensors(b'{"a\xff":{}}')
    yield "deep", safetensors(deep('{"a":', "}", 100, "1").encode())
    yield "deep-list", safetensors(b'{"a":' + b"[" * 900)
    for name, length in (("zero", 0), ("huge", (1 << 64) - 1), ("limit", (16 << 20) + 1), ("long", 40)):
        yield f"length-{name}", struct.pack("<Q", length) + b"{}"
    yield "short", b"short"


# --- configuration -------------------------------------------------------------------------------

BERT = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": 32,
    "intermediate_size": 64, "layer_norm_eps": 1e-12, "max_position_embeddings": 64,
    "num_attention_heads": 4, "num_hidden_layers": 2, "position_embedding_type": "absolute",
    "type_vocab_size": 2, "vocab_size": 256, "pad_token_id": 0,
}
ROBERTA = dict(BERT, architectures=["RobertaModel"], model_type="roberta", pad_token_id=1,
               type_vocab_size=1)
XLM = dict(ROBERTA, architectures=["XLMRobertaModel"], model_type="xlm-roberta")
MPNET = dict(BERT, architectures=["MPNetModel"], model_type="mpnet", pad_token_id=1,
             relative_attention_num_buckets=32)
del MPNET["type_vocab_size"]
DISTIL = {
    "architectures": ["DistilBertModel"], "model_type": "distilbert", "activation": "gelu", "dim": 32,
    "hidden_dim": 64, "max_position_embeddings": 64, "n_heads": 4, "n_layers": 2, "vocab_size": 256,
    "sinusoidal_pos_embds": False, "pad_token_id": 0,
}
WAYS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens",
        "lasttoken")


def pooling(*ways, **more):
    flags = {f"pooling_mode_{way}": way in ways for way in WAYS}
    return dict({"word_embedding_dimension": 32}, **flags, **more)


def modules(*kinds, **more):
    return [dict({"idx": i, "name": str(i), "type": f"sentence_transformers.models.{kind}",
                  "path": "" if kind == "Transformer" else f"{i}_{kind}"}, **more)
            for i, kind in enumerate(kinds)]


def folder(config, **files):
    """The input of the target: "__" in a name stands for a folder's slash."""
    files = {"config": config, **files}
    parts = [f"#{name.replace('__', '/')}.json\n{text if isinstance(text, str) else compact(text)}\n"
             for name, text in files.items() if text is not None]
    return "".join(parts).encode("utf-8", "surrogateescape")


WORD_TABLE = "embeddings.word_embeddings.weight"


def tensor_names():
    raw = (ROOT / "tests/fixtures/tiny_bert/model.safetensors").read_bytes()
    return [name for name in json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]]) if name != "__metadata__"]


def config_seeds():
    usual = {"modules": modules("Transformer", "Pooling", "Normalize"),
             "1_Pooling__config": pooling("mean_tokens"),
             "sentence_bert_config": {"max_seq_length": 48, "do_lower_case": False}}
    for kind in (BERT, ROBERTA, XLM, MPNET, DISTIL):
        yield f"plain-{kind['model_type']}", folder(kind)
        yield f"usual-{kind['model_type']}", folder(kind, **usual)
    for act in ("gelu_new", "gelu_pytorch_tanh", "relu", "silu", 7):
        yield f"act-{act}", folder(dict(BERT, hidden_act=act))
    for way in WAYS:
        yield f"pooling-{way}", folder(BERT, **dict(usual, **{"1_Pooling__config": pooling(way)}))
    yield "pooling-several", folder(
        BERT, **dict(usual, **{"1_Pooling__config": pooling("cls_token", "max_tokens")}))
    yield "pooling-none", folder(BERT, **dict(usual, **{"1_Pooling__config": pooling()}))
    yield "pooling-named", folder(
        BERT, **dict(usual, **{"1_Pooling__config": {"pooling_mode": "cls", "include_prompt": False}}))
    yield "pooling-list", folder(
        BERT, **dict(usual, **{"1_Pooling__config": {"pooling_mode": ["cls", "mean"]}}))
    for act in ("torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity", "x.Mish"):
        yield f"dense-{act}", folder(
            BERT, modules=modules("Transformer", "Pooling", "Dense", "Normalize"),
            **{"1_Pooling__config": pooling("mean_tokens"),
               "2_Dense__config": {"in_features": 32, "out_features": 16, "bias": True,
                                   "activation_function": act}})
    for name, prompts in {
            "good": {"prompts": {"query": "query: ", "passage": "passage: "},
                     "default_prompt_name": "query", "similarity_fn_name": "cosine"},
            "none": {"__version__": {"pytorch": "2"}}, "null": {"prompts": None},
            "unknown": {"prompts": {}, "default_prompt_name": "q"}, "types": {"prompts": {"q": 1}},
            "list": []}.items():
        yield f"prompts-{name}", folder(BERT, **usual, config_sentence_transformers=prompts)
    for name, index in {
            "good": {"weight_map": dict.fromkeys(tensor_names(), "whole.safetensors")},
            "fewer": {"metadata": {"total_size": 8}, "weight_map": {WORD_TABLE: "whole.safetensors"}},
            "other": {"weight_map": {"a": "whole.safetensors"}},
            "missing": {"weight_map": {"a": "model-00002-of-00002.safetensors"}},
            "out": {"weight_map": {"a": "../model.safetensors", "b": "/etc/passwd"}},
            "types": {"weight_map": {"a": 1}}, "empty": {"weight_map": {}}, "list": []}.items():
        yield f"index-{name}", folder(BERT, **{"model.safetensors.index": index})
    for name, value in {"path-up": "../up", "path-root": "/etc", "path-number": 3, "path-long": "a/" * 99,
                        "path-none": None}.items():
        yield name, folder(BERT, modules=modules("Transformer", "Pooling", path=value))
    yield "no-pooling", folder(BERT, modules=modules("Transformer"))
    yield "poolings", folder(BERT, modules=modules("Transformer", "Pooling", "Pooling"))
    yield "module-unknown", folder(BERT, modules=modules("Transformer", "Pooling", "WordWeights"))
    yield "modules-object", folder(BERT, modules={})
    for key in list(BERT):
        yield f"without-{key}", folder({k: v for k, v in BERT.items() if k != key})
    for key in ("hidden_size", "num_attention_heads", "vocab_size", "max_position_embeddings"):
        for value in (0, -1, 1 << 62, 1.5, "7", None, 48):
            yield f"{key}-{value}", folder(dict(BERT, **{key: value}))
    for value in (0, 1, -1, 1e400, "1", 1e-5):
        yield f"eps-{value}", folder(compact(dict(BERT, layer_norm_eps=value)).replace("Infinity", "9e999"))
    yield "decoder", folder(dict(BERT, is_decoder=True))
    yield "architecture", folder(dict(BERT, architectures=["BertForMaskedLM", "Naïve" * 12]))
    yield "length-types", folder(BERT, sentence_bert_config={"max_seq_length": "48"})
    yield "length-null", folder(BERT, sentence_bert_config={"max_seq_length": None})
    yield "deep", folder(deep('{"a":', "}", 400, "1"))
    yield "twice", folder('{"model_type":"bert","model_type":"bert"}')
    yield "not-utf8", folder('{"model_type":"\udcff"}')
    yield "html", folder("<html>")
    yield "nothing", folder(None, modules=[])


# --- tokenizers ----------------------------------------------------------------------------------

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def added(tokens, start=0, **more):
    rows = [{"id": start + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for i, text in enumerate(tokens)]
    return [dict(row, **more) for row in rows]


def template(before, after, ids):
    single = [{"SpecialToken": {"id": t, "type_id": 0}} for t in before]
    single += [{"Sequence": {"id": "A", "type_id": 0}}]
    single += [{"SpecialToken": {"id": t, "type_id": 0}} for t in after]
    pair = single + [{"Sequence": {"id": "B", "type_id": 1}}]
    names = dict.fromkeys([*before, *after])
    return {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in names}}


def numbered(pieces):
    return {piece: number for number, piece in enumerate(pieces)}


def tokenizer(model, **parts):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
            "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    return {**base, **parts, "model": model}


WORDS = numbered(SPECIAL + ["the", "weir", "##s", "a", "##ng", "##strom", "é", "e", "##́", ",", "don",
                            "'", "t", "東", "京", "12", "##345", "🌊", "w", "##a", "##ter"])
BERT_NORMAL = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
               "strip_accents": None, "lowercase": True}


def wordpiece(**more):
    return {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": WORDS, **more}


def bert(model=None, **parts):
    return tokenizer(model or wordpiece(), **{
        "added_tokens": added(SPECIAL), "normalizer": BERT_NORMAL,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template(["[CLS]"], ["[SEP]"], WORDS),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}, **parts})


def byte_letters():
    """The printable character that stands for each byte in byte-level vocabularies."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(other)}}


def bpe(model=None, **parts):
    letters = byte_letters()
    used = sorted({letters[b] for b in "The weir, don't 12345 東ÅéÖ🌊\n\t".encode()})
    merges = [("Ġ", "w"), ("e", "i"), ("ei", "r"), ("Ġw", "eir"), ("T", "h"), ("Th", "e"), ("1", "2")]
    vocab = numbered(["<s>", "<pad>", "</s>", "<unk>", *used, *["".join(pair) for pair in merges]])
    for piece in "Ġ", "w", "e", "i", "r", "T", "h", "1", "2":
        vocab.setdefault(piece, len(vocab))
    vocab["<mask>"] = len(vocab)
    special = [dict(row, id=vocab[row["content"]]) for row in added(["<s>", "<pad>", "</s>", "<unk>"])]
    special += added(["<mask>"], vocab["<mask>"], lstrip=True)
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
             "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": False, "vocab": vocab, "merges": [" ".join(pair) for pair in merges],
             **(model or {})}
    bytes_of = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return tokenizer(model, **{
        "added_tokens": special, "pre_tokenizer": bytes_of, "decoder": bytes_of,
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", vocab["</s>"]],
                           "cls": ["<s>", vocab["<s>"]], "trim_offsets": True,
                           "add_prefix_space": False}, **parts})


def character_map(pairs):
    """The compiled map of a Unigram tokenizer: the bytes of a double array, in which a key is walked
    byte by byte, and the texts, each with a NUL, that its values point into."""
    texts, root = b"", {}
    for key, value in pairs.items():
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = len(texts)
        texts += value.encode() + b"\0"
    units, waiting = {0: 0}, [(0, root)]
    while waiting:
        place, node = waiting.pop()
        base = next(b for b in range(1, 1 << 20) if all(b ^ byte not in units for byte in node))
        units[place] |= (place ^ base) << 10 | (1 << 8 if 0 in node else 0)
        for byte, child in node.items():
            units[base ^ byte] = child | 1 << 31 if byte == 0 else byte
            if byte:
                waiting.append((base ^ byte, child))
    array = struct.pack(f"<{max(units) + 1}I", *(units.get(i, 0) for i in range(max(units) + 1)))
    return base64.b64encode(struct.pack("<I", len(array)) + array + texts).decode()


CHARACTERS = {"Å": "A\u030a", "ﬁ": "fi", "\u3000": " ", "\u0007": "", "Ⅷ": "VIII", "e\u0301": "é"}


def unigram(model=None, **parts):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁the", "▁weir", "w", "a", "ter", "▁1", "234", "é",
              "東", "京", ",", "'", "t", "VIII"]
    vocab = [[piece, -0.5 * i if i > 3 else 0.0] for i, piece in enumerate(pieces)]
    ids = numbered(pieces)
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    model = {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False,
             **(model or {})}
    return tokenizer(model, **{
        "added_tokens": added(pieces[:4]),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": character_map(CHARACTERS)},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        "post_processor": template(["<s>"], ["</s>"], ids), "decoder": space, **parts})


def plain(**parts):
    """As little as a tokenizer can be: what is mutated is then its parts."""
    vocab = {"[UNK]": 0, "a": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "weir": 5, "##s": 6, "1": 7, "東": 8}
    return tokenizer(wordpiece(vocab=vocab), **{
        "normalizer": BERT_NORMAL, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template([], [], {}), "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        **parts})


def words_of(file):
    """The same model behind the simplest parts: what is mutated is then the model."""
    return bert(file["model"], added_tokens=[], post_processor=template([], [], {}))


NORMALIZERS = [
    {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "Lowercase"},
    {"type": "StripAccents"}, {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "ä"}, {"type": "Nmt"},
    {"type": "Prepend", "prepend": "▁"}, {"type": "ByteLevel"}, {"type": "Sequence", "normalizers": []},
    {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(bytes(1028)).decode()},
    {"type": "Precompiled", "precompiled_charsmap": "not base 64"},
    {"type": "Precompiled", "precompiled_charsmap": ""},
    {**BERT_NORMAL, "strip_accents": True, "lowercase": False}, {"type": "Unknown"}, {}, 7,
]
PRETOKENIZERS = [
    {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"},
    {"type": "Digits", "individual_digits": True}, {"type": "Metaspace", "replacement": "▁",
                                                    "add_prefix_space": True},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    {"type": "Split", "pattern": {"Regex": "'s|'t| ?\\p{L}+|\\s+"}, "behavior": "Isolated",
     "invert": False},
    {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False},
    {"type": "CharDelimiterSplit", "delimiter": "-"}, {"type": "UnicodeScripts"},
    {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]},
]
POSTPROCESSORS = [
    {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    {"type": "BertProcessing", "sep": ["[SEP]", 99], "cls": ["[CLS]", -1]},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {"type": "Sequence", "processors": [template(["[CLS]"], [], WORDS)]},
    {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
    template(["[CLS]", "[MASK]"], ["[SEP]", "[SEP]"], WORDS),
]
REGEXES = [
    "\\s+(?!\\S)|\\s+", "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}", "(?i:'s|'t|'re)|[\\s\\w&&[^a]]", "^a|b$|\\z",
    "\\h\\d\\W\\D", "[[:alpha:]_-]+", "(a|(b))*?c++", "\\x{41}\\u0042[\\n-\\r]", "(", "[", "a{2", "\\", "\\p{Han}|\\P{Lu}",
]
DECODERS = [
    {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "ByteLevel"}, {"type": "CTC"},
    {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Replace", "pattern": {"String": "▁"},
                                               "content": " "},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "WordPiece", "prefix": "#",
                                                               "cleanup": False},
    {"type": "Sequence", "decoders": [{"type": "Fuse"}]},
]


def with_text(value, text="The weirs, don't 12345 東京 🌊"):
    file = value if isinstance(value, str) else compact(value)
    return file.encode("utf-8", "surrogateescape") + b"\0" + text.encode()


def tokenizer_seeds():
    yield "bert", with_text(bert())
    yield "bpe", with_text(bpe())
    yield "bpe-words", with_text(words_of(bpe()))
    yield "unigram", with_text(unigram())
    yield "unigram-words", with_text(words_of(unigram()))
    for what, values in {"normalizer": NORMALIZERS, "pre_tokenizer": PRETOKENIZERS,
                         "post_processor": POSTPROCESSORS, "decoder": DECODERS}.items():
        for number, value in enumerate(values):
            yield f"{what}-{number}", with_text(plain(**{what: value}))
    for number, value in enumerate(PRETOKENIZERS):
        yield f"bpe-pre_tokenizer-{number}", with_text(bpe(pre_tokenizer=value))
    flags = {"word": {"single_word": True}, "left": {"lstrip": True}, "right": {"rstrip": True},
             "normal": {"normalized": True, "content": "The Weir"}, "plain": {"special": False}}
    for name, more in flags.items():
        token = added(["weir"], 40, **{"content": "weirs", **more})
        yield f"added-{name}", with_text(bert(added_tokens=added(SPECIAL) + token))
    for name, more in {"id": {"id": 9}, "far": {"id": 1 << 20}, "minus": {"id": -1}, "empty": {"content": ""},
                       "unknown": {"x": 1}, "type": {"special": 1}}.items():
        yield f"added-wrong-{name}", with_text(bert(added_tokens=added(["new"], 40, **more)))
    for name, more in {
            "unknown": {"unk_token": "no"}, "twice": {"vocab": {"[UNK]": 0, "a": 0}}, "prefix":
            {"continuing_subword_prefix": ""}, "chars": {"max_input_chars_per_word": 1}, "list":
            {"vocab": []}, "fraction": {"vocab": {"[UNK]": 0.5}}, "gap": {"vocab": {"[UNK]": 900}},
            "type": {"type": "WordLevel"}, "field": {"more": 1}, "empty": {"vocab": {"[UNK]": 0, "": 1}},
    }.items():
        yield f"wordpiece-{name}", with_text(bert(model=wordpiece(**more)))
    untyped = wordpiece()
    del untyped["type"]
    yield "wordpiece-untyped", with_text(bert(model=untyped))
    for name, more in {
            "pairs": {"merges": [["w", "e"]]}, "unknown-merge": {"merges": ["q q"]}, "one": {"merges": ["q"]},
            "fallback": {"byte_fallback": True}, "dropout": {"dropout": 0.1}, "unk": {"unk_token": "<unk>",
                                                                                      "fuse_unk": True},
            "ignore": {"ignore_merges": True}, "suffix": {"end_of_word_suffix": "</w>"}}.items():
        yield f"bpe-{name}", with_text(bpe(model=more))
        yield f"bpe-{name}-words", with_text(words_of(bpe(model=more)))
    for name, more in {
            "none": {"unk_id": None}, "far": {"unk_id": 99}, "empty": {"vocab": []}, "score":
            {"vocab": [["a", "b"]], "unk_id": 0}, "inf": {"vocab": [["a", -1e308], ["b", 1e308]], "unk_id": 0},
            "fallback": {"byte_fallback": True, "unk_id": 0, "vocab":
                         [["<unk>", 0.0], *[[f"<0x{b:02X}>", 0.0] for b in range(0, 256, 3)]]}}.items():
        yield f"unigram-{name}", with_text(unigram(model=more))
        yield f"unigram-{name}-words", with_text(words_of(unigram(model=more)))
    for number, regex in enumerate(REGEXES):
        split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        replace = {"type": "Replace", "pattern": {"Regex": regex}, "content": "_"}
        yield f"regex-split-{number}", with_text(plain(pre_tokenizer=split))
        yield f"regex-replace-{number}", with_text(plain(normalizer=replace))
    yield "escapes", with_text(json.dumps(words_of(unigram()), indent=1))
    yield "escapes-bpe", with_text(json.dumps(bpe(), separators=(" ,\t", "\r\n: ")))
    for number, score in enumerate(("1e-3", "-0", "1E+2", "0.1e400", "-1.", "01", "+1", "1e", "NaN", "true")):
        text = compact(words_of(unigram())).replace('["<pad>",0.0]', f'["<pad>",{score}]')
        yield f"score-{number}", with_text(text)
    for number, piece in enumerate(("\\n\\/\\b", "\\ud83c\\udf0a", "\\ud83c", "\\u0000", "\\x", "\t")):
        yield f"escape-{number}", with_text(compact(words_of(unigram())).replace('"▁the"', f'"{piece}"'))
    yield "version", with_text({**bert(), "version": "2.0"})
    yield "no-model", with_text({"version": "1.0"})
    yield "empty", b""
    yield "deep", with_text(deep("[", "]", 900))
    yield "list", with_text([])
    yield "no-utf8", with_text("{\"version\":\"\udcff\"}")
    yield "bad-text", compact(bert()).encode() + b"\0weir \xff\xfe"
    yield "nul-text", compact(bert()).encode() + b"\0a\0b"


def vocab_seeds():
    text = "The weirs, don't 12345 東京 🌊".encode()
    lines = "\n".join(WORDS).encode()
    yield "uncased", b"\x01" + lines + b"\n\0" + text
    yield "cased", b"\x02" + lines + b"\0" + text
    for name, change in {
            "crlf": (b"\n", b"\r\n"), "spaces": (b"\n", " \u3000\n".encode()), "blank": (b"\n", b"\n\n"),
            "twice": (b"a\n", b"a\nweir\n[CLS]\n"), "without-unk": (b"[UNK]", b"<unk>"),
            "without-cls": (b"[CLS]", b"<s>"), "without-sep": (b"[SEP]", b"</s>"),
            "without-mask": (b"[MASK]", b"mask"), "without-pad": (b"[PAD]", b"pad"),
            "not-utf8": (b"##s", b"##\xff"), "cut-short": (b"weir", b"we\0ir")}.items():
        yield name, b"\x01" + lines.replace(*change) + b"\0" + text
    yield "names-alone", b"\x01[SEP]\n[CLS]\n[UNK]"
    yield "nothing", b""
    yield "no-line", b"\x01"
    yield "line-ends", b"\x01" + b"\n" * 900


# --- texts ---------------------------------------------------------------------------------------

TEXTS = [
    "", "a", " ", "weir", "The weirs, don't 12345!", "[CLS] [SEP] [MASK][PAD]", "<s> </s><mask> <unk>",
    "Der Müller schließt das Wehr; GRÖẞE", "L'été où étiez-vous ?", "ΠΡΟΣ ΌΛΟΥΣ ς", "İstanbul ılık",
    "Ёлка и ёж", "Đà Nẵng phở", "水は堰を越えて ｶﾀｶﾅ", "東京 大坝", "밤새 각 값 힣", "กำลังดี", "क्षत्रिय ज़", "জল",
    "தண்ணீர்", "السدّ ١٢٣", "שָׁלוֹם", "ᲬᲧᲐᲚᲘ წყალი", "ﬁ ﬂ Ⅷ ㎏ ½ ², ＡＢＣ", "e\u0301e\u0323\u0302 q\u0334\u0345\u0301",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea 1\ufe0f\u20e3", "\t\n\r\f\v\u0085\u2028",
    "nbsp\u00a0\u3000\u200b\ufeff\u00ad", "nul\0bell\a\x7f\x9f\ufffd\ue000", "\u202ertl\u202c", "x" * 120,
    "\u0301" * 40, "▁▁ ▁a", "\U0010ffff\ud7ff\U00010000", "a-b_c/d\\e\"f", "$5 €6 50%", "don’t we'll I'M",
]
BAD_TEXTS = [b"\xff", b"ab\x80", b"\xc3", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80",
             b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"12345678\xe2\x82", b"\xf0\x9f\x8c"]


def encode_seeds():
    for number, text in enumerate(TEXTS):
        for which in range(3):
            yield f"text-{number}-{which}", bytes([which]) + text.encode()
    for number, text in enumerate(BAD_TEXTS):
        yield f"bad-{number}", bytes([number % 3]) + text


# --- requests ------------------------------------------------------------------------------------

def http(line="GET /v1/models HTTP/1.1", *fields, host=True, body=b""):
    head = [line, *(["Host: localhost"] if host else []), *fields, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def http_seeds():
    post = "POST /v1/embeddings HTTP/1.1"
    chunked = http(post, "Transfer-Encoding: chunked")
    yield "get", http()
    yield "several", http() + http(post, "Content-Length: 2", body=b"{}") + b"\r\n" + http("HEAD /metrics HTTP/1.1")
    yield "http10", http("GET /?a=b&c HTTP/1.0", "Connection: keep-alive", host=False)
    yield "close", http("GET / HTTP/1.1", "Connection: close") + http()
    yield "upgrade", http("GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    yield "chunks", chunked + b"1;a=\"b\"\r\n{\r\n1A\r\n" + b" " * 25 + b"}\r\n0\r\nX: y\r\n\r\n" + http()
    yield "many-fields", http("GET / HTTP/1.1", *["X: y"] * 101)
    yield "long", http("GET /" + "x" * 1600 + " HTTP/1.1")
    yield "body-long", http(post, "Content-Length: 601")
    yield "body-full", http(post, "Content-Length: 600", body=b"x" * 600) + http()
    yield "fold", http("GET / HTTP/1.1", "X: y", " z")
    for number, line in enumerate((
            "OPTIONS * HTTP/1.1", "GET http://a:1/b?c HTTP/1.1", "GET http://a HTTP/1.1", "GET http://a?b HTTP/1.1",
            "GET http:///a HTTP/1.1", "GET https://a/b HTTP/1.1", "GET * HTTP/1.1", "GET a HTTP/1.1", "GET  / HTTP/1.1",
            "GET / HTTP/1.2", "GET /", "get / HTTP/1.1", "BREW / HTTP/1.1", "CONNECT a:1 HTTP/1.1", "GE(T / HTTP/1.1",
            "GET /\xff HTTP/1.1", "GET /\t HTTP/1.1", "GET /\0 HTTP/1.1", "DELETE /v1/models/a%2Fb HTTP/1.1",
            "PRI * HTTP/2.0", "", "\x16\x03\x01")):
        yield f"line-{number}", http(line)
    for number, field in enumerate((
            "Host: b", "Host:", "X : y", "X\t: y", ": y", "nothing", "X: \0", "X: \x7f", "X: \xfc", "X\xfc: y",
            "Expect: 100-continue", "Expect: more", "Content-Length: -1", "Content-Length: +1",
            "Content-Length: 1, 1", "Content-Length:", "Content-Length: 18446744073709551616",
            "Content-Length: 2\r\nContent-Length: 2", "Content-Length: 2\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: CHUNKED",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "X: a\rb", "X: a\nb: c")):
        yield f"field-{number}", http(post, field, body=b"{}")
    yield "no-host", http(host=False)
    yield "coding-of-http10", http("POST / HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    for number, chunks in enumerate((
            b"x\r\n", b"\r\n", b"-1\r\n", b"1 \r\n", b"1\nx", b"1\r\nxy\r\n", b"1\r\nx\n", b"1;\0", b"1\rx",
            b"fffffffffffffff\r\n", b"0000000000000001\r\n", b"259\r\n", b"0\r\n\n", b"0\r\nX: y\n", b"0\r\nX: y\rz",
            b"0\r\n\x01", b"1\r\nx\rz", b"1\r\nx\r\n" * 300, b"0\r\n" + b"X: y\r\n" * 300)):
        yield f"chunks-{number}", chunked + chunks
    for number, begin in enumerate((b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\r\r\n")):
        yield f"begin-{number}", begin + http()
    yield "lf", http().replace(b"\r\n", b"\n")
    yield "cut", http()[:-2]
    yield "nothing", b""


EMBED, TOKENIZE, DETOKENIZE, CHAT, DRAW, MIXED = range(6)


def bodies():
    """(name, route, value or text) of requests, right and wrong."""
    texts = ["x", ["x", "ü\n"], "", [], [""], ["x", 1], [1, 2], [[1, 2], [3]], [[]], [-1], [1.5], [2**31], 1, None,
             {"text": "x"}, ["x", [1], "y", [2, 3]], [[1], 1], ["x"] * 21, [[1]] * 21, [True], [None], [[1, "x"]]]
    for number, value in enumerate(texts):
        for route in (EMBED, TOKENIZE, MIXED):
            yield f"input-{number}-{route}", route, {"model": "m", "input": value}
        yield f"tokens-{number}", DETOKENIZE, {"model": "m", "tokens": value}
    for number, more in enumerate((
            {"model": None}, {"model": 1}, {"model": ""}, {"model": "a\0b"}, {"deadline_ms": 5}, {"deadline_ms": -1},
            {"deadline_ms": "x"}, {"deadline_ms": 1.5}, {"priority": "high"}, {"priority": "HIGHEST"}, {"priority": 1},
            {"keep_alive": 5}, {"keep_alive": 0}, {"keep_alive": -1}, {"keep_alive": 1e300}, {"keep_alive": "5m"},
            {"keep_alive": "-1m"}, {"keep_alive": "7"}, {"keep_alive": "x"}, {"keep_alive": []}, {"keep_alive": 1e-9},
            {"keep_alive": "5m\0"}, {"user": "u"}, {"user": 1}, {"unknown": {"a": []}},
            {"truncate": True}, {"truncate": 1}, {"dimensions": 5}, {"dimensions": 0}, {"prompt_name": "q"},
            {"prompt_name": ""}, {"prompt_name": "a\0"}, {"prompt_name": 1})):
        yield f"field-{number}", EMBED, {"model": "m", "input": "x", **more}
    user = {"role": "user", "content": "x"}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    contents = ["x", None, [], 1, [{"type": "text", "text": "x"}, image], [image] * 4, [{"type": "text"}],
                [{"type": "audio"}], ["x"]]
    for url in ("data:text/plain;base64,AA", "data:,x", "data:;base64,AA", "data:image/png;base64," + "A" * 2000,
                "http://a/b.png", "HTTPS://a", "file:///a%20b", "file://localhost/a", "file://b/a", "file:///%zz", "x",
                "data:image/png;base64,\0", 1):
        contents.append([{"type": "image_url", "image_url": url}])
        contents.append([{"type": "image", "image": {"path": url}}, {"type": "image", "url": url}])
    for number, content in enumerate(contents):
        yield f"content-{number}", CHAT, {"model": "m", "messages": [dict(user, content=content)]}
    for number, messages in enumerate((
            None, [], "x", [1], [{}], [dict(user, role="developer"), dict(user, role="assistant", content=None), user],
            [dict(user, role="x")], [dict(user, role="tool")], [dict(user, tool_calls=[{}])],
            [dict(user, tool_calls=[])])):
        yield f"messages-{number}", CHAT, {"model": "m", "messages": messages}
    for number, more in enumerate((
            {"stop": "a"}, {"stop": ["a", "b"]}, {"stop": ["a"] * 5}, {"stop": [""]}, {"stop": [1]}, {"stop": 1},
            {"stop": "a\0"}, {"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 0}, {"temperature": 2.5},
            {"temperature": 0.5, "top_p": 0, "top_k": 3, "seed": -1}, {"temperature": "x"}, {"stream": True},
            {"stream": True, "stream_options": {"include_usage": True}}, {"stream_options": 1}, {"logprobs": True},
            {"stream_options": {"include_usage": 1}}, {"tools": []}, {"tools": [{}]}, {"functions": 1}, {"n": 2},
            {"response_format": {"type": "text"}}, {"response_format": {"type": "json_object"}})):
        yield f"chat-{number}", CHAT, {"model": "m", "messages": [user], **more}
    for number, more in enumerate((
            {}, {"prompt": ""}, {"prompt": None}, {"prompt": 1}, {"negative_prompt": "y"}, {"n": 10}, {"n": 11},
            {"size": "64x128"}, {"size": "auto"}, {"size": "64"}, {"size": "65x64"}, {"size": "4096x64"},
            {"steps": 201}, {"steps": 2, "guidance": 7.5, "seed": 3}, {"guidance": -1}, {"response_format": "url"},
            {"output_format": "png", "response_format": "b64_json", "stream": True}, {"stream": 1})):
        yield f"draw-{number}", DRAW, {"model": "m", "prompt": "x", **more}
    for number, text in enumerate((
            "", "{", "[]", "1", '"x"', "{} x", '{"a":}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a":"\xff"}', '{"a":1e999}',
            '{"a":99999999999999999999}', '{"model":"a","model":"m","input":"x"}', '{"a":"\\""}', deep("[", "]", 900),
            deep("[", "]", 2100), "\ufeff{}", "nul", "{\0}")):
        yield f"text-{number}", EMBED, text


def json_seeds():
    for name, route, value in bodies():
        text = value if isinstance(value, str) else compact(value)
        yield name, bytes([route]) + text.encode("utf-8", "surrogateescape").replace(b"\xc3\xbf", b"\xff")


def ini_seeds():
    sections = ("[serve]\nthreads = 2\n", "[limits]\nqueue_jobs = 5\nhead-bytes = 1MiB\ndeadline_ms = 5s\n",
                "[model a/b:c]\npath = /x\nalias = y, z\nidle = 5\n")
    yield "all", ("\ufeff# comment\n; another\n\nmemory = 1GiB\nlisten = 127.0.0.1:0\nlisten=[::1]:0\n" +
                  "".join(sections)).encode()
    yield "crlf", "".join(sections).replace("\n", "\r\n").encode()
    yield "models", "".join(f"[model m{i}]\npath = /{i}\n" for i in range(20)).encode()
    yield "limits-many", ("[limits]\n" + "".join(f"l{i} = 1\n" for i in range(300))).encode()
    for number, line in enumerate((
            "x", "=", "x =", "= x", "x = \"y\" # z", "x = \"y", "x = \"y\" z", "x = \"\"", "x = # z", "x = y # z", "x = y#z",
            "  x\t=  y ", "[serve] # x", "[serve] x", "[serve", "[]", "[limit]", "[models]", "[model]", "[model a b]",
            "[model a]\n[model a]", "[limits]\na=1\na=2", "[limits]\na-b=1\na_b=2", "a\0b", "a\x01", "\x7f", "\xff", "ü = ü",
            "memory = 50%", "memory = 0", "memory = x", "threads = 0", "threads = x", "idle = 0.5", "idle = 1d", "idle = -1",
            "idle = 1\nidle-label = 2", "max_workers = 1\nmin_workers = 2", "log = json", "log = xml", "log-level = debug",
            "allow-image-urls = yes", "allow-image-urls = perhaps", "listen = x", "listen = x:99999", "nothing = 1",
            "[limits]\nqueue_jobs = 0", "[limits]\nhead_bytes = x", "[limits]\ndeadline_ms = -5", "[limits]\nqueue_job = 5",
            "limit = queue_jobs=5", "limit = x", "config = x", "print-config = yes", "threads = 1\nthreads = 2")):
        yield f"line-{number}", line.encode("utf-8").replace(b"\xc3\xbf", b"\xff") + b"\n"
    yield "no-line-end", b"x = y"
    yield "nothing", b""


# --- frames --------------------------------------------------------------------------------------

FRAMES = ("hello plan load loaded failed run part accepted output progress end cancel credit ping pong bye "
          "inspect inspected prepare prepared").split()
IN_BLOCK = 1
PLAN = (struct.pack("<I32s32s", 1, b"fake", b"digest") + struct.pack("<Q2Q5Q", *range(8)) +
        struct.pack("<4I", 512, 512, 8, 4))


def frame(name, body=b"", job=7, flags=0, version=1):
    return struct.pack("<BBHIQ", version, FRAMES.index(name), flags, len(body), job) + body


def part(payload, name="output"):
    return frame(name, struct.pack("<IB", len(payload), 0)) + frame("part", payload)


def counted(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data)) + data


def failure(code, text="", index=-1, retry=0):
    return struct.pack("<IIqqqi", code, 0, 1, 2, retry, index) + counted(text)


def wire_inputs(*inputs):
    return struct.pack("<I", len(inputs)) + b"".join(bytes([kind]) + counted(data) for kind, data in inputs)


def floats(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def generate(stops, messages, prompt=b"", temperature=1.0):
    return (struct.pack("<IffIBQ", 5, temperature, 0.5, 3, 1, 9) + struct.pack("<I", len(stops)) +
            b"".join(counted(stop) for stop in stops) + struct.pack("<I", len(messages)) +
            b"".join(bytes([role]) + wire_inputs(*parts) for role, parts in messages) + prompt)


def payload_seeds():
    yield "texts", struct.pack("<BI", 1, 8) + counted("query") + wire_inputs((0, "weir"), (1, b"\1\0\0\0"))
    yield "images", struct.pack("<I", 8) + wire_inputs((2, b"png"))
    yield "tokens", b"\1" + wire_inputs((0, "weir"), (1, b"\1\0\0\0\2\0\0\0"))
    yield "vectors", struct.pack("<III", 2, 2, 1) + struct.pack("<3I", 3, 4, 1) + floats(1, 0, 0, 1)
    yield "vectors-nan", struct.pack("<III", 1, 1, 0) + struct.pack("<I", 3) + floats(float("nan"))
    yield "vectors-descend", struct.pack("<III", 2, 1, 2) + struct.pack("<4I", 3, 4, 1, 0) + floats(1, 1)
    yield "vectors-beyond", struct.pack("<III", 0xffffffff, 0xffffffff, 0)
    yield "pieces", struct.pack("<Ii", 1, 5) + counted("we") + struct.pack("<I", 0)
    yield "pieces-beyond", struct.pack("<Ii", 0xffffffff, 5)
    yield "prompt", generate([], [], wire_inputs((0, "weir")))
    yield "messages", generate(["stop"], [(0, [(0, "a")]), (1, [(0, "b"), (0, "c")])])
    yield "describe", generate([], [(1, [(0, "what"), (2, b"png"), (2, b"gif")])])
    yield "hot", generate([], [], wire_inputs((0, "weir")), float("nan"))
    yield "stops", generate([""] * 20, [])
    yield "draw", (counted("weir") + b"\1" + counted("dam") + struct.pack("<4IfBQ", 1, 64, 64, 4, 1.5, 1, 9))
    yield "picture", struct.pack("<II", 64, 64) + counted("image/png") + counted(b"\x89PNG")
    yield "picture-type", struct.pack("<II", 64, 64) + counted("image/\n") + counted(b"\x89PNG")


def frames_seeds():
    end = struct.pack("<QQB", 3, 4, 1)
    bodies = {
        "hello": struct.pack("<I", 1) + counted("0123456789abcdef"), "plan": PLAN,
        "load": struct.pack("<5I", 512, 4, 2, 0, 1) + counted("/cache"), "failed": failure(3, "disk on fire"),
        "run": struct.pack("<BBIII", 0, 0, 64, 65536, 9), "output": struct.pack("<IB", 9, 1),
        "progress": struct.pack("<II", 1, 2), "end": failure(0) + end, "credit": struct.pack("<II", 1, 2),
        "ping": bytes(8), "pong": bytes(8), "inspect": counted("/models/a") + struct.pack("<I", 0),
        "inspected": failure(0) + PLAN, "prepare": counted("/m") + struct.pack("<II", 0, 1) + counted("/c"),
        "prepared": failure(0)}
    for name, body in bodies.items():
        yield f"{name}", frame(name, body)
        yield f"{name}-short", frame(name, body[:-1])
        yield f"{name}-long", frame(name, body + b"\0")
        yield f"{name}-ones", frame(name, b"\xff" * len(body))
    yield "all", b"".join(frame(name, bodies.get(name, b"")) for name in FRAMES)
    for name in ("loaded", "accepted", "cancel", "bye"):
        yield f"{name}", frame(name)
    yield "end-error", frame("end", failure(5, "no room for 3 inputs", 2, 1000) + end)
    for name, body in {"code": failure(999), "index": failure(3, "x", -2), "nul": failure(3, b"a\0b"),
                       "text": failure(3, "x" * 400), "retry": failure(3, "x", 0, -1)}.items():
        yield f"failed-{name}", frame("failed", body)
    yield "inspected-problem", frame("inspected", failure(3, "not a model"))
    for name, change in {"capabilities": (0, b"\0"), "name": (4, b"\0"), "name-end": (35, b"x"),
                         "slots": (len(PLAN) - 4, b"\0"), "dim": (len(PLAN) - 5, b"\xff")}.items():
        yield f"plan-{name}", frame("plan", PLAN[:change[0]] + change[1] + PLAN[change[0] + 1:])
    yield "path-nul", frame("inspect", counted(b"/a\0b") + bytes(4))
    yield "path-none", frame("inspect", counted("") + bytes(4))
    yield "load-cache", frame("load", struct.pack("<5I", 512, 4, 2, 0, 1) + counted(b"/c\0"))
    yield "load-precision", frame("load", struct.pack("<5I", 512, 4, 2, 9, 1) + counted(""))
    yield "hello-long", frame("hello", struct.pack("<I", 1) + counted("x" * 65))
    yield "version", frame("ping", bytes(8), version=2)
    yield "flags", frame("ping", bytes(8), flags=1)
    yield "type", struct.pack("<BBHIQ", 1, len(FRAMES), 0, 0, 7)
    yield "length", struct.pack("<BBHIQ", 1, 6, 0, 0xffffffff, 7)
    yield "cut-short", frame("ping", bytes(8))[:-1]
    yield "nothing", b""
    for name, block, count in (("first", 0, 65536), ("last", 63, 1), ("outside", 64, 1), ("long", 0, 65537),
                               ("none", 5, 0), ("far", 0xffffffff, 0xffffffff)):
        yield f"block-{name}", frame("part", struct.pack("<II", block, count), flags=IN_BLOCK) * 2
    yield "block-short", frame("part", bytes(7), flags=IN_BLOCK)
    yield "part-empty", frame("part")
    yield "part-flags", frame("part", bytes(8), flags=3)
    yield "lent", frame("accepted", job=0) + frame("accepted", job=7) + frame("accepted", job=1 << 40)
    for name, payload in payload_seeds():
        yield f"payload-{name}", part(payload)
        yield f"payload-{name}-halves", frame("part", payload[:9]) + frame("part", payload[9:])
        yield f"payload-{name}-short", part(payload[:-1])
        yield f"payload-{name}-long", part(payload + b"\0")


SEEDS = {"safetensors": safetensors_seeds, "config": config_seeds, "tokenizer": tokenizer_seeds,
         "vocab": vocab_seeds, "encode": encode_seeds, "frames": frames_seeds, "http": http_seeds,
         "json": json_seeds, "ini": ini_seeds}


def write_seeds(folder_path):
    for target, seeds in SEEDS.items():
        place = pathlib.Path(folder_path) / target
        place.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (place / name.replace("/", "-")).write_bytes(data)


def copy_small(source, target, bytes_max):
    target.mkdir()
    for path in source.iterdir() if source.is_dir() else []:
        if path.stat().st_size <= bytes_max:
            shutil.copy(path, target)
    return target


def merge(programs, found):
    total = 0
    with tempfile.TemporaryDirectory() as place:
        write_seeds(place)
        for target in SEEDS:
            base = pathlib.Path(place)
            fresh = base / f"{target}-merged"
            fresh.mkdir()
            sources = [base / target]
            if found:
                small = FOUND_BYTES_MAX[target]
                sources.append(copy_small(pathlib.Path(found) / target, base / f"{target}-found", small))
            subprocess.run([f"{programs}/fuzz-{target}", "-merge=1", "-max_len=4096", "-verbosity=0", fresh,
                            *sources], check=True, cwd=place)
            shutil.rmtree(CORPUS / target, ignore_errors=True)
            shutil.copytree(fresh, CORPUS / target)
            sizes = [path.stat().st_size for path in fresh.iterdir()]
            total += sum(sizes)
            print(f"{target}: {len(sizes)} files, {sum(sizes)} bytes")
    if total > CORPUS_BYTES_MAX:
        sys.exit(f"make_corpus: {total} bytes together are over the limit of {CORPUS_BYTES_MAX}")


def main(arguments):
    if arguments == ["tokenizers"]:
        for name, make in {"wordpiece": bert, "bpe": bpe, "unigram": unigram}.items():
            text = json.dumps(make(), ensure_ascii=False, indent=1)
            (ROOT / "fuzz" / "tokenizers" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    elif len(arguments) == 2 and arguments[0] == "seeds":
        write_seeds(arguments[1])
    elif len(arguments) in (2, 3) and arguments[0] == "merge":
        merge(pathlib.Path(arguments[1]).resolve(), arguments[2] if len(arguments) == 3 else None)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
