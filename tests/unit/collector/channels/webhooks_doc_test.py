"""The recipe of docs/webhooks.md verifies the signed example of docs/webhooks.md, and nothing else."""

import pathlib
import re
import sys
import unittest

DOC = (pathlib.Path(sys.argv.pop()) / "docs" / "webhooks.md").read_text(encoding="utf-8")


def block(language, heading):
    section = DOC[DOC.index(heading):]
    return re.search(rf"```{language}\n(.*?)```", section, re.S).group(1)


class Recipe(unittest.TestCase):
    def setUp(self):
        scope = {}
        exec(block("python", "## Verifying in Python"), scope)  # The document's own code.
        self.verify = scope["verify"]
        head, body = block("http", "## A signed example").split("\n\n", 1)
        self.body = body.rstrip("\n").encode()
        self.headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
        self.secret = re.search(r"whsec_[A-Za-z0-9+/=]+(?=`:)", DOC).group(0)
        self.now = int(self.headers["webhook-timestamp"])

    def test_the_example_verifies(self):
        self.assertEqual(self.verify(self.secret, self.headers, self.body, self.now),
                         self.headers["webhook-id"])

    def test_one_of_two_signatures_is_enough(self):
        self.headers["webhook-signature"] = "v1,AAAA " + self.headers["webhook-signature"]
        self.verify(self.secret, self.headers, self.body, self.now)

    def test_a_changed_body_is_refused(self):
        with self.assertRaises(ValueError):
            self.verify(self.secret, self.headers, self.body + b" ", self.now)

    def test_a_changed_id_is_refused(self):
        self.headers["webhook-id"] = "other"
        with self.assertRaises(ValueError):
            self.verify(self.secret, self.headers, self.body, self.now)

    def test_an_old_message_is_refused(self):
        with self.assertRaises(ValueError):
            self.verify(self.secret, self.headers, self.body, self.now + 301)

    def test_another_secret_is_refused(self):
        with self.assertRaises(ValueError):
            self.verify("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", self.headers, self.body, self.now)


if __name__ == "__main__":
    unittest.main()
