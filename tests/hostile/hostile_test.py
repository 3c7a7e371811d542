#!/usr/bin/env python3
"""Every string of corpus.txt through every sink: what comes out is read with parsers that are not ours, and has the
structure that it has for a harmless word. Nothing of it moves a cursor, turns a line around, or becomes markup, a
header, an event or a field."""

import argparse
import email.policy
import http.client
import io
import json
import re
import subprocess
import sys
import tempfile
import unicodedata
import unittest
import xml.etree.ElementTree as ElementTree
from email import message_from_bytes
from html.parser import HTMLParser
from pathlib import Path

PARSER = argparse.ArgumentParser()
PARSER.add_argument("--sinks", type=Path, required=True)
ARGS, REST = PARSER.parse_known_args()
HARMLESS = b"harmless"
# Values for programs: a user's own words go back as they were written, so that what is read can be applied again.
FORMS = ("api.monitor.json", "api.region.json", "api.status_page.json", "check.json")
LINES = (("br", ()), ("p", ()), ("/", "p"))
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def corpus() -> dict[str, bytes]:
    out = {}
    for line in (Path(__file__).parent / "corpus.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, text = line.split(" ", 1)
        data = re.sub(rb"\\(?:x([0-9a-f]{2})|(\\))",
                      lambda m: bytes([int(m[1], 16)]) if m[1] else b"\\", text.encode())
        name, _, times = name.partition("*")
        assert name not in out
        out[name] = data * int(times or 1)
    return out


class Markup(HTMLParser):
    """Tags with the names of their attributes, and the values of those that load or run something."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.shape, self.values, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.shape.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(name, value) for name, value in attrs
                        if name in ("href", "src", "style", "class", "id", "action")]

    def handle_endtag(self, tag):
        self.shape.append(("/", tag))

    def handle_decl(self, decl):
        self.shape.append(("!", decl))

    def handle_comment(self, data):
        self.shape.append(("--", data))

    def handle_pi(self, data):
        self.shape.append(("?", data))

    def handle_data(self, data):
        self.text.append(data)


def shape(value):
    """Of a JSON value: its members and kinds, without the texts."""
    if isinstance(value, dict):
        return {name: shape(v) for name, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return type(value).__name__


def texts(value):
    if isinstance(value, dict):
        for name, child in value.items():
            yield name
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)
    elif isinstance(value, str):
        yield value


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="tocsin-")
        cls.addClassCleanup(scratch.cleanup)
        cls.dir = Path(scratch.name)
        cls.corpus = corpus()
        for name, data in {"harmless": HARMLESS, **cls.corpus}.items():
            (cls.dir / name).mkdir()
            subprocess.run([str(ARGS.sinks), str(cls.dir / name)], input=data, check=True, timeout=60)
        cls.files = sorted(path.name for path in (cls.dir / "harmless").iterdir())

    def each(self, *suffixes: str):
        """(what, bytes, bytes for a harmless word) of every text in every sink of these kinds."""
        names = [file for file in self.files if file.endswith(suffixes)]
        self.assertTrue(names, suffixes)
        return [(f"{text} in {file}", (self.dir / text / file).read_bytes(),
                 (self.dir / "harmless" / file).read_bytes()) for text in self.corpus for file in names]

    def calm(self, text: str, what: str, keep: str = "\n"):
        """No control characters but `keep`, nothing that turns text around, no lone surrogates."""
        for c in text:
            if c in keep:
                continue
            bad = unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in BIDI or c == "\ufeff"
            self.assertFalse(bad, f"U+{ord(c):04X} in {what}")

    def test_every_sink_is_looked_at(self):
        self.assertGreater(len(self.corpus), 50)
        looked_at = (".html", ".json", ".rss", ".atom", ".svg", ".eml", ".http", ".line", ".sse", ".yaml", ".table",
                     ".report")
        self.assertEqual([file for file in self.files if not file.endswith(looked_at)], [])
        for text in self.corpus:
            self.assertEqual(sorted(p.name for p in (self.dir / text).iterdir()), self.files, text)

    def test_the_harmless_word_arrives_everywhere(self):
        """Else the other tests would look at sinks that the text does not reach."""
        for file in self.files:
            self.assertIn(HARMLESS, (self.dir / "harmless" / file).read_bytes().replace(b"=\r\n", b""), file)

    def test_a_page_stays_markup_of_ours(self):
        for what, got, harmless in self.each(".html"):
            page, plain = Markup(got.decode()), Markup(harmless.decode())
            # What is said in a report keeps its lines.
            shapes = [[tag for tag in m.shape if tag not in LINES] for m in (page, plain)]
            self.assertEqual(shapes[0], shapes[1], what)
            self.assertEqual(page.values, plain.values, what)
            self.calm("".join(page.text), what)

    def test_feeds_and_badges_are_xml_with_the_elements_of_ours(self):
        for what, got, harmless in self.each(".rss", ".atom", ".svg"):
            trees = [ElementTree.fromstring(data) for data in (got, harmless)]
            self.assertEqual(*([(e.tag, sorted(e.attrib)) for e in tree.iter()] for tree in trees), what)
            links = [[(e.tag, name, value) for e in tree.iter() for name, value in e.attrib.items()
                      if name in ("href", "src", "style", "id", "class", "type", "rel", "isPermaLink")]
                     for tree in trees]
            self.assertEqual(links[0], links[1], what)
            self.calm(got.decode(), what)
            for element in trees[0].iter():
                self.calm(element.text or "", what)
            # What readers show as HTML; a title, and what the channel is, are plain text.
            atom = "{http://www.w3.org/2005/Atom}content"
            for element in [*trees[0].iterfind(".//item/description"), *trees[0].iter(atom)]:
                shown = {tag for tag, _ in Markup(element.text or "").shape if tag != "/"}
                self.assertLessEqual(shown, {"p", "b", "br"}, f"{what}: {element.text!r}"[:500])

    def test_json_has_the_members_of_ours(self):
        for what, got, harmless in self.each(".json"):
            value = json.loads(got.decode())
            self.assertEqual(shape(value), shape(json.loads(harmless)), what)
            # As it is sent, and as whoever looks at it with curl sees it.
            self.calm(got.decode(), what)
            if not what.endswith(FORMS):
                for text in texts(value):
                    self.calm(text, what)

    def test_a_mail_has_the_headers_and_parts_of_ours(self):
        policy = email.policy.SMTP
        for what, got, harmless in self.each(".eml"):
            self.assertIsNone(re.search(rb"[^\r]\n|\r[^\n]|\x00", got), f"{what}: bare line ends, or NUL")
            self.assertTrue(all(len(line) <= 998 for line in got.split(b"\r\n")), what)
            mail, plain = (message_from_bytes(m, policy=policy) for m in (got, harmless))
            self.assertEqual(mail.keys(), plain.keys(), what)
            self.assertEqual([str(a) for a in mail["To"].addresses], ["ops@example.com"], what)
            for name in mail.keys():
                self.calm(str(mail[name]), f"{what}: {name}")
                if name.lower() not in ("subject",):
                    self.assertEqual(str(mail[name]), str(plain[name]), f"{what}: {name}")
            parts, plain_parts = list(mail.walk()), list(plain.walk())
            self.assertEqual([p.get_content_type() for p in parts], [p.get_content_type() for p in plain_parts])
            self.assertEqual([d for p in parts for d in p.defects], [], what)
            for part, plain_part in zip(parts, plain_parts):
                if part.is_multipart():
                    continue
                text = part.get_content()
                if part.get_content_type() == "text/html":
                    markup, plain_markup = Markup(text), Markup(plain_part.get_content())
                    self.assertEqual(markup.shape, plain_markup.shape, what)
                    self.assertEqual(markup.values, plain_markup.values, what)
                    text = "".join(markup.text)
                self.calm(text, what, keep="\r\n")

    def test_a_head_has_the_headers_of_ours(self):
        class Socket:
            def __init__(self, data):
                self.data = data

            def makefile(self, *_):
                return io.BytesIO(self.data)

        for what, got, harmless in self.each(".http"):
            heads = []
            for data in (got, harmless):
                answer = http.client.HTTPResponse(Socket(data))
                answer.begin()
                heads.append(([name for name, _ in answer.getheaders()], answer.status, answer.read()))
            self.assertEqual(heads[0], heads[1], what)
            self.assertEqual(got.count(b"\r\n"), harmless.count(b"\r\n"), what)

    def test_a_log_line_is_one_line_with_the_fields_of_ours(self):
        for what, got, _ in self.each(".line"):
            line = got.decode()
            self.assertEqual((line.count("\n"), line[-1]), (1, "\n"), what)
            self.calm(line, what)
            # Fields are NAME=VALUE, quoted when they are more than a word.
            fields = re.findall(r' (\w+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?= |$)', line.rstrip("\n"))
            self.assertEqual([name for name, _ in fields], ["text", "again", "count"], f"{what}: {line}")
        for what, got, _ in self.each("log.json"):
            self.assertEqual(got.count(b"\n"), 1, what)

    def test_an_event_is_one_event(self):
        for what, got, harmless in self.each(".sse"):
            # WHATWG HTML 9.2.6: lines end with CR, LF or CRLF; an empty line ends the event.
            found = []
            for data in (got, harmless):
                lines = re.split(r"\r\n|\n|\r", data.decode())
                self.assertEqual(lines[-2:], ["", ""], what)
                names = [line.partition(":")[0] for line in lines[:-2]]
                found.append((names, shape(json.loads(lines[2].removeprefix("data: ")))))
            self.assertEqual(found[0], found[1], what)
            self.assertEqual(found[0][0], ["id", "event", "data"], what)

    def test_a_terminal_shows_the_lines_of_ours(self):
        for what, got, harmless in self.each(".table", ".report", ".yaml"):
            text, plain = got.decode(), harmless.decode()
            self.calm(text, what)
            if what.endswith(".report"):
                self.assertTrue(all(len(line) <= 80 for line in text.split("\n")), what)
            elif what.endswith(".table"):
                self.assertEqual(text.count("\n"), plain.count("\n"), what)
            if what.endswith("ascii.report"):
                self.assertNotIn("\u2588", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST], verbosity=2)
