"""How fast the dashboard is: a thousand runs on the screen, a long run's curves, what goes on while it is watched.

    python benchmarks/dashboard.py [--quick]

An output folder is made of 1,000 runs: execution logs as the frame writes them, every second run a training run with
200 updates. "On the screen" is timed in headless Chromium, from the start of loading the page to the table saying that
it has all runs; the server has not looked at the folder before. Latency is from the end of writing an update to the
page showing it; the server looks once a second, so half a second is the mean to expect. "Processor" is the time that
the work took of a core, which on a machine with other work is less than the time that passed.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, time

import psutil

from daf.dashboard import Dashboard
from daf.dashboard.curves import Curves
from daf.dashboard.run_index import RunIndex
from daf.output_manager import OutputManager

CHROMIUM = Path("/usr/bin/chromium")
NAMES = 40
WHEN_CHANGED = """update => {
  const root = document.documentElement;
  const observer = new MutationObserver(() => requestAnimationFrame(() => {
    root.dataset.at = (performance.timeOrigin + performance.now()) / 1000;
    root.dataset.changed = update;
    observer.disconnect();
  }));
  observer.observe(document.querySelector('[data-name="episode/return"] .now'), { childList: true, subtree: true });
}"""
WHEN_SHOWN = """new MutationObserver(() => {
  const told = document.querySelector("output")?.textContent ?? "";
  if (told.startsWith("%s") && !document.documentElement.dataset.shown) {
    requestAnimationFrame(() => { document.documentElement.dataset.shown = performance.now(); });
  }
}).observe(document, { subtree: true, childList: true, characterData: true })"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast the dashboard is.")
    parser.add_argument("--quick", action="store_true", help="100 runs, a short curve, one round")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        count = 100 if quick else 1000
        live = output_folder(base, count)
        look(base)
        long_run(base, 1000 if quick else 20_000)
        if CHROMIUM.exists():
            browser(base, live, 1 if quick else 5, count)
        else:
            print(f"no {CHROMIUM}: nothing is timed in a browser")


def output_folder(base: Path, count: int) -> Path:
    """`count` runs; the folder of one of training."""
    with OutputManager(base).operation("training", title="model", config={"total_timesteps": 1_000_000}) as model:
        pass
    log = json.loads((model / "execution_log.json").read_text())
    text = "".join(line(update) for update in range(200))
    for number in range(count - 1):
        operation = "training" if number % 2 else "evaluations"
        folder = base / operation / f"20260101_{number:06d}"
        folder.mkdir(parents=True)
        entry = log | {"run_id": folder.name, "operation": operation, "title": f"run number {number} on arena"}
        (folder / "execution_log.json").write_text(json.dumps(entry, indent=2))
        if operation == "training":
            (folder / "metrics.jsonl").write_text(text)
            (folder / "experiment_config.json").write_text('{"total_timesteps": 1000000}')
    (model / "metrics.jsonl").write_text(text)
    return model


def line(update: int) -> str:
    values = {f"loss/number_{name}": (update * 31 + name * 7) % 101 / 10 for name in range(NAMES)}
    return (
        json.dumps({"step": 2048 * (update + 1), "update": update + 1, "episode/return": update / 7, **values}) + "\n"
    )


def look(base: Path) -> None:
    """The index: everything for the first time, and again."""
    index = RunIndex(base)
    used = process_time()
    first = timed(index.refresh)
    used = process_time() - used
    before = process_time()
    again = median(timed(index.refresh) for _ in range(10))
    later = (process_time() - before) / 10
    print(
        f"index of {len(index.since(0)[0]):,} runs: first {first * 1000:.0f} ms (processor {used * 1000:.0f} ms), "
        f"again {again * 1000:.1f} ms; ratio of processor times {later / used:.3f}"
    )


def long_run(base: Path, updates: int) -> None:
    """A long run's curves: all of them, and what one update adds."""
    folder = base / "long"
    folder.mkdir()
    path = folder / "metrics.jsonl"
    path.write_text("".join(line(update) for update in range(updates)))
    curves = Curves()
    resident = psutil.Process().memory_info().rss
    began, used = perf_counter(), process_time()
    data, cursor = curves.full(folder)
    first, used = perf_counter() - began, process_time() - used
    points = sum(len(values[0]) for values in data["series"].values())
    grown = (psutil.Process().memory_info().rss - resident) / 2**20
    with path.open("a") as file:
        file.write(line(updates))
    before = process_time()
    again = timed(lambda: curves.added(folder, cursor))
    later = process_time() - before
    size = path.stat().st_size / 1e6
    print(
        f"a run of {updates:,} updates of {NAMES + 2} curves ({size:.0f} MB): "
        f"first {first:.2f} s (processor {used:.2f} s), "
        f"{points:,} points sent, {grown:.0f} MB kept; one more update {again * 1000:.1f} ms; ratio of "
        f"processor times {later / used:.5f}"
    )


def browser(base: Path, live: Path, rounds: int, count: int) -> None:
    """From the start of loading to all runs on the screen, and from an update to its value on the screen."""
    from playwright.sync_api import sync_playwright

    loads, latencies = [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds):
            with serving(base) as dashboard:
                page = chromium.new_page(viewport={"width": 1280, "height": 900})
                page.add_init_script(WHEN_SHOWN % f"{count:,} of {count:,}")
                page.goto(dashboard.url)
                page.wait_for_selector("html[data-shown]", state="attached")
                loads.append(float(page.get_attribute("html", "data-shown") or "nan") / 1000)
                page.close()
        with serving(base) as dashboard:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{dashboard.url}#/run/{live.parent.name}/{live.name}")
            page.locator('.chart[data-name="episode/return"] .now').wait_for()
            for update in range(200, 200 + 4 * rounds):
                page.evaluate(WHEN_CHANGED, update)
                with (live / "metrics.jsonl").open("a") as file:
                    file.write(line(update))
                written = time()
                page.wait_for_selector(f"html[data-changed='{update}']", state="attached")
                latencies.append(float(page.get_attribute("html", "data-at") or "nan") - written)
            began, used = perf_counter(), process_time()
            page.wait_for_timeout(5000)
            share = (process_time() - used) / (perf_counter() - began)
        chromium.close()
    print(f"{count:,} runs on the screen: median {median(loads):.2f} s, longest {max(loads):.2f} s of {len(loads)}")
    print(
        f"an update on the screen: median {median(latencies):.2f} s, longest {max(latencies):.2f} s of {len(latencies)}"
    )
    print(f"the server while one page watches {count:,} runs: {share:.1%} of a core")


@contextmanager
def serving(base: Path) -> Iterator[Dashboard]:
    dashboard = Dashboard(base, port=0)
    dashboard.start()
    try:
        yield dashboard
    finally:
        dashboard.stop()


def timed(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
