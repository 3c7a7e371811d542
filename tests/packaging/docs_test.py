#!/usr/bin/env python3
"""Man pages and sample files hold what the programs say of themselves.

    tests/packaging/docs_test.py --build build/dev
"""

import argparse
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAN = ROOT / "docs/man"
BIN = Path()


def help_of(program: str, *words: str) -> str:
    return subprocess.run([BIN / program, *words, "--help"], capture_output=True, text=True, check=True).stdout


def page(name: str) -> str:
    """As scdoc reads it, without its marks."""
    return re.sub(r"\\(.)", r"\1", (MAN / f"{name}.scd").read_text()).replace("*", "").replace("_", "")


class Programs(unittest.TestCase):
    def commands(self, text: str) -> set[str]:
        found = re.findall(r"^  (?:tocsin-agent )?\[?([a-z][a-z-]+)\b", text, re.MULTILINE)
        return set(found) - {"tocsin-agent", "exit"}

    def check(self, name: str, program: str, *more: str):
        texts = [help_of(program)] + [help_of(program, word) for word in more]
        man = page(name)
        for text in texts:
            for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))):
                self.assertIn(option, man, f"{name} does not have {option} of --help")
        for command in sorted(self.commands(texts[0])):
            self.assertRegex(man, rf"(?m)^{re.escape(command)}\b", f"{name} does not have the command {command}")

    def test_agent(self):
        self.check("tocsin-agent.8", "tocsin-agent", "check")

    def test_collector(self):
        self.check("tocsin-collector.8", "tocsin-collector")

    def test_ctl(self):
        self.check("tocsinctl.1", "tocsinctl")

    def test_pages_render(self):
        for source in sorted(MAN.glob("*.scd")):
            done = subprocess.run(["scdoc"], input=source.read_text(), text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, f"{source}: {done.stderr}")


class Files(unittest.TestCase):
    """Keys as the readers of the files name them in their sources, and in docs/operations.md."""

    def keys(self, source: str) -> set[str]:
        text = (ROOT / source).read_text()
        return set(re.findall(r'\btop\.(?:text|texts|child|integer|duration|boolean)\(\s*"([a-z_]+)"', text))

    def check(self, name: str, source: str):
        keys = self.keys(source)
        self.assertGreater(len(keys), 8, f"no keys found in {source}")
        man = (MAN / f"{name}.scd").read_text()
        for key in sorted(keys):
            self.assertRegex(man, rf"(?m)^\*{key}\*$", f"{name} does not have the key {key}")
        for key in re.findall(r"(?m)^\*([a-z_]+)\*$", man):
            self.assertIn(key, keys, f"{name} has {key}, which {source} does not read")
        for variable in re.findall(r'"(TOCSIN_[A-Z_]+)"', (ROOT / source).read_text()):
            self.assertIn(f"*{variable}*", man)

    def test_agent(self):
        self.check("tocsin-agent.yaml.5", "agent/app/agent_config.cc")

    def test_collector(self):
        self.check("tocsin-collector.yaml.5", "collector/app/collector_config.cc")

    def example(self, name: str) -> str:
        text = (MAN / f"{name}.scd").read_text()
        return re.search(r"# EXAMPLE\n\n```\n(.*?)```", text, re.DOTALL)[1].replace("\\*", "*")

    def test_samples_and_examples_are_good(self):
        with tempfile.TemporaryDirectory() as folder:
            for program, name, sample in (("tocsin-agent", "tocsin-agent.yaml.5", "agent.yaml"),
                                          ("tocsin-collector", "tocsin-collector.yaml.5", "collector.yaml")):
                example = Path(folder) / sample
                example.write_text(self.example(name))
                text = (ROOT / "packaging/debian" / sample).read_text()
                # What is commented out is to be good too once its marks are gone.
                full = Path(folder) / f"full-{sample}"
                full.write_text(re.sub(r"(?m)^# ?(?=(?: *[a-z_]+:))", "", text))
                for file in (example, ROOT / "packaging/debian" / sample):
                    done = subprocess.run([BIN / program, "check-config", "--config", file],
                                          capture_output=True, text=True)
                    self.assertEqual(done.returncode, 0, f"{file}: {done.stdout}{done.stderr}")
                done = subprocess.run([BIN / program, "check-config", "--config", full],
                                      capture_output=True, text=True)
                self.assertNotIn("unknown key", done.stderr, f"{full.read_text()}")


class Units(unittest.TestCase):
    """What both units promise; the score itself is measured where systemd is (deb_test.py)."""

    def test_both_are_hardened_alike(self):
        keys = {}
        for unit in ("tocsin-agent.tocsin-agent@.service", "tocsin-collector.service"):
            text = (ROOT / "packaging/debian" / unit).read_text()
            keys[unit] = text[text.index("NoNewPrivileges"):text.index("[Install]")].strip()
            for line in ("Type=notify", "WatchdogSec=30", "LoadCredential=secrets:/etc/tocsin/secrets",
                         "RestartPreventExitStatus=2 78", "StartLimitIntervalSec=0"):
                self.assertIn(f"\n{line}\n", text, unit)
        self.assertEqual(*keys.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=Path)
    given, rest = parser.parse_known_args()
    BIN = given.build.resolve() / "bin"
    unittest.main(argv=[sys.argv[0], *rest])
