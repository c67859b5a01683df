"""Drives the real binaries: one Server is one running `weir serve`, with what tests ask of it.

The binaries are taken from the folder $WEIR_BIN (default build/release/bin). Every wait is bounded,
and every bound is multiplied by $WEIR_TEST_SLOW (default 1), so that sanitizer builds and loaded
machines run the same tests. What must happen is polled or listened for; tests sleep only to see
that nothing does.
"""

import base64
import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "release", "bin")))
SLOW = float(os.environ.get("WEIR_TEST_SLOW", "1"))
MiB = 1024 * 1024
GiB = 1024 * MiB

# What no run may print, whatever it was asked to do.
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                     "WARNING: ThreadSanitizer", "check failed")
GONE_STATES = "ZX"  # of /proc/PID/stat: exited, though perhaps not yet collected by its parent
LIVING = ("Spawning", "Loading", "Ready", "Processing", "Idle")


def program(name):
    return os.path.join(BIN, name)


def wait_until(probe, seconds, what):
    """Polls until `probe` returns something true, and returns it."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {what}; last seen {found!r}")
        time.sleep(0.01)


def read_text(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def process_fields(pid):
    """State, parent and so on from /proc/PID/stat, whose second field may hold anything."""
    return read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()


def process_is_gone(pid):
    fields = process_fields(pid)
    return not fields or fields[0] in GONE_STATES


def children_of(parent):
    """The living children of a process: {pid: title}."""
    found = {}
    for entry in os.listdir("/proc"):
        fields = process_fields(entry) if entry.isdigit() else []
        if len(fields) > 1 and int(fields[1]) == parent and fields[0] not in GONE_STATES:
            found[int(entry)] = read_text(f"/proc/{entry}/cmdline").partition("\0")[0]
    return found


def state_machine(folder, total=24 * GiB, available=24 * GiB):
    """A folder that WEIR_SYSTEM_ROOT can name: a machine of so much memory."""
    (folder / "proc").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(
        f"MemTotal:       {total // 1024} kB\nMemFree:        {available // 1024} kB\n"
        f"MemAvailable:   {available // 1024} kB\n")
    return folder


def clean_environment(folder, machine=None, **more):
    """The environment of a program under test: nothing of the caller's weir settings or home."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("WEIR_", "XDG_", "HF_"))}
    environment["HOME"] = str(folder)
    if machine is not None:
        environment["WEIR_SYSTEM_ROOT"] = str(machine)
    environment.update(more)
    return environment


def run_weir(arguments, environment, input=None, seconds=20):
    """One command to its end: the finished process with stdout and stderr as text."""
    done = subprocess.run([program("weir"), *arguments], env=environment, input=input,
                          stdin=subprocess.DEVNULL if input is None else None,
                          capture_output=True, text=True, timeout=seconds * SLOW)
    assert_no_report(done.stderr)
    return done


