"""Episodes that playing until decided saves with real policies, and what the e-process (anytime) saves with simulated
ones, against a number fixed beforehand. benchmarks/sequential.py measures the group-sequential test on simulated ones.

    python benchmarks/until_decided.py              simulated policies (a minute)
    python benchmarks/until_decided.py --real       real ones on short missions too (some minutes)

Simulated: two policies, one mission. The fixed number is the least that finds a lead of d_z = 0.5 nine times of ten
with the sign-flip test; the most episodes of playing until decided are chosen so that it finds it as often. The table
tells for every true lead how often each finds it, and how many blocks that takes.

Real: policies on missions are played once; the blocks are then drawn in random orders. The fixed number is 20, what
`daf compare` plays by default; the maxima of playing until decided are chosen beforehand.
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reward_shapes import SPREADS, play

from daf.stats.eprocess import symmetry
from daf.stats.pair_verdict import PairVerdict
from daf.stats.permutation import sign_flip
from daf.stats.verdicts import compare_pairs
from daf.stats.verdicts_so_far import SETTLED
from daf.until_decided import METHODS, Method, Needs, StoppingRule, course_of, first_round

ALPHA = 0.05
POWER = 0.9
OF_INTEREST = 0.5
LEADS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
LONGEST = 240
PRACTICAL = 0.2
MAXIMA = (21, 40)
"""Of playing until decided, chosen beforehand: 5 % above the fixed number, and twice it."""
FIXED = 20
"""Episodes per policy and mission that `daf compare` plays by default."""
REAL = (
    (["starter", "miner", "scout", "noop"], ["tutorial.miner,max_steps=100", "arena,cogs=4,max_steps=200"]),
    (["starter", "miner", "aligner", "random"], ["tutorial.miner,max_steps=100", "arena,cogs=4,max_steps=300"]),
    (["starter", "aligner", "scrambler"], ["arena,cogs=4,max_steps=300", "arena,cogs=4,max_steps=200"]),
)
"""Policies and missions: differences that show at once and pairs that are the same; others of very different size."""


def differences(shape: str, lead: float, families: int, seed: int) -> NDArray[np.float64]:
    """(families, LONGEST) paired differences with d_z = `lead`."""
    scores = play(shape, np.random.default_rng(seed), families, 2, LONGEST)
    return scores[:, 0] - scores[:, 1] + lead * SPREADS[shape] * 2**0.5


def fixed_power(rows: NDArray[np.float64], n: int) -> float:
    """How often the sign-flip test of the first `n` blocks finds a lead."""
    return float(np.mean(sign_flip(rows[:, :n], alpha=ALPHA, resamples=2_000).p <= ALPHA))


def looks(most: int) -> list[int]:
    """The blocks after which playing until decided looks."""
    found, needs = [], first_round(2, 1, most)
    while True:
        found.append(needs.blocks)
        if needs.blocks >= most:
            return found
        needs = Needs(min(most, needs.blocks + max(4, needs.blocks // 5)), needs.places)


def until_decided(rows: NDArray[np.float64], most: int) -> tuple[float, float]:
    """(how often it decides, mean blocks)."""
    fortunes = symmetry(rows, null=0.0)
    at = np.array(looks(most)) - 1
    crossed = (fortunes.above[:, at] + fortunes.below[:, at]) / 2 >= 1 / ALPHA
    decided = crossed.any(axis=1)
    blocks = np.where(decided, at[crossed.argmax(axis=1)] + 1, most)
    return float(decided.mean()), float(blocks.mean())


def least(rows: NDArray[np.float64], power: Callable[[NDArray[np.float64], int], float]) -> int:
    """The least number of blocks for which `power(rows, n)` reaches `POWER`; power grows with n."""
    low, high = 6, LONGEST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(rows, middle) >= POWER else (middle + 1, high)
    return low


def called_equal(rows: NDArray[np.float64], margin: float, most: int) -> tuple[float, float]:
    """(how often equal policies are settled as equal within `margin`, mean blocks)."""
    beyond = np.minimum(symmetry(rows, null=-margin).above, symmetry(rows, null=margin).below)
    at = np.array(looks(most)) - 1
    crossed = beyond[:, at] >= 1 / ALPHA
    settled = crossed.any(axis=1)
    return float(settled.mean()), float(np.where(settled, at[crossed.argmax(axis=1)] + 1, most).mean())


def simulated(families: int) -> None:
    """The tables of simulated policies."""
    for shape in ("normal", "heavy-tailed", "zero-inflated"):
        interesting = differences(shape, OF_INTEREST, families, 1)
        n = least(interesting[:2_000], fixed_power)
        most = least(interesting, lambda rows, k: until_decided(rows, k)[0])
        print(f"\n{shape}: {n} blocks fixed, or until decided with {most} at most\n")
        print("| true lead (d_z) | found, fixed | found, until decided | blocks | saved |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        for lead in LEADS:
            rows = differences(shape, lead, families, 2)
            found, blocks = until_decided(rows, most)
            fixed = fixed_power(rows[:2_000], n)
            print(f"| {lead:g} | {fixed:.0%} | {found:.0%} | {blocks:.1f} | {1 - blocks / n:+.0%} |")
        margin = OF_INTEREST * SPREADS[shape] * 2**0.5
        settled, blocks = called_equal(differences(shape, 0.0, families, 2), margin, most)
        print(f"\nEqual policies, {OF_INTEREST:g} as practical difference: {settled:.0%} settled, {blocks:.1f} blocks")


def real(policies: list[str], missions: list[str], blocks: int, orders: int) -> None:
    """What real policies take, without and with a practical difference."""
    from daf.evaluation import Settings, evaluate
    from daf.output_manager import OutputManager

    with tempfile.TemporaryDirectory() as folder:
        evaluation = evaluate(
            policies, missions, settings=Settings(episodes=blocks, report=False), output=OutputManager(Path(folder))
        )
        scores = evaluation.analysis.scores
    rows = [scores.scores[:, scores.strata == mission] for mission in range(len(missions))]
    draws = np.random.default_rng(0)
    mixed = [[row[:, draws.permutation(row.shape[1])] for row in rows] for _ in range(orders)]
    print(f"\n{', '.join(policies)} on {', '.join(missions)}; {orders} orders of {blocks} blocks\n")
    fixed = FIXED * len(policies) * len(missions)
    total = len(missions) * len(policies) * (len(policies) - 1) // 2
    for margin in (None, PRACTICAL):
        told = "no practical difference" if margin is None else f"practical difference {margin:g}"
        settled = float(np.mean([_decided_by_fixed(policies, missions, order, FIXED, margin) for order in mixed]))
        print(f"{told}: {FIXED} blocks fixed settle {settled:.1f} of {total} comparisons on missions, {fixed} episodes")
        for method, most in product(METHODS, MAXIMA):
            found = [_until_decided(policies, missions, order, most, margin, method) for order in mixed]
            settled, episodes = np.mean(found, axis=0)
            saved = 1 - episodes / fixed
            print(f"  {method}, at most {most}: {settled:.1f} settled, {episodes:.0f} episodes; saved {saved:+.0%}")


def _until_decided(
    policies: list[str],
    missions: list[str],
    order: list[NDArray[np.float64]],
    blocks: int,
    margin: float | None,
    method: Method,
) -> tuple[int, int]:
    """(comparisons on missions that are settled, episodes)."""
    course = course_of(
        StoppingRule(method, blocks), policies, missions, missions, {block: block for block in range(blocks)},
        alpha=ALPHA, margin=margin, vectors=2_000,
    )  # fmt: skip
    needs: Needs | None = course.first()
    played: dict[tuple[int, int], dict[int, float]] = {}
    while needs is not None:
        for c, m in needs.places:
            played[c, m] = dict(enumerate(order[m][c, : needs.blocks]))
        needs = course.after(played)
    episodes = sum(len(there) for there in played.values())
    if method == "group-sequential":  # without its intervals, which take most of the time
        pairs = len(policies) * (len(policies) - 1) // 2
        on_missions = [family for family in course.families() if family.where.startswith("on ")]
        return sum(pairs - family.looks[-1].open for family in on_missions), episodes
    return _settled([found.verdict for found in course.verdicts()], margin), episodes


def _decided_by_fixed(
    policies: list[str], missions: list[str], order: list[NDArray[np.float64]], n: int, margin: float | None
) -> int:
    cut = np.concatenate([row[:, :n] for row in order], axis=1)
    strata = np.repeat(np.arange(len(missions)), n)
    pairs = compare_pairs(policies, cut, strata, missions, alpha=ALPHA, resamples=2_000, margin=margin)
    return _settled(pairs, margin)


def _settled(verdicts: list[PairVerdict], margin: float | None) -> int:
    """How many comparisons on missions are settled; what never differed is equal where a difference is practical."""
    ends = SETTLED if margin is None else SETTLED | {"identical"}
    return sum(verdict.verdict in ends for verdict in verdicts if verdict.stratum is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--families", type=int, default=4_000, help="0 leaves the simulation out")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--blocks", type=int, default=80)
    parser.add_argument("--orders", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.families:
        simulated(arguments.families)
    if arguments.real:
        for policies, missions in REAL:
            real(policies, missions, arguments.blocks, arguments.orders)


if __name__ == "__main__":
    main()
