"""The findings of a cross-play as sentences."""

from daf.crossplay.analysis import CrossplayAnalysis, Paired, PairTeam, PolicyTeams
from daf.stats.sentences import amount_text, p_text


def sentences(analysis: CrossplayAnalysis) -> list[str]:
    """One sentence per pair, then one per policy."""
    return [pair_words(analysis, pair) for pair in analysis.pairs] + [
        policy_words(analysis, row) for row in analysis.policies
    ]


def headline(analysis: CrossplayAnalysis) -> str:
    """The headline: which policy carries another, else which loses most with other policies."""
    carried = [pair.relation for pair in analysis.pairs if pair.carrier is not None]
    if carried:
        return f"{'; '.join(carried[:3])}{' …' if len(carried) > 3 else ''}."
    gaps = [row for row in analysis.policies if row.gap.change == "more"]
    if gaps:
        worst = max(gaps, key=lambda row: row.gap.difference)
        size = amount(worst.gap)
        return f"{analysis.names[worst.policy]} loses {size} reward per agent in teams with other policies."
    decided = [pair for pair in analysis.pairs if pair.relation not in ("no significant difference", "no change")]
    if decided:
        return "; ".join(f"{_names(analysis, pair)}: {pair.relation}" for pair in decided[:3]) + "."
    return "No significant effect of partners in these episodes."


def pair_words(analysis: CrossplayAnalysis, pair: PairTeam) -> str:
    """The effects of two policies on each other."""
    first, second = (analysis.cell(*places).gain for places in ((pair.first, pair.second), (pair.second, pair.first)))
    if first is None or second is None:
        raise ValueError("a pair has two different policies")
    a, b = analysis.names[pair.first], analysis.names[pair.second]
    one, two = _change(a, first), _change(b, second)
    return f"{a} with {b}, each compared with its self-play: {one}; {two}; {pair.relation}."


def policy_words(analysis: CrossplayAnalysis, row: PolicyTeams) -> str:
    """A policy's generalisation gap, signed as in tables and data, and its best partner."""
    name, gap = analysis.names[row.policy], row.gap
    size = f"{name}: generalisation gap {amount(gap, signed=True)}, {p_text(gap.p_adjusted)}"
    finding = {
        "more": f"{size}: its return is higher in self-play than in cross-play",
        "less": f"{size}: its return is lower in self-play than in cross-play",
        "same": f"{name}: generalisation gap 0, exactly the same return in self-play and in cross-play",
        "open": f"{size}: no significant difference between self-play and cross-play",
    }[gap.change]
    if len(analysis.names) < 3 or (gap.change == "same" and not row.best_decided):
        return f"{finding}."
    sure = "" if row.best_decided else " (not significantly better than the next)"
    return f"{finding}; its best partner is {analysis.names[row.best]}{sure}."


def amount(value: Paired, *, signed: bool = False) -> str:
    """ "0.5 [0.3, 0.7]", turned positive unless `signed`."""
    if signed or value.difference >= 0:
        return amount_text(value.difference, value.ci)
    return amount_text(-value.difference, None if value.ci is None else (-value.ci[1], -value.ci[0]))


def _change(name: str, gain: Paired) -> str:
    match gain.change:
        case "more":
            return f"{name} gains {amount(gain)}"
        case "less":
            return f"{name} loses {amount(gain)}"
        case "same":
            return f"{name} is unchanged"
        case "open":
            return f"{name} {amount(gain, signed=True)} (p={gain.p_adjusted:.2g})"


def _names(analysis: CrossplayAnalysis, pair: PairTeam) -> str:
    return f"{analysis.names[pair.first]} and {analysis.names[pair.second]}"
