"""The library as others use it: installed into a folder of its own, found by pkg-config, linked shared and
static, by programs that know nothing of this tree. WEIR_BUILD names the build folder."""

import json
import os
import pathlib
import re
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["WEIR_BUILD"])
CC = os.environ.get("CC", "cc")
CXX = os.environ.get("CXX", "c++")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
FAKE = "fake:text_embedding?dim=4"
TOKENS = 400


def run(*command, seconds=60, status=0, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds, **more)
    assert done.returncode == status, (command, done.returncode, done.stdout, done.stderr)
    return done


class Prefix:
    """An installation, and what pkg-config says of it."""

    def __init__(self, folder):
        self.folder = folder
        self.weir = folder / "bin/weir"
        self.pkg_config_path = {**os.environ, "PKG_CONFIG_PATH": str(next(folder.rglob("weir.pc")).parent)}

    def flags(self, *what):
        return run("pkg-config", *what, "weir", env=self.pkg_config_path).stdout.split()

    def environment(self):
        """Nothing but where the workers and, for programs linked with it, the library are."""
        return {"PATH": os.environ["PATH"],
                "WEIR_WORKER": self.flags("--variable=workerdir")[0],
                "LD_LIBRARY_PATH": self.flags("--variable=libdir")[0]}

    def build(self, source, out, how, *more):
        """With nothing but what a user would type."""
        linked = {"shared": self.flags("--cflags", "--libs"),
                  "static": ["-static", *self.flags("--static", "--cflags", "--libs")]}[how]
        compiler = CXX if source.suffix == ".cc" else CC
        run(compiler, *WARNINGS, source, *more, *linked, "-o", out)
        return out


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", folder)
    return Prefix(folder)


@pytest.fixture(scope="session", params=["shared", "static"])
def examples(request, prefix, tmp_path_factory):
    """Both examples, linked one way: a function that runs one."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("embed", "loop"):
        source = next(prefix.folder.rglob(f"examples/{name}.c"))
        prefix.build(source, folder / name, request.param, "-std=c11", "-D_POSIX_C_SOURCE=200809L")

    def run_example(name, *arguments, **more):
        return run(folder / name, *arguments, env=prefix.environment(), cwd=folder, **more)

    run_example.folder = folder
    return run_example


def asked_of_weir(prefix, model, text):
    out = run(prefix.weir, "embed", "--local", model, text, env={"PATH": os.environ["PATH"]}).stdout
    return json.loads(out)["embedding"]


def test_embed(prefix, examples):
    lines = examples("embed", FAKE, "hello", "two words").stdout.splitlines()
    assert len(lines) == 2
    for line, text in zip(lines, ("hello", "two words")):
        assert [float(x) for x in line.split()] == pytest.approx(asked_of_weir(prefix, FAKE, text), abs=1e-6)


def test_embed_says_what_is_wrong(examples):
    assert "usage" in examples("embed", status=2).stderr
    assert "no/such/model" in examples("embed", "no/such/model", "hello", status=1).stderr
    assert "said so" in examples("embed", "fake:text_embedding?load_fail=said so", "hello", status=1).stderr


def test_embed_with_real_weights(prefix, examples):
    model = pathlib.Path(os.environ.get("WEIR_MODELS", ROOT / "build/models")) / "all-MiniLM-L6-v2"
    if not model.is_dir():
        pytest.skip(f"{model} is not there")
    vector = [float(x) for x in examples("embed", model, "hello").stdout.split()]
    assert len(vector) == 384
    assert vector == pytest.approx(asked_of_weir(prefix, str(model), "hello"), abs=1e-6)


def assert_host_saw_everything(report):
    lines = report.splitlines()
    for line in ("first: 1 vector of 4 numbers, 1 tokens", "first: ended, ok",
                 "second: 1 vector of 4 numbers, 10 tokens", "second: ended, ok",
                 "child: the work of the host", "child: exit status 0",
                 "doomed: ended, cancelled", "stream: ended, ok"):
        assert lines.count(line) == 1, (line, report)
    assert len(lines) == 8, report


def test_loop(examples):
    done = examples("loop", FAKE, "fake:text_to_text?step=1ms", "one two three")
    assert done.stdout == "three two one"
    assert_host_saw_everything(done.stderr)


def test_loop_with_a_reader_that_is_slow(prefix, examples):
    """More pieces than credit, for a reader that takes none at first: none is lost."""
    with subprocess.Popen([examples.folder / "loop", FAKE, "fake:text_to_text?script=yes",
                           f"!tokens {TOKENS} 0ms"], env=prefix.environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as host:
        try:
            time.sleep(0.5)
            out, report = host.communicate(timeout=60)
        finally:
            host.kill()
    assert host.returncode == 0, report
    assert re.findall(r"token (\d+)", out) == [str(i) for i in range(TOKENS)]
    assert_host_saw_everything(report)


def test_loop_outlives_a_worker(examples):
    """A request that ends two workers ends with an error of its own, and the host goes on."""
    done = examples("loop", FAKE, "fake:text_to_text?script=yes", "!crash", status=1)
    assert "stream: ended, input_quarantined" in done.stderr
    assert "child: exit status 0" in done.stderr and "second: ended, ok" in done.stderr


def local_names(archive):
    """What the archive keeps to itself, as far as it can be written in C."""
    listed = run("nm", "--defined-only", archive).stdout.splitlines()
    names = {fields[2] for fields in map(str.split, listed) if len(fields) == 3 and fields[1] in "tdbr"}
    return sorted(name for name in names if re.fullmatch(r"[a-z]\w*", name))


@pytest.mark.parametrize("how", ["shared", "static"])
def test_a_host_may_have_all_our_names(prefix, tmp_path, how):
    names = local_names(next(prefix.folder.rglob("libweir.a")))
    assert {"supervisor_turn", "buffer_init", "mem_new", "log_write"} <= set(names) and len(names) > 300
    host = tmp_path / "names.c"
    # A function of ours that ran into one of these would end there.
    host.write_text("#include <stdlib.h>\n" + "".join(f"void host_{n}(void) __asm__(\"{n}\");\n"
                                                      f"void host_{n}(void)\n{{\n    abort();\n}}\n" for n in names))
    program = prefix.build(next(prefix.folder.rglob("examples/embed.c")), tmp_path / "host", how, host,
                           "-Wl,--export-dynamic" if how == "shared" else "-DSTATIC")
    out = run(program, FAKE, "hello", env=prefix.environment()).stdout
    assert len(out.split()) == 4


def test_cxx(prefix, tmp_path):
    """The headers are C++ too, and the names of the library are C's there."""
    source = tmp_path / "host.cc"
    headers = sorted(p.name for p in (prefix.folder / "include/weir").iterdir())
    assert headers == ["capability.h", "error.h", "limits.h", "weir.h"]
    source.write_text("".join(f"#include <weir/{h}>\n" for h in headers) + """
#include <cstdio>
int main()
{
    weir_options options = {};
    weir_error err;
    options.size = sizeof options;
    options.memory_percent = 101;
    if (weir_open(&options, &err) != nullptr || err.code != WEIR_INVALID)
        return 1;
    std::puts(weir_version());
    return 0;
}
""")
    program = prefix.build(source, tmp_path / "host", "shared", "-std=c++11", "-Wno-missing-field-initializers")
    assert run(program, env=prefix.environment()).stdout.split() == prefix.flags("--modversion")


