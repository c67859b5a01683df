"""Where a C file can be given a fault, found in its tokens. Nothing here knows what the code means;
what does not compile is sorted out by the compiler.

Left out are, by their form alone, changes that make no other program: more room in an array or an
allocation, < for <= where both branches are the operands, another size of a sign, two arguments
swapped of which the order does not matter."""
import re

TOKEN = re.compile(r"""
    (?P<comment>/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<number>\b\d[\w.]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>->|\+\+|--|<<=?|>>=?|[-+*/%&|^!=<>]=|&&|\|\||[^\s\w])
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

# Whose arguments are texts for people, or which only assert.
QUIET_CALLS = {"log_write", "event_emit", "snprintf", "vsnprintf", "weir_fail", "weir_wrap", "CHECK",
               "tell", "va_start", "va_end", "size_format", "sizeof", "static_assert",
               "_Static_assert", "str_print"}
# Functions that only put a text together.
QUIET_BODIES = {"tell"}
KEYWORDS = {"if", "while", "for", "switch", "return", "sizeof", "else", "do", "case"}
TURNED = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+",
          "+=": "-=", "-=": "+=", "++": "--", "--": "++"}
# Whose arguments may change places; of the second kind when the result is compared with 0.
SYMMETRIC_CALLS = {"add", "str_eq", "size_add", "size_mul", "mem_new"}
COMPARING_CALLS = {"memcmp", "strcmp"}
ALLOCATING_CALLS = {"mem_new", "mem_try"}
# Code that only the tests compile in.
CHECKED_BLOCK = re.compile(r"^#ifdef WEIR_CHECKED$.*?^#endif$", re.DOTALL | re.MULTILINE)
OPEN, CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
STOPS = {"&&", "||", ",", ";", "?", ":", "=", "return", "{", "}"}


class Mutant:
    """`text` from `start` to `end` of the file, in `function`, replaced by `new`."""

    def __init__(self, kind, file, function, source, start, end, new):
        self.kind, self.file, self.function = kind, file, function
        self.text = source[:start] + new + source[end:]
        self.line = source.count("\n", 0, start) + 1
        first = source.rfind("\n", 0, start) + 1
        last = source.find("\n", end)
        self.before = " ".join(source[first:last].split())
        self.after = " ".join((source[first:start] + new + source[end:last]).split())

    def change(self):
        return f"{self.before} => {self.after}"


class Tokens:
    def __init__(self, source):
        self.source = source
        self.all = [(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(source)
                    if m.lastgroup not in ("comment", "directive")]
        self.partner, stack = {}, []
        for i, (_, text, _, _) in enumerate(self.all):
            if text in OPEN:
                stack.append(i)
            elif text in CLOSE and stack:
                at = stack.pop()
                self.partner[at], self.partner[i] = i, at
        self.functions = []  # (first, last, name) of each body
        self.quiet = self.find_quiet()

    def text(self, i):
        return self.all[i][1] if 0 <= i < len(self.all) else ""

    def is_name(self, i):
        return 0 <= i < len(self.all) and self.all[i][0] == "name"

    def find_quiet(self):
        """Tokens inside of calls and functions that are left alone, and outside of any function."""
        checked = [m.span() for m in CHECKED_BLOCK.finditer(self.source)]
        quiet = {i for i, token in enumerate(self.all)
                 if any(start <= token[2] < end for start, end in checked)}
        for i in range(len(self.all)):
            if self.text(i) in QUIET_CALLS and self.text(i + 1) == "(":
                quiet.update(range(i, self.partner.get(i + 1, i) + 1))
            elif self.text(i) == "[" and is_declared(self, i):
                quiet.update(range(i, self.partner[i] + 1))
        at = 0
        while at < len(self.all):  # a body is a brace that follows a closed parameter list
            if self.text(at) == "{":
                head = at
                if self.text(at - 1) == ")":
                    head = self.partner[at - 1] - 1
                    self.functions.append((at, self.partner[at], self.text(head)))
                if self.text(at - 1) != ")" or self.text(head) in QUIET_BODIES:
                    quiet.update(range(at, self.partner[at] + 1))
                at = self.partner[at]
            else:
                quiet.add(at)
            at += 1
        return quiet

    def operand(self, i, step):
        """The last token of the operand of && or || at i, to one side."""
        at = i + step
        while 0 <= at < len(self.all):
            text = self.text(at)
            if text in STOPS or (text in CLOSE if step > 0 else text in OPEN):
                break
            if at in self.partner:
                at = self.partner[at]
            at += step
        return at - step

    def function_of(self, i):
        return next((name for first, last, name in self.functions if first <= i <= last), "")

    def words(self, first, last):
        return [self.text(i) for i in range(first, last + 1)]

    def span(self, first, last):
        return self.all[first][2], self.all[last][3]


def arguments(t, i):
    """(first, last) tokens of each argument of the call whose parenthesis is at i."""
    found, first, at, end = [], i + 1, i + 1, t.partner[i]
    while at <= end:
        if t.text(at) == "," or at == end:
            if at > first:
                found.append((first, at - 1))
            first = at + 1
        elif t.text(at) in OPEN:
            at = t.partner[at]
        at += 1
    return found


def is_binary(t, i):
    before = t.all[i - 1]
    return before[0] in ("name", "number") and before[1] not in KEYWORDS or before[1] in (")", "]")


def is_declared(t, i):
    """Whether the bracket at i is the size of an array in a declaration."""
    first = i
    while first > 0 and t.text(first - 1) not in (";", "{", "}"):
        first -= 1
    return t.is_name(first) and t.text(first) not in KEYWORDS | {"return"} \
        and (t.is_name(first + 1) or t.text(first + 1) == "*") and "=" not in t.words(first, i)


def is_choice(t, i):
    """Whether the comparison at i chooses one of its operands, or their difference or 0."""
    first, last = t.operand(i, -1), t.operand(i, 1)
    if t.text(last + 1) != "?":
        return False
    colon = t.operand(last + 1, 1) + 1
    left, right = t.words(first, i - 1), t.words(i + 1, last)
    branches = [t.words(last + 2, colon - 1), t.words(colon + 1, t.operand(colon, 1))]
    return t.text(colon) == ":" and (branches in ([left, right], [right, left])
                                     or branches == [left + ["-"] + right, ["0"]])


def is_room_or_sign(t, i):
    """Whether the number at i is within the size of an allocation, or the 1 or -1 of a choice."""
    if t.text(i) == "1" and (t.words(i - 2, i + 2) == ["?", "-", "1", ":", "1"]
                             or t.words(i - 4, i) == ["?", "-", "1", ":", "1"]
                             or t.words(i - 1, i + 3) == ["?", "1", ":", "-", "1"]
                             or t.words(i - 4, i) == ["?", "1", ":", "-", "1"]):
        return True
    return any(first < i < t.partner[first] and t.text(first - 1) in ALLOCATING_CALLS
               for first in range(max(i - 12, 1), i) if t.text(first) == "(")


def is_symmetric(t, i):
    after = t.partner[i + 1] + 1
    return t.text(i) in SYMMETRIC_CALLS or t.text(i) in COMPARING_CALLS \
        and t.text(after) in ("==", "!=") and t.text(after + 1) == "0"


def may_swap(left, right):
    """Most pairs are of two types; these may be of one."""
    return left != right and "s" not in (left, right) and '"' not in left + right \
        and left.startswith("&") == right.startswith("&") and "struct " not in left + right


def statement_call(t, i):
    """The last token of the statement that begins at i, when it is nothing but a call."""
    if t.text(i - 1) not in (";", "{", "}", ")", "else") or not t.is_name(i):
        return None
    if t.text(i) in KEYWORDS:
        return None
    at = i
    while t.is_name(at) and t.text(at + 1) in ("->", "."):
        at += 2
    if not t.is_name(at) or t.text(at + 1) != "(":
        return None
    end = t.partner[at + 1]
    return end + 1 if t.text(end + 1) == ";" else None


def find(file, source):
    t = Tokens(source)
    found = []

    def add(kind, first, last, new):
        start, end = t.span(first, last)
        found.append(Mutant(kind, file, t.function_of(first), source, start, end, new))

    def negate(first, last):
        start, end = t.span(first, last)
        add("negate", first, last, f"!({source[start:end]})")

    for i, (kind, text, _, _) in enumerate(t.all):
        if i in t.quiet:
            continue
        if text in ("if", "while") and t.text(i + 1) == "(":
            negate(i + 2, t.partner[i + 1] - 1)
        elif text in ("&&", "||"):
            for last, first in ((i - 1, t.operand(i, -1)), (t.operand(i, 1), i + 1)):
                negate(first, last)
        elif text in TURNED and (text in ("++", "--") or is_binary(t, i)):
            if text not in ("<", "<=", ">", ">=") or not is_choice(t, i):
                add("turn", i, i, TURNED[text])
        elif kind == "number" and re.fullmatch(r"\d+", text):
            if t.words(i - 1, i + 1) != ["{", "0", "}"] and not is_room_or_sign(t, i):
                add("off by one", i, i, str(int(text) + 1))
        elif text == "return" and t.text(i + 1) in ("true", "false"):
            add("return", i + 1, i + 1, "false" if t.text(i + 1) == "true" else "true")
        elif kind == "name":
            last = statement_call(t, i)
            if last is not None:
                add("drop", i, last, ";")
            if t.text(i + 1) == "(" and text not in KEYWORDS:
                args = arguments(t, i + 1)
                for (a, b), (c, d) in zip(args, args[1:]):
                    left, right = source[slice(*t.span(a, b))], source[slice(*t.span(c, d))]
                    between = source[t.all[b][3]:t.all[c][2]]
                    if may_swap(left, right) and not text.isupper() and not is_symmetric(t, i):
                        add("swap", a, d, right + between + left)
    return found
