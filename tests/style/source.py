"""Reading the project's sources for the linters: which files there are and what is code in them."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CODE_DIRS = ("agent", "bench", "collector", "common", "tests")
CODE_SUFFIXES = (".h", ".cc")
SKIPPED_DIRS = {".git", "build", "node_modules", "__pycache__", ".cache"}


def project_files(root: Path) -> list[str]:
    """Every file that is or could be committed, as sorted paths relative to `root`."""
    try:
        out = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            capture_output=True, check=True).stdout
        names = [n for n in out.decode().split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = []  # An exported tree without git, or git refuses another user's directory.
        for here, dirs, files in os.walk(root):
            dirs[:] = [d for d in dirs if d not in SKIPPED_DIRS]
            names += [os.path.relpath(os.path.join(here, f), root) for f in files]
    return sorted(n for n in set(names) if (root / n).is_file())


def code_files(root: Path, suffixes=CODE_SUFFIXES) -> list[str]:
    return [n for n in project_files(root)
            if n.split("/")[0] in CODE_DIRS and n.endswith(suffixes)]


# One alternative per thing that is not code; order matters. Raw strings end at their own delimiter.
_TOKEN = re.compile(
    r'R"(?P<raw>[^\s()\\]{0,16})\((?:.|\n)*?\)(?P=raw)"'
    r"|//[^\n]*"
    r"|/\*(?:.|\n)*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f_])'(?:\\.|[^'\\\n])+'")


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def split_code(text: str) -> tuple[str, str]:
    """(code, comments): each as long as `text`, line for line, the other part blanked.

    String and character literals are blanked in both, but an include's "name" stays code.
    """
    code, comments, at = [], [], 0
    for m in _TOKEN.finditer(text):
        code.append(text[at:m.start()])
        comments.append(_blank(text[at:m.start()]))
        piece = m.group(0)
        if piece.startswith(("//", "/*")):
            code.append(_blank(piece))
            comments.append(piece)
        else:
            line_start = text.rfind("\n", 0, m.start()) + 1
            is_include = text[line_start:m.start()].strip() == "#include"
            code.append(piece if is_include else _blank(piece))
            comments.append(_blank(piece))
        at = m.end()
    code.append(text[at:])
    comments.append(_blank(text[at:]))
    return "".join(code), "".join(comments)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
