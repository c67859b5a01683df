"""Real published vocabularies as tokenizer.json files.

The source package of llama-cpp-python carries vocabularies of published models in GGUF files. A
GGUF file has the pieces, scores and merges, but not how texts are normalised and cut: that is
public knowledge about each model and stands here, in the words of a tokenizer.json. Whether it is
the very file that the model's authors published does not matter to the comparison: weir and the
reference library load the same one.
"""

import base64
import struct

# What a value's type in a GGUF file says about its bytes.
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, LIST = 8, 9

# Kinds of token in a GGUF file.
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

SPACE = "\u2581"


def read_gguf(path):
    """The metadata of a GGUF file; texts are bytes."""
    data = path.read_bytes()
    if data[:4] != b"GGUF":
        raise ValueError(f"{path} is no GGUF file")

    def value(kind, at):
        if kind in SCALARS:
            return struct.unpack_from(SCALARS[kind], data, at)[0], at + struct.calcsize(SCALARS[kind])
        if kind == TEXT:
            (length,) = struct.unpack_from("<Q", data, at)
            return data[at + 8 : at + 8 + length], at + 8 + length
        if kind != LIST:
            raise ValueError(f"{path}: a value of kind {kind} at byte {at}")
        inner, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if inner in SCALARS:
            step = SCALARS[inner][1]
            size = struct.calcsize("<" + step)
            return list(struct.unpack_from(f"<{count}{step}", data, at)), at + count * size
        values = []
        for _ in range(count):
            item, at = value(inner, at)
            values.append(item)
        return values, at

    metadata, at = {}, 24
    (count,) = struct.unpack_from("<Q", data, 16)
    for _ in range(count):
        key, at = value(TEXT, at)
        (kind,) = struct.unpack_from("<I", data, at)
        metadata[key.decode()], at = value(kind, at + 4)
    return metadata


class Vocabulary:
    """What a GGUF file says about its tokens."""

    def __init__(self, path):
        self.all = read_gguf(path)
        self.pieces = [piece.decode() for piece in self.get("tokens")]
        self.kinds = self.get("token_type")
        self.merges = [merge.decode() for merge in self.get("merges", [])]
        self.scores = self.get("scores")

    def get(self, name, otherwise=None):
        return self.all.get("tokenizer.ggml." + name, otherwise)

    def named(self, name):
        """The piece that the metadata names by its id."""
        return self.pieces[self.get(name + "_token_id")]


def added(vocabulary, kinds=(CONTROL, USER, UNKNOWN), normalized=(), lstrip=()):
    """Tokens that are never cut, as `added_tokens`."""
    return [
        {"id": id, "content": piece, "single_word": False, "lstrip": piece in lstrip, "rstrip": False,
         "normalized": piece in normalized, "special": vocabulary.kinds[id] != USER}
        for id, piece in enumerate(vocabulary.pieces)
        if vocabulary.kinds[id] in kinds
    ]


def document(model, added_tokens, normalizer, pre_tokenizer, post_processor, decoder):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
            "decoder": decoder, "model": model}


def sequence(kind, *parts):
    lists = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders",
             "post_processor": "processors"}
    return {"type": "Sequence", lists[kind]: list(parts)}


def template(ids, before=(), behind=()):
    """`ids` is of piece to id; the text comes between the pieces before and behind."""

    def special(piece):
        return {"SpecialToken": {"id": piece, "type_id": 0}}

    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    single = [special(p) for p in before] + text + [special(p) for p in behind]
    return {"type": "TemplateProcessing", "single": single,
            "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {p: {"id": p, "ids": [ids[p]], "tokens": [p]} for p in (*before, *behind)}}


def wordpiece(v):
    """BERT. The GGUF file has words marked and their inner pieces not; BERT has it the other way."""
    pieces = [
        piece if piece.startswith("[") and piece.endswith("]")
        else piece[1:] if piece.startswith(SPACE) else "##" + piece
        for piece in v.pieces
    ]
    ids = {piece: id for id, piece in enumerate(pieces)}
    v.pieces = pieces
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100, "vocab": ids}
    return document(
        model, added(v),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
         "lowercase": True},
        {"type": "BertPreTokenizer"}, template(ids, ["[CLS]"], ["[SEP]"]),
        {"type": "WordPiece", "prefix": "##", "cleanup": True})


def unigram(v):
    """XLM-RoBERTa and its kin: SentencePiece Unigram with its compiled map of characters."""
    charsmap = bytes(byte & 0xFF for byte in v.get("precompiled_charsmap"))
    ids = {piece: id for id, piece in enumerate(v.pieces)}
    model = {"type": "Unigram", "unk_id": v.get("unknown_token_id"), "byte_fallback": False,
             "vocab": [[piece, score] for piece, score in zip(v.pieces, v.scores)]}
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    mask = v.named("mask")
    tokens = added(v, (CONTROL, UNKNOWN), lstrip=(mask,))
    if mask not in [token["content"] for token in tokens]:
        tokens.append({"id": ids[mask], "content": mask, "single_word": False, "lstrip": True, "rstrip": False,
                       "normalized": False, "special": True})
    return document(
        model, tokens,
        sequence("normalizer",
                 {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()},
                 {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}),
        sequence("pre_tokenizer", {"type": "WhitespaceSplit"}, metaspace),
        template(ids, [v.named("bos")], [v.named("eos")]), metaspace)


