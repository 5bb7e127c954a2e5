"""How fast replays are read, drawn and written: frames a second on one core, memory, and the player's first frame.

    python benchmarks/replay.py [--quick]

Two episodes are drawn with 16-pixel cells: one made up on 50×50 cells, where all of 24 agents walk at every step (more
than in what is played, where agents also wait), and the wheel's default replay, 10,000 steps of 32 agents.
Rates are by processor time, the median of three runs. "Rendering" draws every frame; "GIF" draws and writes it.
The player's first frame is timed in headless Chromium, from the start of loading the page to the map being drawn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from daf.game.replays import read_replay
from daf.game.sprites import data_dir
from daf.render.replays.frames import ReplayFrames, View
from daf.render.replays.gif import write_gif
from daf.render.replays.page import write_replay_html

CHROMIUM = Path("/usr/bin/chromium")
SIDE, AGENTS, BUILDINGS = 50, 24, 150


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast replays are read and drawn.")
    parser.add_argument("--quick", action="store_true", help="fewer steps, one run each")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = place / "made.json.z"
        made.write_bytes(zlib.compress(json.dumps(walking(300 if quick else 1500)).encode()))
        default = data_dir() / "replays" / "default.json.z"
        for name, file, view in (
            (f"made up, {SIDE}×{SIDE}, {AGENTS} agents", made, View(cell=16)),
            ("default.json.z, 130×130, 32 agents", default, View(cell=16, end=300 if quick else 1500)),
        ):
            report(name, file, view, place / "out.gif", rounds)
        memory(default, place / "whole.gif", 1000 if quick else None)
        player(default, place / "default.html")


def report(name: str, file: Path, view: View, target: Path, rounds: int) -> None:
    """Print the speed of reading, rendering and writing one replay."""
    reading = rate(lambda: read_replay(file).steps and 1, rounds)
    replay = read_replay(file)

    def render() -> int:
        return sum(1 for _ in ReplayFrames(replay, view))

    rendering = rate(render, rounds)
    writing = rate(lambda: write_gif(replay, target, view=view).frames, rounds)
    size = target.stat().st_size / len(ReplayFrames(replay, view))
    print(f"{name}: read in {1000 / reading:.0f} ms; rendering {rendering:,.0f} frames/s; ", end="")
    print(f"GIF {writing:,.0f} frames/s, {size / 1000:.1f} kB a frame")


def rate(work: Callable[[], int], rounds: int) -> float:
    """What `work` gets done a second of processor time; its first call, which warms caches, does not count."""
    work()
    rates = []
    for _ in range(rounds):
        began = process_time()
        done = work()
        rates.append(done / (process_time() - began))
    return median(rates)


def memory(file: Path, target: Path, end: int | None) -> None:
    """Print the largest memory of a process that draws a whole long replay."""
    script = (
        "import sys, resource; from daf.replaying import daf_replay_gif; from daf.render.replays.frames import View\n"
        "end = int(sys.argv[3]) or None\n"
        "print(daf_replay_gif(sys.argv[1], sys.argv[2], view=View(end=end)).frames, "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    began = perf_counter()
    command = [sys.executable, "-c", script, str(file), str(target), str(end or 0)]
    frames, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    took = perf_counter() - began
    print(f"{file.name}: {int(frames):,} steps to a GIF in {took:.1f} s and {megabytes} MB of memory")


def player(file: Path, target: Path) -> None:
    """Print the player's size and the time to its first frame."""
    began = perf_counter()
    size = write_replay_html(read_replay(file), target).size_bytes
    took = perf_counter() - began
    print(f"{file.name}: player of {size / 1e6:.1f} MB written in {took:.1f} s", end="")
    if not CHROMIUM.exists():
        print(f"; its first frame was not timed: {CHROMIUM} is not installed")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        times = []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(target.as_uri())
            page.wait_for_selector("html[data-ready]")
            times.append(int(page.evaluate("document.documentElement.dataset.ready")))
            page.close()
        browser.close()
    print(f"; first frame after {median(times)} ms")


def walking(steps: int) -> dict[str, Any]:
    """An episode in which every agent walks at every step, as JSON data."""
    generator = np.random.default_rng(3)
    ways = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]])
    objects: list[dict[str, Any]] = []
    for x in range(SIDE):
        for y in range(SIDE):
            if x in (0, SIDE - 1) or y in (0, SIDE - 1):
                objects.append({"id": len(objects), "type_name": "wall", "location": [x, y], "inventory": []})
    for number in range(BUILDINGS):
        kind = ("junction", "carbon_extractor", "oxygen_extractor")[number % 3]
        place = generator.integers(1, SIDE - 1, 2).tolist()
        objects.append({"id": len(objects), "type_name": kind, "location": place, "inventory": [], "tag_ids": []})
    for number in range(AGENTS):
        place = np.array([2 + 2 * (number % 24), SIDE // 2])
        places, stock, actions, rewards = [], [], [], []
        for step in range(steps):
            way = int(generator.integers(4))
            place = np.clip(place + ways[way], 1, SIDE - 2)
            places.append([step, place.tolist()])
            stock.append([step, [[0, 100 - step % 50], [1, (step * 7) % 20], [2, 1]]])
            actions.append([step, way])
            rewards.append([step, step * 0.01])
        fields = {"location": places, "inventory": stock, "action_id": actions, "total_reward": rewards}
        objects.append(
            {"id": len(objects), "type_name": "agent", "agent_id": number, "tag_ids": [0]}
            | {name: changes if len(changes) > 1 else changes[0][1] for name, changes in fields.items()}
        )
    return {
        "version": 4,
        "action_names": ["move_north", "move_south", "move_west", "move_east"],
        "item_names": ["hp", "energy", "miner"],
        "type_names": ["agent", "carbon_extractor", "junction", "oxygen_extractor", "wall"],
        "tags": {"team:cogs": 0},
        "map_size": [SIDE, SIDE],
        "num_agents": AGENTS,
        "max_steps": steps,
        "objects": objects,
    }


if __name__ == "__main__":
    main()
