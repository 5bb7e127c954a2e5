"""Ten thousand episodes in one worker."""

import psutil
import pytest

from daf.compute.executor import make_executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.run import PRELOAD
from daf.game import missions, policies
from daf.game.rollout import Game, Play, play
from tests.conftest import BUNDLES, SMALLEST

_games: dict[str, Game] = {}


def played_and_weighed(task: tuple[str, int]) -> int:
    """Play an episode, and say how many bytes the worker holds afterwards."""
    name, seed = task
    if not _games:
        _games[SMALLEST] = Game(missions.resolve(SMALLEST)[0].config)
    policy = policies.resolve(name, cache=BUNDLES)
    play(Play(_games[SMALLEST], (policy,), (0,), seed))
    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_that_played_ten_thousand_episodes_holds_no_more_than_after_a_thousand(cache: EpisodeCache) -> None:
    executor = make_executor("local", jobs=1, preload=PRELOAD)
    tasks = [(("substrate_memory", "random", "noop")[index % 3], index) for index in range(10_000)]
    try:
        held = {done.position: done.value for done in executor.run(played_and_weighed, tasks)}
    finally:
        executor.close()
    sizes = [held[position] for position in range(len(tasks))]
    assert all(size is not None for size in sizes)
    early, late = max(sizes[500:1_000]), max(sizes[-500:])
    assert late - early < 8e6, f"{early / 1e6:.1f} MB after 1,000 episodes, {late / 1e6:.1f} MB after 10,000"