def scored_merges(v):
    """SentencePiece BPE has scores, no merges: of all ways to make a piece of two others, those of
    the better piece come first; of one piece's, those whose parts are better."""
    ids = {piece: id for id, piece in enumerate(v.pieces) if v.kinds[id] == NORMAL}
    merges = []
    for id, piece in sorted(((id, piece) for piece, id in ids.items()), key=lambda p: (-v.scores[p[0]], p[0])):
        pairs = [(piece[:n], piece[n:]) for n in range(1, len(piece))]
        pairs = [pair for pair in pairs if pair[0] in ids and pair[1] in ids]
        merges += sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    return merges


def sentencepiece_bpe(v, pairs=False):
    """Llama 2 and its kin: the whole text is one word, spaces are letters."""
    merges = scored_merges(v)
    ids = {piece: id for id, piece in enumerate(v.pieces)}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
             "ignore_merges": False, "vocab": ids,
             "merges": merges if pairs else [" ".join(pair) for pair in merges]}
    return document(
        model, added(v),
        sequence("normalizer", {"type": "Prepend", "prepend": SPACE},
                 {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}),
        None, template(ids, [v.named("bos")]),
        sequence("decoder", {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                 {"type": "ByteFallback"}, {"type": "Fuse"},
                 {"type": "Strip", "content": " ", "start": 1, "stop": 0}))


def gemma(v):
    """Spaces are letters, words end before them, and merges may hold spaces' kin of any length."""
    ids = {piece: id for id, piece in enumerate(v.pieces)}
    # A merge is two pieces with a space between them, and pieces hold no spaces.
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
             "ignore_merges": False, "vocab": ids, "merges": [merge.split(" ") for merge in v.merges]}
    return document(
        model, added(v), {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        template(ids, [v.named("bos")]),
        sequence("decoder", {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                 {"type": "ByteFallback"}, {"type": "Fuse"}))


CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN35 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(add_prefix_space=False, use_regex=True, trim_offsets=True):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets,
            "use_regex": use_regex}


def split(pattern, behavior="Isolated"):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


def by_pattern(pattern):
    return sequence("pre_tokenizer", split(pattern), byte_level(use_regex=False))


DIGITS = sequence("pre_tokenizer", {"type": "Digits", "individual_digits": True}, byte_level())
NFC = {"type": "NFC"}


def byte_bpe(pre_tokenizer=None, normalizer=None, ignore_merges=False, pairs=False, bos=False):
    """GPT-2 and its kin: a text's bytes are letters."""

    def make(v):
        ids = {piece: id for id, piece in enumerate(v.pieces)}
        model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                 "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                 "ignore_merges": ignore_merges, "vocab": ids,
                 "merges": [merge.split(" ") for merge in v.merges] if pairs else v.merges}
        post = byte_level(add_prefix_space=True)
        if bos:
            post = sequence("post_processor", post, template(ids, [v.named("bos")]))
        return document(model, added(v), normalizer, pre_tokenizer or byte_level(), post,
                        byte_level(add_prefix_space=True))

    return make


def roberta(v):
    """GPT-2's pieces between RoBERTa's special tokens."""
    made = byte_bpe(byte_level(add_prefix_space=False))(v)
    size = len(v.pieces)
    for id, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), size):
        made["added_tokens"].append({"id": id, "content": piece, "single_word": False,
                                     "lstrip": piece == "<mask>", "rstrip": False,
                                     "normalized": piece != "<mask>", "special": True})
    made["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", size + 2], "cls": ["<s>", size],
                              "trim_offsets": True, "add_prefix_space": False}
    return made


# The name in the package's file, what it becomes, and how.
PUBLISHED = {
    "bert-bge": ("bert-bge", wordpiece),
    "xlm-roberta": ("nomic-bert-moe", unigram),
    "roberta": ("gpt-2", roberta),
    "gpt-2": ("gpt-2", byte_bpe()),
    "gpt-neox": ("gpt-neox", byte_bpe(normalizer=NFC)),
    "mpt": ("mpt", byte_bpe(normalizer=NFC, pairs=True)),
    "qwen2": ("qwen2", byte_bpe(by_pattern(QWEN2), NFC)),
    "qwen35": ("qwen35", byte_bpe(by_pattern(QWEN35), NFC, pairs=True)),
    "llama-3": ("llama-bpe", byte_bpe(by_pattern(LLAMA3), ignore_merges=True, bos=True)),
    "starcoder": ("starcoder", byte_bpe(DIGITS)),
    "refact": ("refact", byte_bpe(DIGITS)),
    "command-r": ("command-r", byte_bpe(DIGITS, NFC, bos=True)),
    "llama-2": ("llama-spm", sentencepiece_bpe),
    "phi-3": ("phi-3", lambda v: sentencepiece_bpe(v, pairs=True)),
    "gemma": ("gemma-4", gemma),
}


def make(name, folder):
    """The tokenizer.json, as a value, from the GGUF files in the folder."""
    file, maker = PUBLISHED[name]
    return maker(Vocabulary(folder / f"ggml-vocab-{file}.gguf"))
