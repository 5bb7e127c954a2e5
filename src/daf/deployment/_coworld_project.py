"""The files of a Coworld player project, next to the policy: the bridge, the image, and a page on how to use them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

POLICY, BRIDGE = "policy", "coworld_bridge"
BASE_IMAGE = "python:3.12.12-slim-bookworm"
PLATFORM = "linux/amd64"
_MODULES = ("__init__.py", "__main__.py", "episode.py", "seat.py")


def write(folder: Path, name: str, spec: Mapping[str, Any], requirements: Sequence[str]) -> None:
    """Add the project's own files to `folder`, which holds the bundle in `policy`."""
    (folder / BRIDGE).mkdir()
    source = files("daf.game.coworld")
    for module in _MODULES:
        (folder / BRIDGE / module).write_bytes(source.joinpath(module).read_bytes())
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    (folder / "Dockerfile").write_text(_dockerfile(spec), encoding="utf-8")
    (folder / "README.md").write_text(_readme(name, any(line.startswith("torch==") for line in requirements)), "utf-8")


def copy_policy(bundle: Path, folder: Path) -> None:
    """Put the content of the zip `bundle` into `folder`."""
    shutil.unpack_archive(bundle, folder, "zip")


def _dockerfile(spec: Mapping[str, Any]) -> str:
    script = spec["setup_script"]
    set_up = ""
    if script is not None:
        command = json.dumps(["python", script])
        set_up = f"WORKDIR /player/{POLICY}\nRUN {command}\nWORKDIR /player\n"
    return f"""\
FROM --platform={PLATFORM} {BASE_IMAGE}
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
WORKDIR /player
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY {POLICY} {POLICY}
COPY {BRIDGE} {BRIDGE}
{set_up}CMD ["python", "-m", "{BRIDGE}"]
"""


def _readme(name: str, torch: bool) -> str:
    image = image_name(name)
    memory = "\ntorch needs more than the 256 MiB of a player: add `--memory 1Gi` to the upload.\n" if torch else ""
    return f"""\
# {name}, a Coworld player

A container that plays one agent of CoGames' missions. The bridge reads `COWORLD_PLAYER_WS_URL`, speaks the game's
protocol `coworld.player.v1`, and answers every observation within 0.1 s, late ones with noop.

```bash
docker build --platform {PLATFORM} -t {image} .
coworld upload-policy {image} --name {image}
coworld submit --help
```
{memory}
Each agent is played by its own process. Agents that share memory within one process in CoGames don't share it here.

| file | content |
|---|---|
| `{POLICY}/` | the bundle: code, weights, `policy_spec.json` |
| `{BRIDGE}/` | the program of the container |
| `requirements.txt` | every package, pinned |
| `Dockerfile` | the image, {PLATFORM} |
"""


def image_name(name: str) -> str:
    """`name` as the name of an image: lower-case letters, digits and single dashes."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())
    return "-".join(part for part in kept.split("-") if part) or "player"
