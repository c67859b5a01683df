"""5,000 distinct texts that tokenizers find hard, the same ones wherever this runs.

Made from ranges of Unicode and words of ours by a generator of our own: that of Python may change
with its version, and so may what it knows about Unicode. A text is bytes; 500 of them are others
with some bytes changed, of which most are not UTF-8 any more.
"""

SEED = 20250217
TEXTS = 5000
MUTATED = 500

# The letters and marks of a script, as ranges; what else its texts are written with; and whether it
# has spaces between its words.
SCRIPTS = {
    "latin": ([(0x61, 0x7A), (0x61, 0x7A), (0x41, 0x5A), (0xC0, 0x17F)], " ,.;:!?'\"()-", True),
    "vietnamese": ([(0x61, 0x7A), (0x1EA0, 0x1EF9)], " ,.?", True),
    "greek": ([(0x391, 0x3CE), (0x1F00, 0x1FFC)], " ,.;\u0387", True),
    "cyrillic": ([(0x410, 0x44F), (0x400, 0x4FF)], " ,.!?\u00ab\u00bb\u2014", True),
    "armenian": ([(0x531, 0x556), (0x561, 0x587)], " ,\u0589\u055e", True),
    "georgian": ([(0x10D0, 0x10FA), (0x1C90, 0x1CBA)], " ,.?", True),
    "hebrew": ([(0x5D0, 0x5EA), (0x5D0, 0x5EA), (0x5B0, 0x5C7)], " ,.?\u05be\u05f3\u05f4", True),
    "arabic": ([(0x620, 0x64A), (0x620, 0x64A), (0x64B, 0x669), (0x671, 0x6D3)], " \u060c\u061b\u061f.", True),
    "syriac": ([(0x710, 0x74A)], " .\u0700", True),
    "devanagari": ([(0x904, 0x94D), (0x958, 0x96F)], " \u0964,?", True),
    "bengali": ([(0x985, 0x9B9), (0x9BC, 0x9CD), (0x9E6, 0x9EF)], " \u0964,?", True),
    "gurmukhi": ([(0xA05, 0xA39), (0xA3C, 0xA4D)], " \u0964", True),
    "tamil": ([(0xB85, 0xBB9), (0xBBE, 0xBCD)], " ,.", True),
    "telugu": ([(0xC05, 0xC39), (0xC3E, 0xC4D)], " ,.", True),
    "thai": ([(0xE01, 0xE3A), (0xE40, 0xE59)], " ", False),
    "lao": ([(0xE81, 0xEB9), (0xEC0, 0xEC4)], " ", False),
    "tibetan": ([(0xF40, 0xF6C), (0xF71, 0xF84)], "\u0f0b\u0f0d ", False),
    "burmese": ([(0x1000, 0x103F)], " \u104a\u104b", False),
    "ethiopic": ([(0x1200, 0x137C)], " \u1361\u1362", True),
    "cherokee": ([(0x13A0, 0x13F4), (0xAB70, 0xABBF)], " .", True),
    "khmer": ([(0x1780, 0x17D3)], " \u17d4", False),
    "mongolian": ([(0x1820, 0x1877)], " \u1802\u180e", True),
    "japanese": ([(0x3041, 0x3096), (0x30A1, 0x30FC), (0x4E00, 0x9FFF), (0xFF66, 0xFF9F)], "\u3001\u3002\u3000", False),
    "chinese": ([(0x4E00, 0x9FFF), (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF)], "\uff0c\u3002\uff01", False),
    "korean": ([(0xAC00, 0xD7A3), (0xAC00, 0xD7A3), (0x1100, 0x11FF)], " .,", True),
    "gothic": ([(0x10330, 0x1034A)], " ", True),
    "symbols": ([(0x2190, 0x23FF), (0x2500, 0x27BF), (0x1D400, 0x1D7FF), (0x20A0, 0x20BF)], " ", True),
    "private": ([(0xE000, 0xE0FF), (0xFFF0, 0xFFFD), (0xE0001, 0xE007F), (0x10FFF0, 0x10FFFF)], " a", True),
}

WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or one had
an they which you were all her she there would their we him been has when who will no more if out so said what up
its about into than them can only other time new some could these two may first then do any like my now over such
our man me even most made after also did many before must through years where much your way well down should
because each just those people how too little state good very make world still see own work long get here between
both life being under never day same another know while last might us great old year off come since against go
came right used take three States house use water weir miller river gate pond mill stream flow level rise fall
flood dam lock sluice bank bridge tokenization unbelievable antidisestablishmentarianism preprocessing internationalization
embeddings vectors quantization Straße naïve café façade coöperate résumé jalapeño über smörgåsbord Zürich don't can't
I'm you're they've he's she'd we'll o'clock rock'n'roll it's O'Brien D'Artagnan 'tis y'all shouldn't've U.S.A. e.g. i.e.
Mr. Dr. PhD iPhone eBay McDonald HTTP JSON UTF-8 x86-64 C++ C# F# .NET node.js README.md""".split()

