"""Find words that DAF does not use: `scripts/plain_english.py [PATH …]`, by default src/daf, README.md and docs.

Each rule is a word or phrase that an experienced English-speaking maintainer would not write, with what to write
instead. Where such a word is right, `scripts/plain_english_allowed.txt` holds the line: its path, a tab, and the line
without the white space around it. An entry that no longer matches anything is an error too, so the list stays short.

Prints `path:line: "word": write …` for each finding and exits with 1 if there are any.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = ROOT / "scripts" / "plain_english_allowed.txt"
READ = ("src/daf", "README.md", "CHANGELOG.md", "docs")
SUFFIXES = {".py", ".md", ".j2", ".js", ".html"}

RULES = {
    r"told|tells?|(?:is|are|was|were|be) said|says so": "report, print, log, warn or show",
    r"go(?:es|ing)? on|went on|anew|begun again": "resume, continue or restart",
    r"(?<!there )(?<!where )(?:is|are|was|were) no (?!longer|more\b|less\b|need|way)\w+": "must be …, got …; is not a",
    r"were there|not there yet": "from cache; is not supported",
    r"so many|as many as": "N, up to N",
    r"besides?": "next to, in addition to, compared with",
    r"whoever|whatever is|that which|what is": "name the subject",
    r"struck": "exceeded the limit",
    r"trial's training|run's folder": "training run of a trial, run directory",
    r"last[ _]sign": "last heartbeat",
    r"colleagues?|meeting": "process group, rendezvous",
    r"one's own|of (?:its|his|their) own": "one's own, of its own: separate, private, custom",
}
_ANY = re.compile("|".join(rf"(?P<r{number}>\b(?:{rule})\b)" for number, rule in enumerate(RULES)), re.IGNORECASE)
_ADVICE = list(RULES.values())


def main(arguments: list[str]) -> int:
    """Check the files below `arguments`, or all; the exit status."""
    allowed = _allowed()
    matched: set[tuple[str, str]] = set()
    findings = 0
    for path in _files(arguments):
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for found in _ANY.finditer(line.replace("_", " ")):
                entry = (name, line.strip())
                if entry in allowed:
                    matched.add(entry)
                    continue
                findings += 1
                advice = _ADVICE[int(str(found.lastgroup)[1:])]
                print(f'{name}:{number}: "{found.group()}": write {advice}')
    stale = [] if arguments else sorted(allowed - matched)
    for name, line in stale:
        print(f"{ALLOWED.relative_to(ROOT)}: no such line any more in {name}: {line}")
    return 1 if findings or stale else 0


def _files(arguments: list[str]) -> Iterator[Path]:
    for given in arguments or READ:
        path = (ROOT / given).resolve()
        if path.is_file():
            yield path
        else:
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)


def _allowed() -> set[tuple[str, str]]:
    lines = ALLOWED.read_text(encoding="utf-8").splitlines() if ALLOWED.is_file() else []
    entries = [line.split("\t", 1) for line in lines if line and not line.startswith("#")]
    return {(entry[0], entry[1]) for entry in entries}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
