"""Success rates on a mission in the episodes of earlier runs.

Every run below the output directory that played exactly this mission (the same config) counts, each episode once.
Policies are distinguished by content, not by name; the name shown is the latest.
"""

from dataclasses import dataclass
from pathlib import Path

from daf.episodes.record import EpisodeRecord
from daf.episodes.stored import PLAN, read_result
from daf.errors import DataError, StorageError
from daf.game.mission import Mission
from daf.mission_analysis.success import Criterion
from daf.output_manager import list_runs
from daf.storage.reading import read_text


@dataclass(frozen=True)
class RecordedSuccess:
    """One policy or team's record on a mission. episodes: that finished; rate: successes by episodes."""

    policy: str
    episodes: int
    successes: int

    @property
    def rate(self) -> float:
        return self.successes / self.episodes


def recorded_success(mission: Mission, wanted: Criterion, base_dir: str | Path | None) -> tuple[RecordedSuccess, ...]:
    """Every policy that earlier runs played on `mission`, the most successful first.

    Runs whose records were not stored or can't be read are ignored.
    """
    found: dict[tuple[str, ...], dict[str, EpisodeRecord]] = {}
    for run in reversed(list_runs(base_dir)):
        try:
            plan = read_text(run.path / PLAN)
            if plan is None or mission.config_hash not in plan:
                continue
            result = read_result(run.path)
        except (DataError, StorageError):
            continue
        for record in result.records:
            if record.ok and record.spec.config_hash == mission.config_hash:
                players = tuple(policy.identity for policy in record.spec.policies)
                shares = tuple(str(record.spec.assignment.count(number)) for number in range(len(players)))
                found.setdefault(players + shares, {})[record.spec.key] = record
    rows = []
    for episodes in found.values():
        latest = next(reversed(episodes.values()))
        successes = sum(wanted.fulfilled(record) for record in episodes.values())
        rows.append(RecordedSuccess(latest.spec.name, len(episodes), successes))
    return tuple(sorted(rows, key=lambda row: (-row.rate, -row.episodes, row.policy)))
