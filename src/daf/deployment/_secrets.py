"""Secrets in files that are about to be shared, found by the names of files and by the form of their content.

A finding names the file, the line and the kind of secret, never the secret. Passwords that look like words are not
found, nor anything in a binary file: this is a net for mistakes, not a proof.
"""

import fnmatch
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

LONGEST_FILE = 64 * 2**20
"""Bytes of a file that is searched."""
LEAST_CHARACTERS, MOST_BITS = 20, 4.3
"""A string of a configuration file that is this long, with more bits of entropy per character, counts as a secret."""

_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "*.jks", "*.keystore", "id_rsa*",
    "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pypirc", ".npmrc", ".htpasswd", ".git-credentials",
    "credentials", "credentials.json", "client_secret*.json", ".dockercfg",
)  # fmt: skip
_CONFIG = frozenset({".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".config", ".properties", ".xml"})
_FORMS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "an API key of the form sk-…": r"\bsk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30}",
    "a Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10}",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20}",
    "a PyPI token": r"\bpypi-[A-Za-z0-9_-]{50}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}",
    "a JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10}",
    "a URL with a password": r"[a-z][a-z0-9+.-]*://[^\s/:@'\"{}<>]+:[^\s/:@'\"{}<>]+@",
}
_FORM = re.compile("|".join(f"({form})" for form in _FORMS.values()))
_STRING = re.compile(rf"[^\s\"'`,;:=<>(){{}}\[\]]{{{LEAST_CHARACTERS},}}=*")


def of_name(name: str) -> str | None:
    """Why a file of this name is not shared; None if nothing is wrong with the name."""
    base = PurePosixPath(name).name.lower()
    if any(fnmatch.fnmatchcase(base, pattern) for pattern in _NAMES):
        return "files of this name hold secrets"
    return None


def in_content(name: str, content: bytes, *, known: Iterable[str] = ()) -> Iterator[str]:
    """The secrets in a text file, each with its line. known: strings of a configuration file that are none."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return
    if "\0" in text:
        return
    accepted = set(known)
    config = PurePosixPath(name).suffix.lower() in _CONFIG
    for number, line in enumerate(text.splitlines(), 1):
        for found in _FORM.finditer(line):
            yield f"line {number} holds {list(_FORMS)[(found.lastindex or 1) - 1]}"
        for found in _STRING.finditer(line) if config else ():
            if found[0] not in accepted and entropy(found[0]) > MOST_BITS:
                yield f"line {number} holds a string of {len(found[0])} characters that looks random"


def entropy(text: str) -> float:
    """Bits per character, from how often each occurs in `text`."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def is_allowed(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns (`config.yaml`, `data/*.json`) names the file."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
