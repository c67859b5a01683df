"""Builds a mutant and runs the tests on it. Everything but the one file is built once; the mutated
object stands before the library when it is linked, so that the linker never takes the sound one."""
import hashlib
import json
import pathlib
import resource
import shlex
import subprocess
import sys
import threading

SIM = ["--events", "30000", "--seed", "1", "--runs", "2"]
TEST_SECONDS = 10  # of CPU; the slowest takes a tenth
SIM_SECONDS = 20
MEMORY_BYTES = 2 << 30


def limits(seconds):
    def apply():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    return apply


class Bench:
    def __init__(self, root, build):
        self.root, self.build = root, build
        self.results, self.lock = {}, threading.Lock()
        self.kept = build / "results.jsonl"

    def run(self, command, seconds):
        """None when it ended well, else how it failed."""
        try:
            done = subprocess.run(command, cwd=self.build, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=4 * seconds,
                                  preexec_fn=limits(seconds))
        except subprocess.TimeoutExpired:
            return "did not end"
        if done.returncode == 0:
            return None
        said = done.stdout.decode(errors="replace").splitlines()
        said = [line for line in said if "sim: " in line or "TOO SELDOM" in line or "CHECK" in line
                or "[  ERROR" in line or "[  FAILED" in line]
        return said[0].strip()[:120] if said else f"exit {done.returncode}"

    def prepare(self, jobs):
        """Builds what is sound, and makes sure that it passes."""
        flags = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O1", "-DWEIR_CHECKED=ON"]
        def call(*command):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                sys.exit(done.stdout.decode(errors="replace")[-4000:])
            return done.stdout.decode()
        call("cmake", "-S", str(self.root), "-B", str(self.build), "-G", "Ninja", *flags)
        tests = sorted(path.name[:-len("_test.c")]
                       for path in (self.root / "src" / "supervisor").glob("*_test.c"))
        self.targets = [f"test-supervisor-{name}" for name in tests] + ["sim"]
        call("cmake", "--build", str(self.build), f"-j{jobs}", "--target", *self.targets)
        self.links = {}
        for target in self.targets:
            lines = call("ninja", "-C", str(self.build), "-t", "commands", f"bin/{target}")
            line = [text for text in lines.splitlines() if f"-o bin/{target}" in text][-1]
            self.links[target] = shlex.split(line.removeprefix(": && ").removesuffix(" && :"))
        self.compiles = {}
        for row in json.loads((self.build / "compile_commands.json").read_text()):
            name = str(pathlib.Path(row["file"]).relative_to(self.root)) \
                if row["file"].startswith(str(self.root)) else row["file"]
            self.compiles[name] = shlex.split(row["command"])
        digest = hashlib.sha256()
        for target in self.targets:
            digest.update((self.build / "bin" / target).read_bytes())
            failed = self.run([f"bin/{target}"] + (SIM if target == "sim" else []), SIM_SECONDS)
            if failed is not None:
                sys.exit(f"{target} fails without any fault: {failed}")
        self.fingerprint = digest.hexdigest()
        if self.kept.exists():
            for line in self.kept.read_text().splitlines():
                row = json.loads(line)
                self.results[row["key"]] = (row["verdict"], row["by"])

    def compile(self, m, stem):
        command = list(self.compiles[m.file])
        source = stem.with_suffix(".c")
        source.write_text(m.text)
        command[command.index("-o") + 1] = str(stem.with_suffix(".o"))
        command[command.index("-c") + 1] = str(source)
        # Relative includes are none: every header is named from src/.
        return subprocess.run(command, cwd=self.build, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def link(self, target, stem):
        command = list(self.links[target])
        program = f"{stem}-{target}"
        at = command.index("-o")
        command[at + 1] = program
        command.insert(at + 2, str(stem.with_suffix(".o")))
        subprocess.run(command, cwd=self.build, check=True, stdout=subprocess.DEVNULL)
        return program

    def try_all(self, m, stem):
        if not self.compile(m, stem):
            return "not compiled", ""
        name = pathlib.Path(m.file).stem
        order = sorted(self.targets, key=lambda t: (t == "sim", t != f"test-supervisor-{name}"))
        for target in order:
            program = self.link(target, stem)
            failed = self.run([program] + (SIM if target == "sim" else []),
                              SIM_SECONDS if target == "sim" else TEST_SECONDS)
            pathlib.Path(program).unlink()
            if failed is not None:
                return "killed", f"{target}: {failed}"
        return "survived", ""

    def judge(self, m):
        key = hashlib.sha256((self.fingerprint + m.file + m.text).encode()).hexdigest()
        if key not in self.results:
            folder = self.build / "faults"
            folder.mkdir(exist_ok=True)
            stem = folder / key[:16]
            result = self.try_all(m, stem)
            for path in folder.glob(key[:16] + "*"):
                path.unlink()
            with self.lock, self.kept.open("a") as out:
                out.write(json.dumps({"key": key, "verdict": result[0], "by": result[1]}) + "\n")
            self.results[key] = result
        return (m, *self.results[key])
