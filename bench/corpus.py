"""corpus MODEL OUT: the texts that `bench embed` gives to everybody, as JSON with their token ids.

Real text, ours and the licences of the system, cut at words into pieces whose lengths in tokens of the
model, special tokens counted, are evenly spread on a logarithmic scale; always the same from the same files.
"""
import glob
import json
import os
import random
import sys

from tokenizers import Tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXTS, SHORTEST, LONGEST = 320, 8, 256
SHORT_TOKENS = 16  # of the one text whose latency is measured


def words():
    found = []
    licences = [path for path in glob.glob("/usr/share/common-licenses/*") if not os.path.islink(path)]
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))) + sorted(licences):
        with open(path, encoding="utf-8", errors="ignore") as file:
            found += file.read().split()
    return found


def piece(tokenizer, stock, begin, tokens):
    """The longest run of words from `begin` on that has at most so many tokens."""
    count = 1
    best = None
    while begin + count < len(stock):
        text = " ".join(stock[begin:begin + count])
        ids = tokenizer.encode(text).ids
        if len(ids) > tokens:
            break
        best = text, ids
        count += 1 if tokens - len(ids) < 16 else (tokens - len(ids)) // 8
    return best


def main():
    model, out = sys.argv[1:]
    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    stock = words()
    dice = random.Random(5)
    lengths = [round(SHORTEST * (LONGEST / SHORTEST) ** (i / (TEXTS - 1))) for i in range(TEXTS)]
    dice.shuffle(lengths)
    texts, ids = [], []
    while len(texts) <= TEXTS:
        # Last the short text: of exactly its length, which takes a few throws.
        wanted = lengths[len(texts)] if len(texts) < TEXTS else SHORT_TOKENS
        found = piece(tokenizer, stock, dice.randrange(len(stock) - LONGEST), wanted)
        if found and len(found[1]) >= (SHORTEST if len(texts) < TEXTS else SHORT_TOKENS):
            texts.append(found[0])
            ids.append(found[1])
    with open(out, "w") as file:
        json.dump({"texts": texts[:TEXTS], "ids": ids[:TEXTS], "short": texts[TEXTS],
                   "short_ids": ids[TEXTS]}, file)


if __name__ == "__main__":
    main()
