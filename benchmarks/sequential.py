"""Error, power and cost of comparing until decided, into docs/calibration.md below the line that says so.

    python benchmarks/sequential.py                    all cells (an hour of one core), then the page
    python benchmarks/sequential.py --minutes 10       as many cells as fit; the next call does the others
    python benchmarks/sequential.py --page             the page from the cells that are done

Resumable: every cell is a line of --state, and a cell that is there, at this --scale or a larger one, is not computed
again. Cells of equal policies are
computed for many families at once, with the sums, statistics and spending of `daf.stats`; those where some policies
differ run `daf.stats.group_sequential` itself.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reward_shapes import MEANS, SHAPES, SPREADS, draw, play
from rivals import ALPHA, adastop, student, welch

from daf.stats.bootstrap import interval
from daf.stats.eprocess import symmetry
from daf.stats.group_sequential import Design, GroupSequential, looks_of
from daf.stats.permutation import sign_flip
from daf.stats.power import needed
from daf.stats.sign_vectors import drawn
from daf.stats.signed_sums import TIE, SignedSums, statistics
from daf.stats.spending import spent

PAGE = Path(__file__).resolve().parents[1] / "docs" / "calibration.md"
STATE = Path(__file__).resolve().with_suffix(".jsonl")
MARK = "<!-- below: benchmarks/sequential.py -->"
Array = NDArray[np.float64]

VECTORS = 2_000
LOOKS = 16
BLOCKS = 32
FAMILIES = {2: 20_000, 5: 5_000, 10: 5_000}
PARTIAL = {"2 of 3 equal": (0.0, 0.0, 1.5), "3 of 5 equal": (0.0, 0.0, 0.0, 1.0, 2.5)}
EFFECTS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)
PLANNED = (0.25, 0.35, 0.5)
"""Effects that the fixed number has power 0.9 for."""
RACED = tuple(sorted({*EFFECTS, *PLANNED, *(2 * planned for planned in PLANNED)}))
RACES = 2_000
SECONDS = 5.0
"""Processor time of a large comparison."""
ADASTOP_FAMILIES = 334
"""For each of six shapes, 2,000 together; one takes a second."""
SKEWED = ("lognormal against constant", "lognormal against normal", "80 % zeros against constant")
METHODS = ("inversion", "studentized inversion", "bootstrap-t")
SAMPLES = 4_000
COVERAGE_BLOCKS = (20, 50)
_HELD = 6_000_000
"""Numbers held at once."""

Cell = dict[str, float]


def first_crossing(
    parts: Callable[[int], Sequence[SignedSums]], families: int, alpha: float, looks: int
) -> NDArray[np.int64]:
    """(families,) the look at which each family first crosses the boundary of all of its pairs, or -1.

    parts: the sums up to a look, rows by family and pair.
    """
    crossed: NDArray[np.bool_] | None = None
    found = np.full(families, -1)
    for look in range(looks):
        score = statistics(parts(look))[1]
        values = score.reshape(families, -1, score.shape[1]).max(axis=1)
        if crossed is None:
            crossed = np.zeros(values.shape, dtype=np.bool_)
        allowed = int(spent("hwang-shih-decani", alpha, (look + 1) / looks) * values.shape[1] * (1 + 1e-12))
        room = allowed - crossed.sum(axis=1)
        if allowed == 0:
            continue
        waiting = np.where(crossed, -1.0, values)
        top = -np.sort(-np.partition(waiting, waiting.shape[1] - allowed - 1, axis=1)[:, -(allowed + 1) :], axis=1)
        boundary = np.where(room > 0, top[np.arange(families), np.clip(room, 0, allowed)], np.inf)
        over = waiting > boundary[:, None] + TIE
        found[(found < 0) & over[:, 0]] = look
        crossed |= over
    return found


def equal_policies(shape: str, policies: int, missions: int, families: int, seed: int) -> Cell:
    """How often equal policies are called different, anywhere."""
    rng = np.random.default_rng([seed, SHAPES.index(shape), policies, missions])
    pairs = list(combinations(range(policies), 2))
    step = max(20, min(500, _HELD // (len(pairs) * VECTORS)))
    errors = done = 0
    while done < families:
        count = min(step, families - done)
        apart = []
        for _ in range(missions):
            scores = play(shape, rng, count, policies, BLOCKS)
            apart.append(np.stack([scores[:, a] - scores[:, b] for a, b in pairs], axis=1).reshape(-1, BLOCKS))
        errors += int(_any_error(apart, count, f"{shape} {policies} {missions} {done}").sum())
        done += count
    return {"families": families, "errors": errors}


def _any_error(apart: list[Array], families: int, tag: str) -> NDArray[np.bool_]:
    size = BLOCKS // LOOKS
    rows = len(apart[0])
    wrong = np.zeros(families, dtype=np.bool_)
    signs = [drawn([(f"{tag} {m}", seed) for seed in range(BLOCKS)], VECTORS) for m in range(len(apart))]

    def sums_of(missions: Sequence[int]) -> Callable[[int], Sequence[SignedSums]]:
        parts = [SignedSums(rows, VECTORS + 1) for _ in missions]

        def at(look: int) -> Sequence[SignedSums]:
            new = slice(look * size, (look + 1) * size)
            for part, mission in zip(parts, missions, strict=True):
                part.add(apart[mission][:, new], signs[mission][new])
            return parts

        return at

    several = len(apart) > 1
    for mission in range(len(apart)):
        level = ALPHA / (2 * len(apart)) if several else ALPHA
        wrong |= first_crossing(sums_of([mission]), families, level, LOOKS) >= 0
    if several:
        wrong |= first_crossing(sums_of(range(len(apart))), families, ALPHA / 2, LOOKS) >= 0
    return wrong


def partial_null(shape: str, name: str, families: int, seed: int) -> Cell:
    """How often equal pairs are called different where others differ: the whole engine, closed test and step-down."""
    lead = PARTIAL[name]
    rng = np.random.default_rng([seed, SHAPES.index(shape), len(lead)])
    pairs = list(combinations(range(len(lead)), 2))
    design = Design(looks_of(BLOCKS, 8), ALPHA, vectors=VECTORS // 2, futility=0.0)
    errors = 0
    for family in range(families):
        scores = play(shape, rng, 1, len(lead), BLOCKS)[0] + 2**0.5 * SPREADS[shape] * np.array(lead)[:, None]
        test = GroupSequential(len(pairs), [f"{shape} {name} {family}"], design)
        before = 0
        for blocks in design.looks:
            new = scores[:, before:blocks]
            test.look({0: (range(before, blocks), np.array([new[a] - new[b] for a, b in pairs]))})
            before = blocks
        rejected = test.families[0].different.rejected
        errors += any(lead[a] == lead[b] and index in rejected for index, (a, b) in enumerate(pairs))
    return {"families": families, "errors": errors}


def race(effect: float, planned: float, families: int, seed: int) -> Cell:
    """Power and mean blocks of the group-sequential test, with the maximum that `daf power` names for `planned`."""
    plan = needed(planned, 1.0, alpha=ALPHA)
    assert plan.most is not None
    assert plan.fixed is not None
    rng = np.random.default_rng([seed, int(1000 * effect), int(1000 * planned)])
    looks = np.array(looks_of(plan.most, LOOKS))
    edges = [0, *looks]
    found, blocks, e_found, e_blocks, fixed = 0, 0.0, 0, 0.0, 0
    step = max(20, min(250, _HELD // VECTORS))
    for start in range(0, families, step):
        count = min(step, families - start)
        d = rng.normal(effect, 1.0, (count, plan.most))
        signs = drawn([(f"{effect} {planned} {start}", place) for place in range(plan.most)], VECTORS)
        part = SignedSums(count, VECTORS + 1)

        def at(look: int, part: SignedSums = part, d: Array = d, signs: Array = signs) -> Sequence[SignedSums]:
            part.add(d[:, edges[look] : edges[look + 1]], signs[edges[look] : edges[look + 1]])
            return [part]

        when = first_crossing(at, count, ALPHA, LOOKS)
        found += int((when >= 0).sum())
        blocks += float(np.where(when >= 0, looks[when], plan.most).sum())
        wealth = symmetry(rng.normal(effect, 1.0, (count, 2 * plan.fixed))).both >= 1 / ALPHA
        e_found += int(wealth.any(axis=1).sum())
        e_blocks += float(np.where(wealth.any(axis=1), wealth.argmax(axis=1) + 1, wealth.shape[1]).sum())
        t = d[:, : plan.fixed]
        low, high = student(t)
        fixed += int(((low > 0) | (high < 0)).sum())
    return {
        "families": families, "fixed": plan.fixed, "most": plan.most, "power": found / families,
        "blocks": blocks / families, "fixed_power": fixed / families, "e_most": 2 * plan.fixed,
        "e_power": e_found / families, "e_blocks": e_blocks / families,
    }  # fmt: skip


def rivals(shape: str, effect: float, families: int, seed: int) -> Cell:
    """AdaStop as its users call it (6 checks of 6 runs), and Welch's test after every block from the fifth to 36."""
    rng = np.random.default_rng([seed, SHAPES.index(shape), int(1000 * effect), 7])
    found = blocks = 0.0
    scores = play(shape, rng, families, 2, 36, shared=0.0)
    scores[:, 0] += effect * SPREADS[shape]
    for family in range(families):
        decided, used = adastop(scores[family], family)
        found, blocks = found + decided, blocks + used
    ever = np.zeros(families, dtype=np.bool_)
    first = np.full(families, 36)
    for n in range(5, 37):
        hit = welch(scores[:, :, :n]).min(axis=1) <= ALPHA
        first[hit & ~ever] = n
        ever |= hit
    return {
        "families": families, "power": found / families, "blocks": blocks / families,
        "welch": float(ever.mean()), "welch_blocks": float(first.mean()),
    }  # fmt: skip


