"""What the program says of itself: the reference, the manual page, completion for shells."""

import os
import pty
import re
import select
import subprocess
import time

import pytest
from harness import BIN, SLOW, clean_environment

FAKE = "fake:text_embedding?dim=8"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run([os.path.join(BIN, "weir"), "help", "--format", "markdown"],
                          env=clean_environment(folder), capture_output=True, text=True, timeout=20 * SLOW)
    assert done.returncode == 0, done
    return done.stdout


def rows(reference, heading):
    """The cells of the rows of the first table with that heading."""
    table = reference[reference.index(f"\n| {heading}"):].lstrip("\n").split("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table[2:]]


def test_every_form_is_written(weir, reference):
    assert reference.startswith("# Reference\n")
    man = weir("help", "--format", "man").stdout
    assert ".TH WEIR 1" in man and ".SS weir embed" in man and man.isascii()
    known = {".TH", ".nh", ".ad", ".SH", ".SS", ".PP", ".TP", ".B", ".I", '.\\"'}
    assert {line.split()[0] for line in man.splitlines() if line[:1] in (".", "'")} <= known
    assert weir("help", "--format", "zsh").stdout.startswith("#compdef weir\n")
    misused = weir("help", "--format", "man", "embed")
    assert misused.returncode == 2 and "embed" in misused.stderr
    unknown = weir("help", "serv")
    assert unknown.returncode == 2 and "'serve'?" in unknown.stderr


def test_groff_finds_nothing_wrong_with_the_manual_page(weir):
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=weir("help", "--format", "man").stdout,
                          capture_output=True, text=True, timeout=20 * SLOW)
    assert done.returncode == 0 and done.stderr == "", done


def test_zsh_can_read_its_completion(weir, tmp_path):
    file = tmp_path / "_weir"
    file.write_text(weir("help", "--format", "zsh").stdout)
    done = subprocess.run(["zsh", "-n", file], capture_output=True, text=True, timeout=20 * SLOW)
    assert done.returncode == 0 and done.stderr == "", done


def test_the_reference_names_all_that_help_does(weir, reference):
    for verb in re.findall(r"^  ([a-z]+) ", weir("help").stdout, re.M):
        assert f"\n### weir {verb}\n" in reference
        for flag in re.findall(r"^  (--[a-z-]+)", weir("help", verb).stdout, re.M):
            assert f"| `{flag}`" in reference, (verb, flag)


def test_metrics_and_routes_are_those_of_a_server(serve, reference):
    server = serve({"m": FAKE})
    server.vector("x")
    text = server.get("/metrics").body.decode()
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
    assert [tuple(row[:2]) for row in rows(reference, "family")] == families
    for method, path, _ in rows(reference, "method"):
        options = server.request("OPTIONS", path + ("x" if path.endswith("/") else ""))
        assert method in options.headers["allow"].split(", "), (path, options)


def test_every_field_is_known_to_the_server(serve, reference):
    """A value of the wrong type is refused by the name of its field."""
    server = serve({"m": FAKE, "t": "fake:text_to_text", "d": "fake:text_to_image"})
    whole = {
        "/v1/embeddings": {"model": "m", "input": "x"},
        "/embed": {"model": "m", "inputs": "x"},
        "/weir/v1/tokenize": {"model": "m", "input": "x"},
        "/weir/v1/detokenize": {"model": "m", "tokens": [1]},
        "/v1/chat/completions": {"model": "t", "messages": [{"role": "user", "content": "x"}]},
        "/v1/images/generations": {"model": "d", "prompt": "x", "size": "16x16"},
    }
    fields = rows(reference, "path | field")
    assert {row[0] for row in fields} <= {"all", *whole}
    for path, name, value, _ in fields:
        for route in whole if path == "all" else [path]:
            wrong = 7 if value == "object" else {}
            answer = server.post(route, {**whole[route], name: wrong})
            assert answer.status == 400, (route, name, answer)
            if route == "/embed":  # whose errors have no member for it
                assert f"'{name}'" in answer.json["error"], (name, answer)
            else:
                assert answer.error["param"] == name, (route, name, answer)