def raw_post(value, path="/v1/embeddings", **fields):
    """The bytes of a POST, for tests that hold the socket themselves."""
    body = json.dumps(value).encode()
    head = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": len(body),
            **fields}
    lines = "".join(f"{name}: {text}\r\n" for name, text in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def read_all(connection):
    """Everything until the other side closes."""
    connection.settimeout(20 * SLOW)
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def read_answers(connection, count):
    """So many answers from one connection, in order."""
    reader = connection.makefile("rb")
    found = []
    for _ in range(count):
        status = int(reader.readline().split()[1])
        headers = http.client.parse_headers(reader)
        found.append((status, headers, reader.read(int(headers["content-length"]))))
    return found


def raw_answer(server, data):
    """The one answer to raw bytes, after which the server must close: (status, headers, body)."""
    connection = server.raw(data)
    everything = read_all(connection)
    connection.close()
    head, _, body = everything.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip()
               for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def assert_no_report(text):
    for report in SANITIZER_REPORTS:
        assert report not in text, text


def names_gib(count, text):
    """Whether a text names so many GiB, with or without a decimal."""
    return re.search(rf"\b{count}(\.0)? GiB", text) is not None


class Answer:
    """One HTTP answer, read to its end."""

    def __init__(self, status, headers, body, ended):
        self.status, self.headers, self.body, self.ended = status, headers, body, ended

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The error object, whose four keys every error answer must have."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        return error

    @property
    def vectors(self):
        data = self.json["data"]
        assert [row["index"] for row in data] == list(range(len(data)))
        return [row["embedding"] for row in data]


def decode_base64(text):
    raw = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


class Events:
    """A reader of GET /weir/v1/events. Whatever happens after the constructor returned is seen."""

    def __init__(self, server):
        self.seen = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._connection = http.client.HTTPConnection(server.host, server.port,
                                                      timeout=120 * SLOW)
        self._connection.request("GET", "/weir/v1/events")
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.status
        kind = self._response.getheader("content-type")
        assert kind.startswith("text/event-stream"), kind
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._subscribed.wait(10 * SLOW), "the event stream did not begin"

    def _read(self):
        try:
            for line in self._response:
                self._subscribed.set()
                if line.startswith(b"data: "):
                    event = json.loads(line[len(b"data: "):])
                    with self._news:
                        self.seen.append(event)
                        self._news.notify_all()
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            pass  # the server ended, perhaps by force
        with self._news:
            self._news.notify_all()

    def wait(self, wanted, seconds, what):
        """The first event, of those seen and those to come, for which `wanted` holds."""
        deadline = time.monotonic() + seconds * SLOW
        with self._news:
            at = 0
            while True:
                for event in self.seen[at:]:
                    if wanted(event):
                        return event
                at = len(self.seen)
                rest = deadline - time.monotonic()
                if rest <= 0 or not self._news.wait(rest):
                    raise AssertionError(f"no event: {what}; seen {self.seen}")

    def state(self, to, seconds=10, model="m", worker=None, count=1):
        """The event by which the `count`-th worker of the model entered the state, waited for."""
        def entered():
            found = [e for e in list(self.seen) if e["kind"] == "state" and e["model"] == model
                     and e["to"] == to and worker in (None, e["worker"])]
            return found[count - 1:count]
        return wait_until(entered, seconds, f"{count} worker(s) of '{model}' {to}")[0]

    def _settled(self):
        """What was seen once nothing came for a while: an answer may overtake the events behind it."""
        quiet, began, at = 0.15, time.monotonic(), -1
        while time.monotonic() - began < 5 * quiet and at != len(self.seen):
            at = len(self.seen)
            time.sleep(quiet)
        return list(self.seen)

    def states(self, worker, model="m"):
        """The states that a worker entered, in order."""
        return [e["to"] for e in self._settled()
                if e["kind"] == "state" and e["model"] == model and e["worker"] == worker]

    def workers(self, model="m"):
        """The ids of all workers of a model, in the order of their start."""
        ids = [e["worker"] for e in self._settled() if e["kind"] == "state" and e["model"] == model]
        return list(dict.fromkeys(ids))

    def kinds(self, kind, model="m"):
        return [e for e in self._settled() if e["kind"] == kind and e["model"] == model]

    def ended(self, seconds):
        self._thread.join(seconds * SLOW)
        assert not self._thread.is_alive(), "the event stream did not end"


class Server:
    """A running `weir serve` on a free port of this machine.

    `models` maps names to paths or fake: models. Options are given as on the command line; a budget
    of 16 GiB on a machine of 24 GiB is the default."""

    def __init__(self, folder, machine, models, *options, memory="16GiB", wait_ready=True, **more):
        arguments = [program("weir"), "serve", "--listen", "127.0.0.1:0"]
        arguments += ["--memory", memory] if memory is not None else []
        for name, path in models.items():
            arguments += ["--model", f"{name}={path}"]
        arguments += [str(option) for option in options]
        self.log = []
        self.stopped = False
        self.checked = False
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=160)
        self.process = subprocess.Popen(arguments, env=clean_environment(folder, machine, **more),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        self.pid = self.process.pid
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read_log, daemon=True)
        self._thread.start()
        self.url = self._wait_listening()
        self.host, port = self.url[len("http://"):].rsplit(":", 1)
        self.port = int(port)
        if wait_ready:
            wait_until(lambda: self.get("/health/ready").status == 200, 10, "ready")
            wait_until(lambda: not self.children() or any(
                model["workers"] for model in self.status()["models"]), 10, "the inspector left")

    # --- its process -----------------------------------------------------------------------------

    def _read_log(self):
        for line in self.process.stderr:
            with self._news:
                self.log.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.log.append(None)
            self._news.notify_all()

    def log_text(self):
        return "\n".join(line for line in list(self.log) if line is not None)

    def _wait_listening(self):
        exact = re.compile(r"weir: listening on (http://127\.0\.0\.1:[0-9]+)")
        def listening():
            for line in list(self.log):
                match = exact.fullmatch(line or "")
                if match:
                    return match.group(1)
                assert line is not None, "the server ended: " + self.log_text()
            return None
        return wait_until(listening, 10, "the line 'weir: listening on http://HOST:PORT'")

    def children(self):
        """Its living processes: {pid: title}, workers and inspectors."""
        return children_of(self.pid)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, seconds):
        """Waits for the end and returns the exit status (negative: the signal that ended it)."""
        try:
            status = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server runs {seconds * SLOW:g} s after it was told to end:\n"
                                 + self.log_text())
        self.stopped = True
        return status

    def stop(self, seconds=15):
        """SIGTERM, and the exit status."""
        if not self.stopped:
            self.signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    def close(self):
        """What holds after every test: it ends with status 0 unless the test ended it otherwise, no
        worker stays, and no sanitizer has anything to say."""
        if self.checked:
            return
        self.checked = True
        workers = list(self.children())
        try:
            if not self.stopped:
                status = self.stop()
                assert status == 0, f"exit status {status}"
            wait_until(lambda: all(process_is_gone(pid) for pid in workers), 3, "no worker left")
            self._thread.join(5 * SLOW)
            assert_no_report(self.log_text())
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.pool.shutdown(wait=False)
            print(f"--- log of the server on {self.url}\n{self.log_text()}")

    # --- HTTP ------------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, seconds=60):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds * SLOW)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(), time.monotonic())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, value, headers=None, **more):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.request("POST", path, body,
                            {"Content-Type": "application/json", **(headers or {})}, **more)

    def embed(self, text="hello", model="m", headers=None, **fields):
        return self.post("/v1/embeddings", {"model": model, "input": text, **fields}, headers)

    def vector(self, text, model="m"):
        """The vector of a text that must have one."""
        answer = self.embed(text, model)
        assert answer.status == 200, answer
        return answer.vectors[0]

    def later(self, call, *arguments, **more):
        """Runs a call in a thread of its own; .result() has what it returned."""
        return self.pool.submit(call, *arguments, **more)

    def raw(self, data=b""):
        """A socket to it, with bytes sent."""
        connection = socket.create_connection((self.host, self.port), timeout=20 * SLOW)
        connection.sendall(data)
        return connection

    # --- what it says of itself ------------------------------------------------------------------

    def events(self):
        return Events(self)

    def status(self):
        answer = self.get("/weir/v1/status")
        assert answer.status == 200, answer
        return answer.json

    def model(self, name="m"):
        return next(m for m in self.status()["models"] if m["name"] == name)

    def workers(self, name="m", states=LIVING):
        """The workers of a model that are in one of the states."""
        return [w for w in self.model(name)["workers"] if w["state"] in states]

    def leased(self):
        """Whole MiB of memory that are leased."""
        return self.status()["memory"]["leased"] // MiB

    def wait_workers(self, count, states=LIVING, seconds=10, name="m"):
        def have():
            found = self.workers(name, states)
            return (found or True) if len(found) == count else None
        found = wait_until(have, seconds, f"{count} worker(s) of '{name}' in {states}")
        return [] if found is True else found

    def wait_jobs(self, count, name="m", seconds=10):
        """Until `count` jobs of a model run, which says which workers have them."""
        def running():
            found = [w for w in self.workers(name, LIVING + ("Evicting",)) if w["jobs"] > 0]
            total = sum(w["jobs"] for w in found)
            return (found or True) if total == count else None
        found = wait_until(running, seconds, f"{count} job(s) of '{name}' running")
        return [] if found is True else found

    def wait_settled(self, name="m", workers=2):
        """Until both workers of a first request are there: what follows is not about them."""
        return self.wait_workers(workers, ("Ready", "Processing", "Idle"), name=name)


class Traffic:
    """Requests to one model, one after another, until it is stopped; every answer must be right."""

    def __init__(self, server, model, texts=("steady", "as she goes")):
        self.answers = 0
        self.problems = []
        self._server, self._model, self._texts = server, model, texts
        self._expected = [server.vector(text, model) for text in texts]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            at = self.answers % len(self._texts)
            try:
                answer = self._server.embed(self._texts[at], self._model)
                if answer.status != 200 or answer.vectors[0] != self._expected[at]:
                    self.problems.append(repr(answer))
            except OSError as problem:
                self.problems.append(repr(problem))
            self.answers += 1
            time.sleep(0.005)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join(70 * SLOW)
        if kind is None:
            assert self.problems == []
            assert self.answers > 0
