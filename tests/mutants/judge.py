"""Builds a mutant and runs the tests on it. Everything but the one file is built once; the mutated
object stands before the library when it is linked, so that the linker never takes the sound one.

All unit tests are one program (each main renamed, runner.c in front), so that a mutant costs one
compilation and a link, and another link for the simulation if the tests let it pass. The tests are
linked with the leak sanitizer, and the simulation counts its blocks: memory that is not given back
kills too."""
import collections
import hashlib
import json
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time

SIM = ["--events", "60000", "--seed", "1", "--runs", "1"]
TEST_SECONDS = 5  # of CPU, for each test; the slowest takes a fifth
SIM_SECONDS = 20  # of CPU; it takes a tenth
ALL_SECONDS = 300  # by the clock
MEMORY_BYTES = 1 << 30
COMPLAINTS = ("sim: ", "TOO SELDOM", "CHECK", "error:", "LeakSanitizer", "[  FAILED")


def limits(seconds):
    def apply():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    return apply


def call(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(done.stdout.decode(errors="replace")[-4000:])
    return done.stdout.decode()


class Bench:
    def __init__(self, root, build):
        self.root, self.build = root, build.resolve()
        self.results, self.lock = {}, threading.Lock()
        self.kept = self.build / "results.jsonl"
        self.kills = collections.defaultdict(collections.Counter)  # of a test, by file

    def run(self, command, seconds):
        """None when it ended well, else how it failed."""
        try:
            done = subprocess.run(command, cwd=self.build, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=ALL_SECONDS,
                                  preexec_fn=limits(seconds))
        except subprocess.TimeoutExpired:
            return "did not end"
        if done.returncode == 0:
            return None
        lines = done.stdout.decode(errors="replace").splitlines()
        said = [line for line in lines if any(mark in line for mark in COMPLAINTS)]
        last = [line for line in lines if line.startswith("fails: ")]
        return ": ".join(last + [line.strip()[:100] for line in said[:1]]) or f"exit {done.returncode}"

    def prepare(self, jobs):
        """Builds what is sound, and makes sure that it passes."""
        call("cmake", "-S", str(self.root), "-B", str(self.build), "-G", "Ninja",
             "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1", "-DWEIR_CHECKED=ON")
        call("cmake", "--build", str(self.build), f"-j{jobs}", "--target", "sim")
        self.compiles = {}
        for row in json.loads((self.build / "compile_commands.json").read_text()):
            self.compiles[row["file"]] = shlex.split(row["command"])
        (self.build / "faults").mkdir(exist_ok=True)
        self.links = {"sim": self.link_command("sim"), "tests": self.build_tests()}
        self.read_costs()
        failed = self.run([self.link("sim", []), *SIM], SIM_SECONDS)
        if failed is not None:
            sys.exit(f"the simulation fails without any fault: {failed}")
        digest = hashlib.sha256(repr((SIM, TEST_SECONDS)).encode())
        for target in self.links:
            digest.update((self.build / "faults" / target).read_bytes())
        self.fingerprint = digest.hexdigest()
        if self.kept.exists():
            for line in self.kept.read_text().splitlines():
                row = json.loads(line)
                self.results[row["key"]] = (row["verdict"], row["by"])

    def link_command(self, target):
        lines = call("ninja", "-C", str(self.build), "-t", "commands", f"bin/{target}")
        line = [text for text in lines.splitlines() if f"-o bin/{target} " in text][-1]
        return shlex.split(line.removeprefix(": && ").removesuffix(" && :"))

    def build_tests(self):
        """Compiles all tests for one program, and says how it is linked."""
        folder = self.build / "tests"
        folder.mkdir(exist_ok=True)
        paths = sorted((self.root / "src" / "supervisor").glob("*_test.c"))
        self.tests = [path.name.removesuffix("_test.c") for path in paths]
        objects, libraries, link = [], [], []
        for path, name in zip(paths, self.tests):
            command = list(self.compiles[str(path)])
            command[command.index("-o") + 1] = str(folder / f"{name}.o")
            call(*command, f"-Dmain=main_of_{name}", "-Wno-missing-prototypes", cwd=self.build)
            objects.append(str(folder / f"{name}.o"))
            link = self.link_command(f"test-supervisor-{name}")
            libraries += [part for part in link if part.endswith((".a", ".so"))]
        tests = " ".join(f"TEST({name})" for name in self.tests)
        runner = str(folder / "runner.o")
        call(link[0], "-std=c11", "-D_XOPEN_SOURCE=700", "-O1", "-Wall", "-Wextra", "-Werror",
             f"-DTEST_SECONDS={TEST_SECONDS}", f"-DTESTS={tests}", "-o", runner, "-c",
             str(self.root / "tests" / "mutants" / "runner.c"))
        flags = ["-fsanitize=leak"] + (["-fuse-ld=lld"] if shutil.which("ld.lld") else [])
        return [link[0], *flags, runner, *objects, "-o", "tests", "-Wl,--start-group",
                *dict.fromkeys(libraries), "-Wl,--end-group"]

    def read_costs(self):
        """How long each test takes, in milliseconds, which must pass."""
        program, self.cost = self.link("tests", []), {}
        for name in self.tests:
            began = time.monotonic()
            failed = self.run([program, name], ALL_SECONDS)
            if failed is not None:
                sys.exit(f"{name}_test.c fails without any fault: {failed}")
            self.cost[name] = 1000 * (time.monotonic() - began)

    def order(self, file):
        """The tests of the same room, then what kills most in its time."""
        room, kills = pathlib.Path(file).stem, self.kills[file]
        return sorted(self.tests, key=lambda name: (not name.startswith(room),
                                                    -kills[name] / (50 + self.cost[name]),
                                                    self.cost[name]))

    def compile(self, m, stem):
        command = list(self.compiles[str(self.root / m.file)])
        source = stem.with_suffix(".c")
        source.write_text(m.text)
        command[command.index("-o") + 1] = str(stem.with_suffix(".o"))
        command[command.index("-c") + 1] = str(source)
        # Relative includes are none: every header is named from src/.
        return subprocess.run(command, cwd=self.build, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def link(self, target, objects, name=""):
        command = list(self.links[target])
        program = str(self.build / "faults" / (name + target))
        at = command.index("-o")
        command[at + 1] = program
        command[at + 2:at + 2] = objects
        subprocess.run(command, cwd=self.build, check=True, stdout=subprocess.DEVNULL)
        return program

    def try_all(self, m, stem):
        if not self.compile(m, stem):
            return "not compiled", ""
        objects = [str(stem.with_suffix(".o"))]
        # Each test bounds its own time; the whole may take what all of them may.
        failed = self.run([self.link("tests", objects, stem.name), *self.order(m.file)], ALL_SECONDS)
        if failed is not None:
            return "killed", f"tests: {failed}"
        failed = self.run([self.link("sim", objects, stem.name), *SIM], SIM_SECONDS)
        return ("survived", "") if failed is None else ("killed", f"sim: {failed}")

    def judge(self, m):
        """killed, survived or not compiled; and by what."""
        key = hashlib.sha256((self.fingerprint + m.file + m.text).encode()).hexdigest()
        if key not in self.results:
            stem = self.build / "faults" / key[:16]
            result = self.try_all(m, stem)
            for path in stem.parent.glob(key[:16] + "*"):
                path.unlink()
            with self.lock, self.kept.open("a") as out:
                out.write(json.dumps({"key": key, "verdict": result[0], "by": result[1]}) + "\n")
            self.results[key] = result
        verdict, by = self.results[key]
        if by.startswith("tests: fails: "):
            self.kills[m.file][by.split()[2].rstrip(",")] += 1
        return verdict, by
