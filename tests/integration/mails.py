"""The receiving end of e-mail: tests/support/smtp_receiver.py as a process, and what came out of it."""

import json
from pathlib import Path

from processes import Program
from world import ROOT


class Mailbox:
    """A mail server on `port` that is not there until it is started, and answers by the script."""

    def __init__(self, directory: Path, port: int):
        self.port = port
        self.file = directory / "mails.jsonl"
        self.directory = directory
        self.server: Program | None = None

    def start(self, script: str):
        # Debian's interpreter: the library is a Debian package.
        self.server = Program("smtp", ["/usr/bin/python3", "-B",
                                       str(ROOT / "tests/support/smtp_receiver.py"), "--port",
                                       str(self.port), "--log", str(self.file), "--script", script],
                              self.directory / "smtp.log")
        self.server.start()

    def stop(self):
        if self.server is not None:
            self.server.stop()
            self.server = None

    def yaml(self) -> str:
        """The lines of collector.yaml."""
        return (f"smtp: {{host: 127.0.0.1, port: {self.port}, tls: \"off\", "
                "from: tocsin@example.com}\n")

    def mails(self, action: str = "") -> list[dict]:
        if not self.file.exists():
            return []
        all_of = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [m for m in all_of if not action or m["action"] == action]

    def accepted(self, to: str = "") -> list[dict]:
        return [m for m in self.mails("accept") if not to or m["to"] == [to]]
