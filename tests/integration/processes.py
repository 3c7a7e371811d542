"""Starting, watching and killing the programs under test. Only what was started here is ever killed."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path


class Gone(AssertionError):
    """A process ended that should live."""


def until(what: str, probe, deadline_s: float = 30.0, every_s: float = 0.05):
    """Polls `probe` until it answers something true, and returns that; fails after the deadline."""
    end = time.monotonic() + deadline_s
    last = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}; last seen: {last!r}")
        time.sleep(every_s)


def follow(link: str, method: str) -> tuple[int, str]:
    """What a browser gets by a link: (status, body)."""
    host, _, path = link.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request(method, "/" + path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Program:
    """A program that is started again and again with the same command, its output in one log file."""

    def __init__(self, name: str, command: list[str], log: Path, env: dict | None = None):
        self.name = name
        self.command = command
        self.log = log
        self.env = env or {}
        self.process = None
        self.starts = 0
        self.lives = []  # [working since or None, ended or None] in wall time.

    def start(self, **env):
        assert not self.alive(), f"{self.name} runs already"
        with open(self.log, "ab") as out:
            out.write(f"--- {self.name}: start {self.starts + 1} {env or ''}\n".encode())
            out.flush()
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=os.environ | self.env | env, start_new_session=True)
        self.starts += 1
        self.lives.append([None, None])
        return self

    def mark_working(self):
        """From now on it does what it is for; what is due earlier in this life is not expected."""
        if self.lives[-1][0] is None:
            self.lives[-1][0] = time.time()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def check(self):
        if not self.alive():
            raise Gone(f"{self.name} ended with {self.process and self.process.returncode}:\n"
                       + self.tail())

    def wait_dead(self, seconds: float) -> bool:
        """True when it ended by itself within the time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._ended()
        return True

    def _ended(self):
        if self.lives and self.lives[-1][1] is None:
            self.lives[-1][1] = time.time()

    def kill(self):
        """SIGKILL: no destructor, no flush."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self._ended()

    def stop(self, seconds: float = 35.0) -> int:
        """SIGTERM and wait; answers the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not end {seconds:g} s after SIGTERM:\n"
                                     + self.tail())
        self._ended()
        return self.process.returncode if self.process else 0

    def signal(self, number):
        self.process.send_signal(number)

    def text(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.text().splitlines()[-lines:])


def run(command: list[str], deadline_s: float = 60, cwd: Path | None = None, **env) -> str:
    """A command that must succeed; its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=deadline_s, cwd=cwd,
                          stdin=subprocess.DEVNULL, env=os.environ | env)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
                             f"{done.stderr}")
    return done.stdout


def get(port: int, path: str, deadline_s: float = 5.0) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_json(port: int, path: str):
    status, body = get(port, path)
    if status != 200:
        raise OSError(f"GET {path}: {status} {body[:200]!r}")
    return json.loads(body)


_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? (\S+)", re.M)


def parse_metrics(text: str) -> dict[str, float]:
    """'name' or 'name{label="x"}' as written -> value; also name -> the sum over its labels."""
    out = {}
    for name, labels, value in _SAMPLE.findall(text):
        number = float(value)
        out[name] = out.get(name, 0.0) + number
        if labels:
            out[f"{name}{{{labels}}}"] = number
    return out


def metrics(port: int) -> dict[str, float]:
    status, body = get(port, "/metrics")
    if status != 200:
        raise OSError(f"GET /metrics: {status}")
    return parse_metrics(body.decode())
