"""Is every error rate and every interval of `daf.stats` what it says? Simulated truth, into docs/calibration.md.

    python benchmarks/calibration.py                 the page (minutes, one core)
    python benchmarks/calibration.py --quick         small numbers, printed; what the tests run

The same rewards go to rliable (unpaired bootstrap percentiles, as its examples do) and to Welch's t test, each pair at
0.05, as users do it. Exit code 1 where a promise is broken.
"""

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reward_shapes import MEANS, SHAPES, SPREADS, draw, play
from rivals import (
    ALPHA,
    rliable_difference,
    rliable_errors,
    rliable_mean,
    student,
    welch,
    welch_every_look,
    welch_interval,
)

from daf.stats.bootstrap import Method, interval
from daf.stats.effect import improvement
from daf.stats.eprocess import symmetry, symmetry_interval
from daf.stats.multiple import holm, max_t
from daf.stats.permutation import sign_flip
from daf.stats.sequential import standings
from daf.stats.verdicts import compare_pairs

MARK = "<!-- below: benchmarks/sequential.py -->"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "calibration.md"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much is simulated."""

    families: dict[int, int]
    """Number of A/A families for each number of policies."""
    resamples: int
    samples: int
    """Data sets per coverage."""
    slow_samples: int
    """Data sets per coverage for rliable, which takes a Python call per resample."""
    verdict_families: int
    races: int


FULL = Size({2: 4000, 5: 1200, 10: 500}, 1999, 3000, 200, 300, 100)
QUICK = Size({2: 400, 5: 120}, 999, 300, 0, 20, 4)


@dataclass
class Page:
    """The page as it grows, and the promises that were checked on the way."""

    sections: list[str] = field(default_factory=list)
    promises: list[tuple[str, str, bool]] = field(default_factory=list)

    def table(self, title: str, text: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [f"## {title}", "", text, "", "| " + " | ".join(head) + " |"]
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        self.sections.append("\n".join(lines))

    def promise(self, what: str, measured: str, kept: bool) -> None:
        self.promises.append((what, measured, kept))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small numbers; print the page instead of writing it")
    parser.add_argument("--output", type=Path, help=f"where the page goes (default: {PAGE}; with --quick: stdout)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    page = measure(QUICK if options.quick else FULL, options.seed)
    text = render(page, options.seed, options.quick)
    target = options.output or (None if options.quick else PAGE)
    if target is None:
        print(text)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # The part of benchmarks/sequential.py stays.
        before = target.read_text(encoding="utf-8") if target.is_file() else ""
        kept = f"\n{MARK}{before.split(MARK)[1]}" if MARK in before else ""
        target.write_text(text + kept, encoding="utf-8")
    broken = [f"{what}: {measured}" for what, measured, kept in page.promises if not kept]
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


def measure(size: Size, seed: int) -> Page:
    """All sections, one after the other, each with its own random numbers."""
    page = Page()
    steps: list[Callable[[Page, Size, np.random.Generator], None]] = [
        family_wise_error,
        verdict_error,
        paired_coverage,
        skewed_differences,
        single_means,
        other_intervals,
        episodes_saved,
        speed,
    ]
    started = time.monotonic()
    for index, step in enumerate(steps):
        print(f"[{time.monotonic() - started:5.0f} s] {index + 1}/{len(steps)} {step.__name__}", file=sys.stderr)
        step(page, size, np.random.default_rng([seed, index]))
    print(f"[{time.monotonic() - started:5.0f} s] done, {time.process_time():.0f} s of processor time", file=sys.stderr)
    return page


def render(page: Page, seed: int, quick: bool) -> str:
    """The page as Markdown."""
    import scipy

    head = [
        "# Calibration",
        "",
        "Written by `benchmarks/calibration.py`; do not edit. Every number comes from simulated rewards with "
        "known truth"
        f" (seed {seed}{', quick' if quick else ''}; numpy {np.__version__}, scipy {scipy.__version__}). α = {ALPHA}."
        " SE is the standard error of the simulation.",
        "",
        "| promise | measured | |",
        "|---|---|---|",
        *(f"| {what} | {measured} | {'kept' if kept else '**broken**'} |" for what, measured, kept in page.promises),
    ]
    return "\n\n".join(["\n".join(head), *page.sections]) + "\n"


def family_wise_error(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Equal policies: how often is any pair of a family called different?"""
    n, most = 30, 60
    rules = ["sign-flip, Holm", "max-T", "e-process, every look", "Welch", "Welch, every look", "rliable"]
    rows, comparisons = [], 0
    rates: dict[tuple[str, int], list[float]] = {}
    for policies, families in size.families.items():
        for shape in SHAPES:
            scores = play(shape, rng, families, policies, most)
            apart = _pairs(scores)
            comparisons += apart.shape[0] * apart.shape[1]
            found = {
                "sign-flip, Holm": _holm_errors(apart[:, :, :n], size.resamples),
                "max-T": np.array(
                    [max_t(d, resamples=999, seed=i).overall.min() <= ALPHA for i, d in enumerate(apart[:, :, :n])]
                ),
                "e-process, every look": _e_errors(apart),
                "Welch": welch(scores[:, :, :n]).min(axis=1) <= ALPHA,
                "Welch, every look": welch_every_look(scores, 5),
                "rliable": rliable_errors(
                    scores[: 4 * size.slow_samples // policies**2 if policies < 10 else 0, :, :n]
                ),
            }
            cells = []
            for rule in rules:
                errors = found[rule]
                if errors.size:
                    rates.setdefault((rule, policies), []).append(float(errors.mean()))
                cells.append(_rate(errors))
            rows.append([f"{policies} policies, {shape}", f"{families:,}", *cells])
    for rule in rules[:3]:
        measured, kept = [], True
        for policies, families in size.families.items():
            by_shape = rates[rule, policies]
            pooled, error = float(np.mean(by_shape)), _error(families * len(SHAPES))
            measured.append(f"{policies} policies {pooled:.3f} (SE {error:.3f}), worst shape {max(by_shape):.3f}")
            kept &= pooled <= ALPHA + 2 * error and max(by_shape) <= ALPHA + _slack(families, len(SHAPES))
        page.promise(f"family-wise error of {rule} ≤ α + 2 SE", "; ".join(measured), kept)
    page.table(
        "Equal policies: the probability of any false finding",
        f"{comparisons:,} A/A comparisons. Fixed rules look once, after {n} blocks; e-processes look after "
        f"each of {most} "
        "blocks and stop at the first finding; Welch looks after every block from the 5th. rliable: any pair "
        "whose 95 % "
        "interval of the difference excludes 0. Rates with SE. Where the true rate is α, about one cell in "
        "forty lies "
        "more than 2 SE above it, so the promise is kept if the mean over the shapes is at most 2 SE above α, "
        "with the SE of that mean, and the worst shape is within the chance range of the worst of six.",
        ["", "families", *rules],
        rows,
    )


def verdict_error(page: Page, size: Size, rng: np.random.Generator) -> None:
    """`compare_pairs` itself, with missions: any false better or worse anywhere in the list."""
    strata = np.repeat([0, 1, 2], [16, 16, 20])
    rows, rates, equal_rates = [], [], []
    names = [str(i) for i in range(4)]
    for shape in SHAPES:
        errors, equals = [], []
        scores = play(shape, rng, size.verdict_families, 4, strata.size)
        margin = 0.6 * SPREADS[shape]
        for seed, family in enumerate(scores):
            found = compare_pairs(names, family, strata, ["a", "b", "c"], resamples=1000, seed=seed)
            errors.append(any(v.verdict in ("better", "worse") for v in found))
            shifted = family + margin * np.array([0.0, 1.0, 2.0, 3.0])[:, None]
            found = compare_pairs(names, shifted, strata, ["a", "b", "c"], resamples=1000, seed=seed, margin=margin)
            equals.append(any(v.verdict == "equal" for v in found))
        rates.append(float(np.mean(errors)))
        rows.append([shape, _rate(np.array(errors)), _rate(np.array(equals))])
        equal_rates.append(float(np.mean(equals)))
    error = _error(size.verdict_families * len(SHAPES))
    pooled = float(np.mean(rates))
    page.promise(
        "any false verdict of `compare_pairs` (4 policies, 3 missions) ≤ α + 2 SE",
        f"{pooled:.3f} (SE {error:.3f})",
        pooled <= ALPHA + 2 * error,
    )
    worst = max(equal_rates)
    page.promise(
        "any false “equal” of `compare_pairs` ≤ α + 2 SE",
        f"{np.mean(equal_rates):.3f} (SE {error:.3f}), worst shape {worst:.3f}",
        float(np.mean(equal_rates)) <= ALPHA + 2 * error
        and worst <= ALPHA + _slack(size.verdict_families, len(SHAPES)),
    )
    page.table(
        "Verdicts of a whole report",
        f"{size.verdict_families:,} reports per shape: 4 equal policies, 3 missions of 16, 16 and 20 blocks, 24 "
        "comparisons. False “equal”: the true difference of neighbors is exactly the margin.",
        ["", "any false better or worse", "any false equal"],
        rows,
    )


def paired_coverage(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Intervals of the difference of two policies that differ by a shift."""
    rows = []
    least = 1.0
    for n in (10, 20, 50):
        for shape in SHAPES:
            scores = play(shape, rng, 2 * size.samples, 2, n)
            truth = 0.7 * SPREADS[shape]
            scores[:, 0] += truth
            d = scores[:, 0] - scores[:, 1]
            strata = np.repeat([0, 1], [n - 2 * n // 3, 2 * n // 3])
            uneven = np.where(strata == 0, 3.0 * (d - truth) - 5.0 * truth, d + 6.0 * truth)
            ours = _covered(_inverted(d, None, size.resamples), truth)
            stratified = _covered(_inverted(uneven, strata, size.resamples), truth)
            if n >= 20:
                least = min(least, float(ours[0].mean()), float(stratified[0].mean()))
            rows.append(
                [
                    f"{shape}, n = {n}",
                    _coverage(ours),
                    _coverage(stratified, width=False),
                    _coverage(_covered(student(d), truth)),
                    _coverage(_covered(welch_interval(scores), truth)),
                    _coverage(_covered(rliable_difference(scores[: size.slow_samples if n == 20 else 0]), truth)),
                ]
            )
    page.promise(
        "intervals of paired differences by inversion cover ≥ 94 % with 20 or more blocks",
        f"least of {4 * len(SHAPES)}: {least:.1%}",
        least >= (0.94 if size is FULL else 0.94 - 3 * math.sqrt(0.94 * 0.06 / size.samples)),
    )
    page.table(
        "Intervals of a paired difference",
        f"Coverage of 95 % intervals (SE {math.sqrt(0.95 * 0.05 / (2 * size.samples)):.1%}; rliable "
        f"{_share_error(size.slow_samples)}), and their mean width in reward. The standard deviation of block "
        "difficulty equals that of each policy's noise. Two missions: one has a third of the blocks, three "
        "times the standard deviation, and a true difference of the opposite sign.",
        ["", "inversion", "inversion, two missions", "paired t", "Welch", "rliable"],
        rows,
    )


def skewed_differences(page: Page, size: Size, rng: np.random.Generator) -> None:
    """What inversion does not promise: policies whose difference is skewed."""
    rows = []
    for label, first, second in (
        ("lognormal against constant", "lognormal", None),
        ("lognormal against normal", "lognormal", "normal"),
        ("80 % zeros against constant", "zero-inflated", None),
        ("bounded against constant", "bounded", None),
    ):
        for n in (20, 50, 200):
            d = draw(first, rng, (size.samples if n < 200 else size.samples // 4, n))
            truth = MEANS[first]
            if second is not None:
                d = d - draw(second, rng, d.shape)
                truth -= MEANS[second]
            rows.append(
                [
                    f"{label}, n = {n}",
                    _coverage(_covered(_inverted(d, None, size.resamples), truth), width=False),
                    _coverage(_covered(student(d), truth), width=False),
                    _coverage(_covered(_bootstrapped(d, "studentized"), truth), width=False),
                    _coverage(_covered(_bootstrapped(d, "bca"), truth), width=False),
                ]
            )
    page.table(
        "Where intervals of a difference undercover",
        "One policy is much more variable than the other, so the difference is not symmetric about its mean. "
        "Coverage of "
        "95 % intervals. The report warns if the data have such a shape.",
        ["", "inversion", "paired t", "studentized", "BCa"],
        rows,
    )


def single_means(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Intervals of one policy's mean."""
    rows = []
    promised: list[float] = []
    for shape in (*SHAPES, "lognormal"):
        for n in (10, 20, 50):
            scores = draw(shape, rng, (size.samples, n))
            truth = MEANS[shape]
            studentized, corrected = _bootstrapped(scores, "studentized"), _bootstrapped(scores, "bca")
            bounded = np.isfinite(studentized[0]) & np.isfinite(studentized[1])
            shown = (np.where(bounded, studentized[0], corrected[0]), np.where(bounded, studentized[1], corrected[1]))
            if shape in ("normal", "bounded") and n >= 20:
                promised.append(float(_covered(shown, truth)[0].mean()))
            rows.append(
                [
                    f"{shape}, n = {n}",
                    _coverage(_covered(shown, truth), width=False),
                    _coverage(_covered(studentized, truth), width=False),
                    _coverage(_covered(corrected, truth), width=False),
                    _coverage(_covered(_bootstrapped(scores, "percentile"), truth), width=False),
                    _coverage(_covered(student(scores), truth), width=False),
                    _coverage(
                        _covered(rliable_mean(scores[: size.slow_samples if n == 20 else 0]), truth), width=False
                    ),
                ]
            )
    slack = 0.0 if size is FULL else 3 * math.sqrt(0.95 * 0.05 / size.samples)
    page.promise(
        "intervals of single means (studentized) cover 94–96 % for normal and bounded rewards with 20 or more blocks",
        f"{min(promised):.1%} … {max(promised):.1%}",
        0.94 - slack <= min(promised) and max(promised) <= 0.96 + slack,
    )
    page.table(
        "Intervals of a single mean",
        f"Coverage of 95 % intervals (SE {math.sqrt(0.95 * 0.05 / size.samples):.1%}; rliable "
        f"{_share_error(size.slow_samples)}). DAF shows the studentized interval, or BCa if the studentized one "
        "is unbounded. No method works for few episodes that are mostly zero or lognormal: the rare values "
        "that matter are not in the sample.",
        ["", "as shown by DAF", "studentized", "BCa", "percentile", "Student's t", "rliable"],
        rows,
    )


def other_intervals(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Confidence sequences and probabilities of improvement."""
    rows = []
    samples = size.samples
    least = 1.0
    for shape in SHAPES:
        d = draw(shape, rng, (samples, 50)) - draw(shape, rng, (samples, 50))
        fortunes = symmetry(d)
        missed = (np.maximum(fortunes.above, fortunes.below) >= 2 / ALPHA).any(axis=1)
        low, high = symmetry_interval(d[:40])
        wider = float((high - low).mean() / np.subtract(*student(d[:40])[::-1]).mean())
        ties = float(np.mean(d == 0))
        chance = improvement(d)
        covered = (chance.low <= 0.5) & (chance.high >= 0.5)
        least = min(least, float(covered.mean()), float((~missed).mean()))
        rows.append([shape, f"{1 - missed.mean():.3f}", f"{wider:.2f}", f"{covered.mean():.3f}", f"{ties:.0%}"])
    page.promise(
        "confidence sequences (all looks together) and probabilities of improvement cover ≥ 95 %",
        f"least {least:.3f}",
        least >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / samples),
    )
    page.table(
        "Confidence sequences and the probability of improvement",
        f"{samples:,} data sets of 50 blocks. Rates at which the sequence contains the true difference at every "
        "look, and the interval the true probability, ½. The relative width is the width after 50 blocks "
        "divided by that of Student's interval.",
        ["", "confidence sequence", "relative width", "probability of improvement", "ties"],
        rows,
    )


def episodes_saved(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Stopping when decided against a fixed number of episodes with the same power."""
    samples, most = size.samples // 2, 200
    rows = []
    effects = (0.3, 0.5, 0.8, 1.2, 2.0)
    noise = rng.normal(size=(samples, most))
    stops = {effect: _first(symmetry(noise + effect).both >= 1 / ALPHA) for effect in effects}
    power = {effect: float((stops[effect] <= most).mean()) for effect in effects}
    fixed = _blocks_for(power[effects[0]], effects[0], noise, size.resamples)
    for effect in effects:
        mean_n = float(np.minimum(stops[effect], most).mean())
        known = _blocks_for(0.9, effect, noise, size.resamples)
        saved = f"{1 - mean_n / fixed:.0%}"
        rows.append([f"{effect:.1f}", f"{power[effect]:.3f}", f"{mean_n:.1f}", str(fixed), saved, str(known)])
    page.table(
        "Episodes saved by sequential stopping: one pair",
        f"True difference in standard deviations of the paired difference; at most {most} blocks. A fixed "
        "number must be "
        "chosen before "
        f"the difference is known: {fixed} is the smallest number with the power of sequential stopping at "
        f"{effects[0]}. “Known difference”: the fixed number that has power 0.9 at exactly that difference.",
        ["difference", "power", "mean blocks", "fixed", "saved", "known difference"],
        rows,
    )
    _race(page, size, rng)


def _race(page: Page, size: Size, rng: np.random.Generator) -> None:
    """Five policies, each playing until all of its pairs are settled."""
    strengths = np.array([0.0, 0.5, 1.0, 1.05, 2.5])
    pairs = list(combinations(range(5), 2))
    most, batch, margin = 150, 10, 0.5
    played, right, fixed_right = [], [], []
    for race in range(size.races):
        scores = strengths[:, None] + rng.normal(size=(5, most)) / math.sqrt(2)
        until = dict.fromkeys(pairs, 0)
        state = dict.fromkeys(pairs, "open")
        open_ = set(pairs)
        for n in range(batch, most + 1, batch):
            for pair in open_:
                until[pair] = n
            found = standings([scores[a, : until[a, b]] - scores[b, : until[a, b]] for a, b in pairs], margin=margin)
            for pair, standing in zip(pairs, found, strict=True):
                if pair in open_ and standing.settled:
                    state[pair] = standing.state
                    open_.discard(pair)
            if not open_:
                break
        played.append(sum(max(until[pair] for pair in pairs if policy in pair) for policy in range(5)))
        right.append(np.mean([_true_state(strengths, pair, margin, state[pair]) for pair in pairs]))
        verdicts = compare_pairs(
            list("abcde"), scores, np.zeros(most, dtype=int), ["m"], margin=margin, resamples=2000, seed=race
        )
        fixed_right.append(
            np.mean([_true_state(strengths, (v.a, v.b), margin, v.verdict) for v in verdicts if v.stratum is None])
        )
    page.table(
        "Episodes saved: five policies",
        f"Strengths {', '.join(f'{s:g}' for s in strengths)} in standard deviations of the paired difference, margin "
        f"{margin}, looks "
        f"every {batch} blocks, at most {most}; a policy plays until all of its pairs are settled. {size.races} races.",
        ["", "episodes per race", "pairs decided correctly"],
        [
            ["until decided", f"{np.mean(played):.0f}", f"{np.mean(right):.1%}"],
            [f"fixed {most} blocks", f"{5 * most}", f"{np.mean(fixed_right):.1%}"],
        ],
    )


def _true_state(strengths: Array, pair: tuple[int, int], margin: float, state: str) -> bool:
    gap = strengths[pair[0]] - strengths[pair[1]]
    if state == "equal":
        return bool(abs(gap) < margin)
    return state == ("better" if gap > 0 else "worse")


def speed(page: Page, size: Size, rng: np.random.Generator) -> None:
    """The largest family that is promised a time."""
    strata = np.repeat(np.arange(20), 20)
    d = _pairs(rng.normal(size=(1, 10, strata.size)))[0]
    times, prints = [], set()
    for _ in range(3 if size is FULL else 2):
        started = time.process_time()
        found = max_t(d, strata, resamples=10_000, seed=7)
        times.append(time.process_time() - started)
        prints.add(hashlib.sha256(found.by_stratum.tobytes() + found.overall.tobytes()).hexdigest())
    page.promise(
        "max-T of 10 policies × 20 missions × 10,000 resamples: bit-identical for the same seed",
        f"{len(prints)} result{'s' if len(prints) > 1 else ''} of {len(times)} runs",
        len(prints) == 1,
    )
    if size is FULL:
        page.promise(
            "… in < 2 s of one core", f"{'< 2 s' if min(times) < 2 else f'{min(times):.1f} s'}", min(times) < 2
        )
    print(f"        max-T: {min(times):.2f} s of processor time", file=sys.stderr)


def _pairs(scores: Array) -> Array:
    """(families, policies, n) → (families, pairs, n)."""
    return np.stack([scores[:, a] - scores[:, b] for a, b in combinations(range(scores.shape[1]), 2)], axis=1)


def _holm_errors(apart: Array, resamples: int) -> Array:
    """Whether each family has a false finding; families in batches, each with its own patterns."""
    errors = []
    for seed, part in enumerate(np.array_split(apart, min(40, len(apart)))):
        p = sign_flip(part, resamples=resamples, seed=seed).p
        errors += [holm(row).min() <= ALPHA for row in p]
    return np.array(errors)


def _e_errors(apart: Array) -> Array:
    """Whether e-Holm rejects anything at any look: the largest e-value, averaged with ever more of the smaller ones."""
    e = np.sort(symmetry(apart).both, axis=1)
    smaller = np.concatenate([np.zeros_like(e[:, :1]), np.cumsum(e[:, :-1], axis=1)], axis=1)
    counts = np.arange(1, e.shape[1] + 1)[None, :, None]
    least = ((smaller + e[:, -1:]) / counts).min(axis=1)
    return (least >= 1 / ALPHA).any(axis=1)


def _inverted(d: Array, strata: NDArray[np.int64] | None, resamples: int) -> tuple[Array, Array]:
    lows, highs = [], []
    for seed, part in enumerate(np.array_split(d, 40)):
        found = sign_flip(part, strata, resamples=min(resamples, 1999), seed=seed)
        lows.append(found.low)
        highs.append(found.high)
    return np.concatenate(lows), np.concatenate(highs)


def _bootstrapped(scores: Array, method: Method) -> tuple[Array, Array]:
    lows, highs = [], []
    for seed, part in enumerate(np.array_split(scores, 20)):
        found = interval(part, method=method, resamples=1000, seed=seed)
        lows.append(found.low)
        highs.append(found.high)
    return np.concatenate(lows), np.concatenate(highs)


def _covered(bounds: tuple[Array, Array], truth: float) -> tuple[Array, float]:
    low, high = bounds
    finite = np.isfinite(high - low)
    slack = 1e-9
    width = float((high - low)[finite].mean()) if finite.any() else math.inf
    return (low - slack <= truth) & (truth <= high + slack), width


def _first(hits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first look that hits, counted from 1; one more than there are where none does."""
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, hits.shape[1] + 1)


def _blocks_for(power: float, effect: float, noise: Array, resamples: int) -> int:
    """The least fixed number of blocks with which the sign-flip test has `power` for `effect`."""
    low, high = 5, noise.shape[1]
    while high - low > 1:
        middle = (low + high) // 2
        p = [
            sign_flip(part[:, :middle] + effect, resamples=min(resamples, 999), seed=seed).p
            for seed, part in enumerate(np.array_split(noise, 10))
        ]
        if float((np.concatenate(p) <= ALPHA).mean()) >= power:
            high = middle
        else:
            low = middle
    return high


def _error(families: int) -> float:
    return math.sqrt(ALPHA * (1 - ALPHA) / families)


def _slack(families: int, cells: int) -> float:
    """Above α by this much is more than the worst of `cells` shapes shows by chance once in 40 times."""
    from scipy.stats import norm

    return float(norm.isf(0.0228 / cells)) * _error(families)


def _share_error(samples: int) -> str:
    return f"{math.sqrt(0.95 * 0.05 / samples):.1%}" if samples else "not run"


def _rate(errors: Array) -> str:
    if not errors.size:
        return "–"
    rate = float(errors.mean())
    return f"{rate:.3f} ± {math.sqrt(max(rate * (1 - rate), 1e-9) / errors.size):.3f}"


def _coverage(found: tuple[Array, float], *, width: bool = True) -> str:
    covered, wide = found
    if not covered.size:
        return "–"
    return f"{covered.mean():.1%}" + (f", {wide:.2f}" if width else "")


if __name__ == "__main__":
    sys.exit(main())