def coverage(method: str, data: str, n: int, samples: int, seed: int) -> Cell:
    """Coverage and width of an interval of a paired difference."""
    rng = np.random.default_rng([seed, (*SHAPES, *SKEWED).index(data), n])
    d, truth = _differences(data, rng, (samples, n))
    if method == "inversion":
        flipped = sign_flip(d, alpha=ALPHA, resamples=1_999)
        low, high = flipped.low, flipped.high
    elif method == "bootstrap-t":
        found = interval(d, method="studentized", alpha=ALPHA, resamples=999)
        low, high = found.low, found.high
    else:
        d = d[: samples // 4]
        low, high = _studentized_inversion(d)
    bounded = np.isfinite(low) & np.isfinite(high)
    covered = int(((low <= truth) & (truth <= high)).sum())
    return {"samples": len(d), "covered": covered, "width": float(np.median((high - low)[bounded]))}


def _studentized_inversion(d: Array) -> tuple[Array, Array]:
    """The shifts at which |t| of the data is not among the largest 5 % of |t| of its sign flips; by bisection."""
    flips = drawn([("inversion", place) for place in range(d.shape[1])], 999)
    n, centre = d.shape[1], d.mean(axis=1)
    error = d.std(axis=1, ddof=1) / n**0.5

    def kept(shift: Array) -> NDArray[np.bool_]:
        off = d - shift[:, None]
        mean = off @ flips / n
        t = np.abs(mean) / np.sqrt(np.maximum((off**2).mean(axis=1)[:, None] - mean**2, 1e-300) / (n - 1))
        return (t >= t[:, :1] * (1 - 1e-9)).mean(axis=1) > ALPHA

    bounds = []
    for side in (-1.0, 1.0):
        inside, outside = np.zeros(len(d)), np.full(len(d), 8.0)
        for _ in range(12):
            middle = (inside + outside) / 2
            inner = kept(centre + side * middle * error)
            inside, outside = np.where(inner, middle, inside), np.where(inner, outside, middle)
        bounds.append(centre + side * outside * error)
    return bounds[0], bounds[1]


def _differences(data: str, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, float]:
    if data in SHAPES:
        scores = play(data, rng, size[0], 2, size[1])
        truth = 0.7 * SPREADS[data]
        return scores[:, 0] - scores[:, 1] + truth, truth
    if data == "lognormal against constant":
        return draw("lognormal", rng, size), MEANS["lognormal"]
    if data == "lognormal against normal":
        return draw("lognormal", rng, size) - draw("normal", rng, size), MEANS["lognormal"]
    return draw("zero-inflated", rng, size), MEANS["zero-inflated"]


def speed(policies: int, missions: int, blocks: int, seed: int) -> Cell:
    """Processor seconds of a comparison of equal policies, all looks, B = 10,000."""
    rng = np.random.default_rng([seed, 11])
    pairs = list(combinations(range(policies), 2))
    scores = rng.normal(size=(policies, missions, blocks))
    d = np.array([scores[a] - scores[b] for a, b in pairs])
    design = Design(looks_of(blocks, LOOKS), ALPHA)
    started = time.process_time()
    test = GroupSequential(len(pairs), [f"speed {mission}" for mission in range(missions)], design)
    before = 0
    for look in design.looks:
        test.look({mission: (range(before, look), d[:, mission, before:look]) for mission in range(missions)})
        before = look
        if test.ended:
            break
    return {"seconds": time.process_time() - started, "looks": test.looks}


def cells(scale: float) -> dict[str, Callable[[int], Cell]]:
    """Every cell by its name, in the order in which they are computed."""

    def of(count: int) -> int:
        return max(20, round(scale * count))

    found: dict[str, Callable[[int], Cell]] = {"speed": lambda seed: speed(10, 20, 200, seed)}
    for data in (*SHAPES, *SKEWED):
        for n in COVERAGE_BLOCKS:
            for method in METHODS:
                found[f"coverage/{data}/{n}/{method}"] = lambda seed, method=method, data=data, n=n: coverage(
                    method, data, n, of(SAMPLES), seed
                )
    for planned in PLANNED:
        for effect in RACED:
            found[f"race/{planned}/{effect}"] = lambda seed, effect=effect, planned=planned: race(
                effect, planned, of(RACES), seed
            )
    for shape in SHAPES:
        found[f"equal/{shape}/2/1"] = lambda seed, shape=shape: equal_policies(shape, 2, 1, of(FAMILIES[2]), seed)
    for shape in SHAPES:
        found[f"rivals/{shape}/0.0"] = lambda seed, shape=shape: rivals(shape, 0.0, of(ADASTOP_FAMILIES), seed)
    for effect in EFFECTS[1:]:
        found[f"rivals/normal/{effect}"] = lambda seed, effect=effect: rivals("normal", effect, of(100), seed)
    for name in PARTIAL:
        for shape in SHAPES:
            found[f"partial/{shape}/{name}"] = lambda seed, shape=shape, name=name: partial_null(
                shape, name, of(1_000), seed
            )
    for policies, missions in ((2, 3), (5, 1), (10, 1), (5, 3), (10, 3)):
        for shape in SHAPES:
            found[f"equal/{shape}/{policies}/{missions}"] = (
                lambda seed, shape=shape, policies=policies, missions=missions: equal_policies(
                    shape, policies, missions, of(FAMILIES[policies]), seed
                )
            )
    return found


def compute(state: Path, minutes: float, scale: float, seed: int, only: str) -> dict[str, Cell]:
    """The cells that are done, after computing missing ones for `minutes`."""
    done = read(state)
    state.parent.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * minutes
    for name, cell in cells(scale).items():
        if done.get(name, {}).get("scale", 0.0) >= scale or not name.startswith(only):
            continue
        if time.monotonic() > ends:
            break
        started = time.process_time()
        done[name] = cell(seed) | {"scale": scale}
        with state.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cell": name, **done[name]}) + "\n")
        print(f"{name}: {time.process_time() - started:.1f} s {done[name]}", file=sys.stderr, flush=True)
    return done


def read(state: Path) -> dict[str, Cell]:
    if not state.is_file():
        return {}
    rows = [json.loads(line) for line in state.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {row.pop("cell"): row for row in rows}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the families of each cell")
    parser.add_argument("--only", default="", help="only cells whose name starts with this")
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--page", action="store_true", help="write the page and compute nothing")
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    minutes = 0.0 if options.page else options.minutes
    done = compute(options.state, minutes, options.scale, options.seed, options.only)
    text, broken = sections(done)
    before = options.output.read_text(encoding="utf-8").split(MARK)[0].rstrip() if options.output.is_file() else ""
    options.output.write_text(f"{before}\n\n{MARK}\n\n{text}\n", encoding="utf-8")
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


def sections(done: dict[str, Cell]) -> tuple[str, list[str]]:
    """The page's part as Markdown, and the promises that are broken."""
    broken: list[str] = []
    missed: list[str] = []
    parts = [
        "## Group-sequential comparison\n\nWritten by `benchmarks/sequential.py`; do not edit. "
        f"{len(done)} of {len(cells(1.0))} cells are computed. SE is the standard error of the simulation.",
        _speed(done, broken),
        _equal(done, broken),
        _partial(done, broken),
        _races(done, missed),
        _rivals(done),
        _coverage(done),
    ]
    for title, lines in (("Goals that are not met:", missed), ("Not kept:", broken)):
        if lines:
            parts.insert(1, f"{title}\n\n" + "\n".join(f"- {line}" for line in dict.fromkeys(lines)))
    return "\n\n".join(part for part in parts if part), broken


def _speed(done: dict[str, Cell], broken: list[str]) -> str:
    if "speed" not in done:
        return ""
    seconds = done["speed"]["seconds"]
    if seconds > SECONDS:
        broken.append(f"10 policies × 20 missions in {SECONDS:g} s: {seconds:.1f} s")
    return (
        f"10 policies × 20 missions × {LOOKS} looks of up to 200 blocks with B = 10,000 take less than {SECONDS:g} s "
        "of one core, futility included."
        if seconds <= SECONDS
        else f"10 policies × 20 missions take {seconds:.1f} s of one core."
    )


def _table(title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [f"### {title}", "", text, "", "| " + " | ".join(head) + " |"]
    lines.append("|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|")
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _error(cell: Cell, name: str, broken: list[str]) -> str:
    rate, families = cell["errors"] / cell["families"], cell["families"]
    allowance = ALPHA + 3 * (ALPHA * (1 - ALPHA) / families) ** 0.5
    if rate > allowance:
        broken.append(f"{name}: {rate:.4f} > {allowance:.4f}")
    return f"{rate:.4f} ± {(rate * (1 - rate) / families) ** 0.5:.4f} ({families:,.0f})"


def _equal(done: dict[str, Cell], broken: list[str]) -> str:
    columns = [(policies, missions) for policies in FAMILIES for missions in (1, 3)]
    rows = []
    for shape in SHAPES:
        names = [f"equal/{shape}/{policies}/{missions}" for policies, missions in columns]
        if any(name in done for name in names):
            rows.append([shape, *(_error(done[name], name, broken) if name in done else "–" for name in names)])
    return _table(
        "Equal policies: any false finding",
        f"α = {ALPHA}, {LOOKS} looks at up to {BLOCKS} blocks per mission, B = {VECTORS:,} random vectors even for few "
        "blocks, no stopping for futility. Rates with SE and families; promised is at most α + 3 SE. –: not computed.",
        ["", *(f"{p} policies, {m} mission{'s' * (m > 1)}" for p, m in columns)],
        rows,
    )


def _partial(done: dict[str, Cell], broken: list[str]) -> str:
    rows = []
    for shape in SHAPES:
        names = [f"partial/{shape}/{name}" for name in PARTIAL]
        if any(name in done for name in names):
            rows.append([shape, *(_error(done[name], name, broken) if name in done else "–" for name in names)])
    return _table(
        "Some policies equal, others far apart: any false finding among the equal ones",
        "Leads in standard deviations of the paired difference: "
        + "; ".join(f"{name}: {', '.join(f'{x:g}' for x in lead)}" for name, lead in PARTIAL.items())
        + f". 8 looks at up to {BLOCKS} blocks; closed test with 3 pairs, step-down until 6 are open with 10.",
        ["", *PARTIAL],
        rows,
    )


def _races(done: dict[str, Cell], missed: list[str]) -> str:
    rows = []
    for planned in PLANNED:
        for effect in RACED:
            cell = done.get(f"race/{planned}/{effect}")
            if cell is None:
                continue
            exact = needed(effect, 1.0, alpha=ALPHA).fixed if effect else None
            ratio = cell["blocks"] / cell["fixed"]
            if cell["fixed"] >= 40:
                if cell["most"] > 1.05 * cell["fixed"]:
                    missed.append(
                        f"maximum at most 1.05 × fixed, planned {planned:g}: {cell['most'] / cell['fixed']:.3f}"
                    )
                limit = {1.0: 0.7, 2.0: 0.35}.get(effect / planned)
                if limit is not None and ratio > limit:
                    missed.append(
                        f"mean blocks at most {limit:g} × fixed at d_z {effect:g}, planned {planned:g} "
                        f"({cell['fixed']:.0f} fixed): {ratio:.3f}"
                    )
            rows.append(
                [
                    f"{planned:g}", f"{effect:g}", f"{cell['fixed']:.0f}", f"{cell['fixed_power']:.3f}",
                    f"{cell['most']:.0f}", f"{cell['power']:.3f}", f"{cell['blocks']:.1f}", f"{ratio:.2f}",
                    f"{cell['e_power']:.3f}", f"{cell['e_blocks']:.1f}", "–" if exact is None else f"{exact}",
                ]
            )  # fmt: skip
    least = min((cell["families"] for name, cell in done.items() if name.startswith("race/")), default=0)
    return _table(
        "Power and blocks, one pair of policies, normal differences",
        "Planned: the d_z that the fixed number has power 0.9 for; true: the d_z of the data. Most: the "
        "group-sequential maximum from `daf power`. Ratio: mean blocks divided by the fixed number. The e-process "
        "(anytime) may play twice the fixed number. Known: the fixed number with power 0.9 at the true d_z. "
        f"{least:,.0f} comparisons per row or more.",
        ["planned d_z", "true d_z", "fixed", "power", "most", "power", "mean blocks", "ratio", "e-process: power",
         "mean blocks", "known"],
        rows,
    )  # fmt: skip


def _rivals(done: dict[str, Cell]) -> str:
    rows = []
    for name, cell in done.items():
        kind, *rest = name.split("/")
        if kind != "rivals":
            continue
        shape, effect = rest
        rows.append(
            [
                f"{shape}, difference {float(effect):g}", f"{cell['families']:.0f}", f"{cell['power']:.3f}",
                f"{cell['blocks']:.1f}", f"{cell['welch']:.3f}", f"{cell['welch_blocks']:.1f}",
            ]
        )  # fmt: skip
    return _table(
        "AdaStop 0.1.3, and Welch's test at every look",
        "Two policies, unpaired, as their users run them: AdaStop with n = 6, K = 6, B = 10,000 and α = 0.05, Welch "
        "after every run from the fifth; at most 36 runs of each. Differences in standard deviations of one policy's "
        "scores. With difference 0, the power is the error.",
        ["", "comparisons", "AdaStop finds", "mean runs", "Welch finds", "mean runs"],
        rows,
    )


def _coverage(done: dict[str, Cell]) -> str:
    rows = []
    for data in (*SHAPES, *SKEWED):
        for n in COVERAGE_BLOCKS:
            found = [done.get(f"coverage/{data}/{n}/{method}") for method in METHODS]
            if any(found):
                cells_of = [
                    "–" if cell is None else f"{cell['covered'] / cell['samples']:.1%}, {cell['width']:.2f}"
                    for cell in found
                ]
                rows.append([f"{data}, n = {n}", *cells_of])
    return _table(
        "Intervals of a paired difference, also under skew",
        "Coverage of 95 % intervals and their median width. The last three are differences of policies of which one is "
        "far more variable, so that they are skewed. With one mission, the studentized statistic orders sign flips "
        "like the plain one, so that both inversions agree up to their vectors.",
        ["", *METHODS],
        rows,
    )


if __name__ == "__main__":
    raise SystemExit(main())
