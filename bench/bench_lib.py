"""What the benches in Python share: our binaries, servers on free ports, figures and verdicts."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("WEIR_BENCH_BUILD", os.path.join(ROOT, "build", "bench"))
BIN = os.path.join(BUILD, "bin")


def program(name, folder=BIN):
    return os.path.join(folder, name)


def environment():
    """Nothing of the caller's settings of weir but where its models are."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}


def say(text):
    print(text, flush=True)


def spread(values):
    return f"median {statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g}, n={len(values)})"


def verdict(what, ratio, least=None, most=None):
    """Prints the line by which a bench passes or fails, and returns whether it passes."""
    good = (least is None or ratio >= least) and (most is None or ratio <= most)
    bound = f"at least {least}" if least is not None else f"at most {most}"
    say(f"{what}: ratio {ratio:.3f}, {bound}: {'ok' if good else 'FAILED'}")
    return good


class Server:
    """A running `weir serve`; use it in a with statement."""

    def __init__(self, models, *options, folder=BIN, more=None):
        arguments = [program("weir", folder), "serve", "--listen", "127.0.0.1:0",
                     "--log-level", "error", *options]
        for name, path in models.items():
            arguments += ["--model", f"{name}={path}"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments, env={**environment(), **(more or {})},
                                        stdin=subprocess.DEVNULL, stderr=self.log)
        self.port = self._port()
        self.wait(lambda: self.get("/health/ready")[0] == 200)

    def _said(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def _port(self):
        found = self.wait(lambda: re.search(r"listening on http://127\.0\.0\.1:(\d+)", self._said()))
        return int(found.group(1))

    def wait(self, probe, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                sys.exit("weir serve ended: " + self._said())
            found = probe()
            if found:
                return found
            time.sleep(0.002)
        sys.exit("weir serve did not get so far: " + self._said())

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def post(self, path, value):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                         json.dumps(value).encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def cpu_seconds(self):
        """Processor time of the server process alone, user and system."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def run(*arguments, **more):
    """The output of a command that must succeed."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True,
                          env=environment(), **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


def body_file(folder, value):
    path = os.path.join(folder, "body.json")
    with open(path, "w") as file:
        json.dump(value, file)
    return path