def test_libraries_export_the_header(prefix):
    header = (prefix.folder / "include/weir/weir.h").read_text()
    public = set(re.findall(r"^WEIR_API[^;(]*?(\w+)\(", header, re.M))
    shared = next(prefix.folder.rglob("libweir.so"))
    listed = run("nm", "-D", "--defined-only", shared).stdout.split("\n")
    names = {line.split()[2] for line in listed if len(line.split()) == 3}
    assert names - {"WEIR_0"} == {f"{name}@@WEIR_0" for name in public}
    listed = run("nm", "-g", "--defined-only", next(prefix.folder.rglob("libweir.a"))).stdout.split("\n")
    assert {line.split()[2] for line in listed if len(line.split()) == 3} == public
    assert "libweir.so.0" in run("readelf", "-d", shared).stdout


def test_what_the_program_says_of_itself_is_installed(prefix):
    """The manual page and completions, as the build made them, where man and the shells look."""
    for form, file in (("man", "man/man1/weir.1"), ("bash", "bash-completion/completions/weir"),
                       ("zsh", "zsh/site-functions/_weir")):
        said = run(prefix.weir, "help", "--format", form, env={}).stdout
        assert (prefix.folder / "share" / file).read_text(encoding="utf-8") == said and len(said) > 1000, file


def test_documents_and_the_unit_are_installed(prefix):
    doc = prefix.folder / "share/doc/weir"
    for file in ("README.md", "LICENSE", "weir.conf"):
        assert (doc / file).is_file(), file
    assert {p.name for p in (doc / "docs").iterdir()} == {p.name for p in (ROOT / "docs").iterdir()}
    unit = (prefix.folder / "lib/systemd/system/weir.service").read_text()
    for named in re.findall(r"^Documentation=.*file:/usr/share/doc/weir/(\S+)", unit, re.M):
        assert (doc / named).is_file(), named
    # What stands in the example as a comment may be said as it is.
    lines = [line[2:] if re.match(r"# (\w+ = |\[)", line) else line for line in (doc / "weir.conf").read_text().split("\n")]
    example = prefix.folder / "example.conf"
    example.write_text("\n".join(line for line in lines if not line.startswith("models =")))
    run(prefix.weir, "serve", "--config", example, "--print-config", env={})


def test_the_tree_may_be_moved(prefix, tmp_path):
    """The program finds its workers from any folder, through a link too, and knows its version."""
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    run("cp", "-a", prefix.folder, moved / "weir")
    link = tmp_path / "weir"
    link.symlink_to(moved / "weir/bin/weir")
    assert run(link, "version", env={}).stdout.split() == ["weir", *prefix.flags("--modversion")]
    out = run(link, "embed", "--local", FAKE, "hello", env={}, cwd="/").stdout
    assert len(json.loads(out)["embedding"]) == 4
    limits = json.loads(run(link, "bench", FAKE, "--json", "-p", "8", "--batch", "1", env={}, cwd="/").stdout)["limits"]
    assert limits["threads"] > 0  # measured by a worker that the verb found itself
    assert str(tmp_path) not in next(moved.rglob("weir.pc")).read_text()
