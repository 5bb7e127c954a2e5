"""The table of the episodes in `results.json`, with seeds, keys and replays, and the failures among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.playing.recording import how_to_record
from daf.render.pages.parts import Alert, Code, Column, Part, Section, Table, Text, cell
from daf.render.pages.replay_links import replay_cell
from daf.render.pages.run_facts import RunFacts
from daf.render.text import printable, same_decimals
from daf.stats.sentences import counted

MOST_EPISODES = 10_000


def episodes_section(results: Mapping[str, Any], facts: RunFacts) -> list[Section]:
    """The section of all episodes of the run; empty if the results list none."""
    found = _episodes(results)
    if not found:
        return []
    listed = found
    if len(found) > MOST_EPISODES:
        by_need = sorted(range(len(found)), key=lambda position: found[position].get("status") != "failed")
        listed = [found[position] for position in sorted(by_need[:MOST_EPISODES])]
    replays = any(episode.get("replay") for episode in found)
    agents = any(isinstance(episode.get("rewards"), list) for episode in found)
    rows = []
    means = same_decimals([_reward_per_agent(episode) for episode in listed])
    for episode, mean in zip(listed, means, strict=True):
        rewards = episode.get("rewards")
        numbers = isinstance(rewards, list) and all(isinstance(value, int | float) for value in rewards)
        returns = rewards if numbers and rewards else None
        failure = episode.get("failure")
        why = f"{failure.get('kind')}: {failure.get('message')}" if isinstance(failure, dict) else ""
        status = str(episode.get("status", ""))
        row = [
            cell(episode.get("mission")),
            cell(episode.get("index")),
            cell(episode.get("seed")),
            cell(episode.get("contender")),
            cell(mean),
            cell(f"{steps:,}" if isinstance(steps := episode.get("steps"), int) else None),
            cell(status, tag="ok" if status == "ok" else "failed"),
        ]
        if agents:
            detail = ", ".join(f"{value:.4g}" for value in returns) if returns else why
            count = counted(len(returns), "agent") if returns else "reason"
            row.append(cell(count, detail=printable(f"{detail} · key {episode.get('key')}")))
        if replays:
            row.append(replay_cell(facts.info.path, _recording(episode)))
        rows.append(row)
    columns = [
        Column("Mission", choice=True),
        Column("Block", number=True),
        Column("Seed", number=True),
        Column("Team", choice=True),
        Column("Reward per agent", number=True),
        Column("Steps", number=True),
        Column("Status", choice=True),
        *([Column("Details")] if agents else []),
        *([Column("Replay")] if replays else []),
    ]
    left = len(found) - len(listed)
    note = f"{left:,} more are in the tables of the run; all failed episodes are listed." if left else ""
    parts: list[Part] = [Table(columns, rows, note=note), *_how_to_record(found, facts)]
    return [Section("all-episodes", "Episodes", parts)]


def _reward_per_agent(episode: Mapping[str, Any]) -> float | None:
    rewards = episode.get("rewards")
    if not isinstance(rewards, list) or not rewards or not all(isinstance(value, int | float) for value in rewards):
        return None
    return float(sum(rewards) / len(rewards))


def _recording(episode: Mapping[str, Any]) -> str | None:
    """The path of an episode's recording in the run directory, which may have moved since."""
    replay = episode.get("replay")
    return f"replays/{Path(str(replay)).name}" if replay else None


def _how_to_record(found: Sequence[Mapping[str, Any]], facts: RunFacts) -> list[Part]:
    without = next((one for one in found if not one.get("replay") and one.get("status") == "ok"), None)
    if without is None or not isinstance(seed := without.get("seed"), int):
        return []
    team, mission = str(without.get("contender")), str(without.get("mission"))
    sentence, command = how_to_record(facts.info.command, team=team, mission=mission, seed=seed)
    return [Text([sentence], muted=True), Code(printable(command))]


def failure_alerts(results: Mapping[str, Any]) -> list[Alert]:
    """Failed episodes by team and cause, the most frequent first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for episode in _episodes(results):
        if episode.get("status") == "failed":
            failure = episode.get("failure")
            fields = failure if isinstance(failure, dict) else {}
            key = (str(episode.get("contender")), str(fields.get("kind", "")), str(fields.get("message", "no message")))
            found.setdefault(key, []).append(f"{episode.get('mission')}, seed {episode.get('seed')}")
    total = len(_episodes(results))
    alerts = []
    for (team, kind, message), places in sorted(found.items(), key=lambda item: -len(item[1])):
        text = f"{team}: {message} ({kind}, {len(places)} of {total} episodes)"
        listed = "\n".join(printable(place) for place in places[:50])
        alerts.append(Alert(printable(text), bad=True, detail=listed))
    return alerts


def _episodes(results: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    episodes = results.get("episodes")
    return [episode for episode in episodes if isinstance(episode, dict)] if isinstance(episodes, list) else []