CODE = """int main(void)\\n{\\n    return 0;\\n}|#include <stdio.h>|for (size_t i = 0; i < n; i++)|def f(x, *a, **k):
    return x ** 2|if a != b and not c:|x = y[1:-1] + {'k': "v"}|// TODO: nothing|/* a\\tb */|SELECT * FROM t WHERE a >= 1;
|<div class="a" id='b'>&amp;</div>|\\\\begin{equation} \\\\frac{a}{b} \\\\end{equation}|$ curl -sSf https://example.org/a?b=c&d=%20#e
|std::vector<std::pair<int, int>> v{{1, 2}};|let mut s: &'static str = "a";|@decorator(name="x")|0xDEADBEEF|1e-9f|a->b.c()
|git commit -m "fix: a"|C:\\\\Users\\\\me\\\\file.txt|/usr/local/lib/|name@example.org|key: [1, 2.5, null]|===|!==|<=>|&&||""".replace("\\n", "\n").replace("\\t", "\t").split("|")

SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[cls]", "[ MASK ]", "[MASK", "MASK]", "[[CLS]]", "<s>", "</s>",
           "<unk>", "<pad>", "<mask>", " <mask>", "<s", "s>", "<S>", "<|endoftext|>", "<|endoftext|", "|endoftext|>",
           "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<bos>", "<eos>", "<start_of_turn>",
           "<0x0A>", "<0xE2>", "<0x", "\u2581", "\u2581\u2581", "\u2581a", "\u0120", "\u0120the", "\u010a", "##", "##s", "##ing",
           "</w>", "the</w>", "[unused0]", "[unused1]", "<extra_id_0>", "<fim_prefix>", "<|user|>", "<PAD>", "<UNK>"]

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", "\v", "\f", "\x85", "\u00a0", "\u1680", "\u2000", "\u2003", "\u2009",
          "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u180e",
          "\u00ad", "          ", " \n ", "\t\t"]

EMOJI = ["\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea",
         "\U0001f1fa", "\u2764\ufe0f", "\u2764", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "1\ufe0f\u20e3",
         "\U0001f9d1\U0001f3ff\u200d\U0001f680", "\U0001f600\U0001f600\U0001f600", "\u263a\ufe0e", "\U0001faf6", "\U0001f979", "\u200d",
         "\ufe0f", "\U0001f3fb", "\u2603", "\U0001f9ff"]

CONTROLS = [chr(c) for c in range(0x20)] + ["\x7f", "\x80", "\x9f", "\u200e", "\u202a", "\u202e", "\u2066", "\ufff9", "\ufffd", "\ufffe",
                                              "\U0001d173", "\U000e0001", "\u0600", "\u06dd", "\u070f"]

MARKS = [(0x300, 0x36F), (0x483, 0x487), (0x591, 0x5BD), (0x64B, 0x65F), (0x1AB0, 0x1ABE), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0),
         (0x302A, 0x302F), (0x3099, 0x309A), (0xFE20, 0xFE2F)]

FORMS = [(0xFB00, 0xFB06), (0xFF01, 0xFF5E), (0x2100, 0x214F), (0x2150, 0x218B), (0x2460, 0x24FF), (0x3200, 0x33FF), (0xF900, 0xFA6D),
         (0xFB50, 0xFDFB), (0xFE70, 0xFEFC), (0x2070, 0x209C), (0xA8, 0xBE), (0x1C4, 0x1F3), (0x1E00, 0x1E9B), (0x2F00, 0x2FD5)]