# --- completion for bash -------------------------------------------------------------------------

class Bash:
    """Offers of the completion for a line, words split as bash splits them."""

    def __init__(self, weir, folder, **environment):
        self.file = folder / "completion.bash"
        self.file.write_text(weir("help", "--format", "bash").stdout)
        self.environment = clean_environment(folder, **environment)
        self.environment["PATH"] = BIN + os.pathsep + os.environ["PATH"]
        self.folder = folder

    def offers(self, line):
        words = [word for word in re.findall(r"[=:]+|[^\s=:]+", line)]
        if line[-1].isspace():
            words.append("")
        script = ('source "$1"; shift; COMP_LINE=$1; COMP_POINT=${#1}; shift; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _weir; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "bash", self.file, line, *words], cwd=self.folder,
                              env=self.environment, capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 0 and done.stderr == "", done
        return [word for word in done.stdout.splitlines() if word]


def test_bash_completes_verbs_flags_and_choices(weir, tmp_path):
    bash = Bash(weir, tmp_path, WEIR_HOST="http://127.0.0.1:1")
    (tmp_path / "some.conf").write_text("")
    assert bash.offers("weir em") == ["embed"]
    assert {"serve", "ls", "show", "--version"} <= set(bash.offers("weir "))
    assert bash.offers("weir help un") == ["unload", "unpin"]
    assert bash.offers("weir embed --fo") == ["--format="]
    assert bash.offers("weir embed --lo") == ["--local"]
    assert bash.offers("weir embed --format n") == ["npy"]
    assert bash.offers("weir embed --format=") == ["auto", "table", "json", "npy"]
    assert bash.offers("weir embed --format=t") == ["table"]
    assert bash.offers("weir serve --limit queue_j") == ["queue_jobs="]
    assert bash.offers("weir serve --limit=queue_j") == ["queue_jobs="]
    assert bash.offers("weir serve --config so") == ["some.conf"]
    assert bash.offers("weir serve --listen ") == []
    assert bash.offers("weir embed ./so") == ["./some.conf"]
    assert bash.offers("weir nothing ") == []


def test_bash_completes_names_of_models(serve, weir, tmp_path):
    server = serve({"mini": FAKE, "team/model:q4": FAKE})
    there = Bash(weir, tmp_path, WEIR_HOST=server.url)
    assert there.offers("weir embed mi") == ["mini"]
    assert there.offers("weir show ") == ["mini", "team/model:q4"]
    assert there.offers("weir load mini te") == ["team/model:q4"]
    assert there.offers("weir embed team/model:") == ["q4"]  # the rest, after what bash has
    assert there.offers("weir embed -o out.npy --local mi") == ["mini"]
    assert there.offers("weir embed mini mi") == []  # that is a text
    here = Bash(weir, tmp_path, WEIR_HOST="http://127.0.0.1:1", WEIR_MODEL=f"own={FAKE}")
    assert here.offers("weir embed o") == ["own"]


def test_bash_itself(weir, tmp_path):
    """The same in a shell that somebody types into."""
    bash = Bash(weir, tmp_path, WEIR_HOST="http://127.0.0.1:1", WEIR_MODEL=f"team/model:q4={FAKE}",
                PS1="> ", TERM="dumb", INPUTRC="/dev/null")
    try:
        pid, master = pty.fork()
    except OSError as why:
        pytest.skip(f"no pseudo-terminal to be had here: {why}")
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], bash.environment)
    os.write(master, b"source completion.bash\necho ready-$((1 + 1))\n")
    seen, typed, deadline = "", False, time.monotonic() + 20 * SLOW
    while "weir embed team/model:q4" not in seen.replace("\x07", ""):
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536).decode("utf-8", "replace")
        if not typed and "ready-2" in seen:
            typed = True
            os.write(master, b"weir emb\tteam/model:\t")
    os.write(master, b"\x15exit\n")
    os.waitpid(pid, 0)
    os.close(master)