class Dice:
    """A stream of numbers that only depends on its seed (SplitMix64)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        return (z ^ (z >> 31)) % limit

    def between(self, least, most):
        return least + self.below(most - least + 1)

    def pick(self, items):
        return items[self.below(len(items))]

    def letter(self, ranges):
        return chr(self.between(*self.pick(ranges)))


def written(d, script):
    ranges, between, has_words = SCRIPTS[script]
    parts = []
    for _ in range(d.between(1, 24)):
        parts.append("".join(d.letter(ranges) for _ in range(d.between(1, 9))))
        if has_words or d.below(3) == 0:
            parts.append(between[0] if d.below(4) else d.pick(between) + " " * d.below(2))
    return "".join(parts)


def sentence(d):
    words = [d.pick(WORDS) for _ in range(d.between(1, 40))]
    if d.below(3) == 0:
        words = [word.upper() if d.below(3) == 0 else word for word in words]
    return " ".join(words) + d.pick(["", ".", "!", "?", "...", " "])


def number(d):
    digits = "".join(str(d.below(10)) for _ in range(d.between(1, 18)))
    return d.pick([digits, "-" + digits, digits[:3] + "." + digits[3:], "1,234,567." + digits, digits + "%", "$" + digits,
                   "0x" + digits, digits + "e-5", "2024-01-" + digits[:2], digits[:2] + ":" + digits[2:4], digits + "km",
                   "".join(chr(0x660 + int(c)) for c in digits), "".join(chr(0x966 + int(c)) for c in digits),
                   "".join(chr(0xFF10 + int(c)) for c in digits), "\u00bd" + digits, digits + "\u00b2", "\u2167" + digits[:1]])


def long_word(d):
    unit = d.pick(["a", "ab", "abc", "=", "-", "_", " ", "\n", "\u2581", "\u65e5", "\u0627", "e\u0301", "\U0001f600", "0", "xyzzy", "\u0e01\u0e33",
                   "Ab", "'s", "##", "\u0915\u094d", "\x00", "\ufb01"])
    text = unit * d.between(1, 400)
    if d.below(2):
        text = "".join(chr(0x61 + d.below(26)) for _ in range(d.between(90, 600)))
    return text + d.pick(["", " end", "."])


def joined(d, items, least=1, most=12):
    """Some of the items, with and without words and spaces between them."""
    parts = []
    for _ in range(d.between(least, most)):
        parts.append(d.pick(items))
        if d.below(2):
            parts.append(d.pick(["", " ", d.pick(WORDS), d.pick(WORDS) + " "]))
    return "".join(parts)


def marked(d):
    """Letters with piles of marks on them, in and out of order, and letters of other forms."""
    parts = []
    for _ in range(d.between(1, 30)):
        parts.append(d.pick(["a", "e", "o", "n", "\u0439", "\u304b", " ", "\u1100\u1161\u11a8", "\u0915", d.letter(FORMS), d.letter(FORMS)]))
        parts += [d.letter(MARKS) for _ in range(d.below(4))]
    return "".join(parts)


def anything(d):
    """Code points of any kind, assigned or not."""
    parts = []
    for _ in range(d.between(1, 60)):
        c = d.pick([d.below(0x110000), d.below(0x10000), d.below(0x3000), d.below(0x800)])
        parts.append("" if 0xD800 <= c < 0xE000 else chr(c))
    return "".join(parts)


def mixed(d):
    names = list(SCRIPTS)
    return "".join(d.pick([written(d, d.pick(names))[:20], d.pick(WORDS), " ", d.pick(EMOJI), d.pick(SPACES), number(d)])
                   for _ in range(d.between(2, 12)))


KINDS = [
    (600, sentence),
    (150, number),
    (100, long_word),
    (200, lambda d: joined(d, CODE)),
    (200, lambda d: joined(d, EMOJI)),
    (200, lambda d: joined(d, SPACES, 1, 20)),
    (150, lambda d: joined(d, CONTROLS)),
    (250, lambda d: joined(d, SPECIAL)),
    (250, marked),
    (200, anything),
    (400, mixed),
]


def mutate(d, text):
    """Changes one to four bytes: another value, one less, one more, or a bit."""
    data = bytearray(text)
    for _ in range(d.between(1, 4)):
        at = d.below(len(data) + 1)
        kind = d.below(4)
        if kind == 0 or not data or at == len(data):
            data.insert(at, d.below(256))
        elif kind == 1:
            data[at] = d.below(256)
        elif kind == 2:
            del data[at]
        else:
            data[at] ^= 1 << d.below(8)
    return bytes(data)


def make(count=TEXTS, seed=SEED):
    """All texts, in an order that depends on nothing else. The first is empty."""
    d = Dice(seed)
    seen = {b"": None}

    def add(how, number):
        before = len(seen)
        while len(seen) < before + number:
            seen.setdefault(how(), None)

    for number, kind in KINDS:
        add(lambda: kind(d).encode(), number * count // TEXTS)
    valid = count - MUTATED
    names = list(SCRIPTS)
    while len(seen) < valid:
        seen.setdefault(written(d, names[len(seen) % len(names)]).encode(), None)
    originals = list(seen)
    add(lambda: mutate(d, d.pick(originals)), MUTATED)
    return list(seen)
