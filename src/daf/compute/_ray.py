"""Workers of a Ray cluster: batches of about two seconds, and the loss of a worker or node costs what it was playing.

The driver hands out pickled tasks in batches whose size follows the time that tasks take, keeps a limited number of
batches in flight, and yields results as batches end. What a lost worker or node was playing is played again, each task
on its own; a task that kills its process three times fails. Function and files are in Ray's object store once per run.

Not guaranteed: the cluster's head node is needed throughout. If it is lost, Ray ends this process, and the same command
resumes from the cache.
"""

import math
import pickle
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.compute import _ray_cluster as cluster
from daf.compute._ray_worker import (
    Answer,
    CarriedFile,
    Context,
    OtherVersions,
    own_import_path,
    play_batch,
    versions_here,
)
from daf.compute.carried import Files, single_files
from daf.compute.interface import ClusterOptions, Done, Failure
from daf.errors import ExecutorError, UsageError
from daf.storage.hashing import hash_bytes, hash_json
from daf.storage.reading import read_bytes

BATCH_SECONDS = 2.0
MOST_DEATHS = 3
"""A task whose process died this often fails: twice it may have been the machine's fault."""
MOST_LOST_NODES = 10
"""A task fails if it was on this many nodes that were lost."""
LARGEST_BATCH = 512
LARGEST_FILE = 16 * 2**30
_BATCHES_PER_SLOT = 2
_LOOK_SECONDS = 0.5
_COUNT_SECONDS = 5.0
_EMPTY_SECONDS = 60.0
"""How long a cluster may have no worker at all: a lost node may be replaced."""


class Pace:
    """How many tasks take about `BATCH_SECONDS`, from the tasks that ended."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def learn(self, seconds: Sequence[float]) -> None:
        """Take the durations of a batch into account, recent ones more."""
        mean = sum(seconds) / len(seconds)
        self._seconds = mean if self._seconds is None else 0.7 * self._seconds + 0.3 * mean

    def batch(self, waiting: int, slots: int) -> int:
        """The size of the next batch; towards the end it is smaller, so that no slot waits for another."""
        if self._seconds is None:
            return 1
        fair = math.ceil(waiting / (2 * max(1, slots)))
        return max(1, min(int(BATCH_SECONDS / max(self._seconds, 1e-6)), fair, LARGEST_BATCH))


class RayWorkers:
    """The executor on Ray.

    jobs: the maximum of tasks at a time, or "auto" for all that the cluster has room for. preload: modules that workers
    import before their first task.
    """

    isolated = True

    def __init__(
        self, *, jobs: int | str, preload: Sequence[str] = (), options: ClusterOptions, gpu: bool = False
    ) -> None:
        _check_options(options)
        self._asked = None if str(jobs) == "auto" else int(jobs)
        self._preload = tuple(preload)
        self._options = options
        self._wanted = {"CPU": options.cpus_per_episode, "GPU": options.gpus_per_episode if gpu else 0.0}
        if not any(self._wanted.values()):
            raise UsageError("--cpus-per-episode must be above 0 for episodes that use no GPU.")
        self._checked = False
        self._flying: dict[Any, list[int]] = {}
        self._stopped = threading.Event()

    @property
    def jobs(self) -> int:
        """The number of tasks at a time; connects to the cluster. Raises `ExecutorError` if it has less room."""
        self._connect()
        return self._asked or max(1, self._room())

    def run[T, R](
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> Iterator[Done[R]]:
        """Call `function` on every task. The content of `files` is read now."""
        if not tasks:
            return iter(())
        self._connect()
        self._stopped = threading.Event()
        return self._run(tasks, self._context(function, timeout, files))

    def close(self) -> None:
        """Cancel batches in flight, without waiting; the connection of this process to the cluster stays."""
        self._stopped.set()
        flying, self._flying = self._flying, {}
        if flying:
            import ray

            for reference in flying:
                ray.cancel(reference, force=False)

    def _run(self, tasks: Sequence[Any], context: Any) -> Iterator[Done[Any]]:
        stopped, pace, submit = self._stopped, Pace(), self._submitter()
        together, alone = deque(range(len(tasks))), deque[int]()
        deaths: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        room, counted, empty = self.jobs, time.monotonic(), 0.0
        completed = False
        try:
            while together or alone or self._flying:
                if time.monotonic() - counted > _COUNT_SECONDS:
                    now, counted = time.monotonic(), time.monotonic()
                    room = self._asked or self._room()
                    empty = 0.0 if self._room() else empty or now
                    if empty and now - empty > _EMPTY_SECONDS:
                        raise ExecutorError(self._lacking(1, 0))
                limit = room if self._asked else _BATCHES_PER_SLOT * room
                while (together or alone) and len(self._flying) < limit:
                    if alone:
                        batch = [alone.popleft()]
                    else:
                        batch = [together.popleft() for _ in range(pace.batch(len(together), room))]
                    reference = submit(context, [pickle.dumps(tasks[position]) for position in batch])
                    self._flying[reference] = batch
                ready = _ready(list(self._flying), _LOOK_SECONDS)
                if stopped.is_set():
                    raise ExecutorError("the workers were stopped while tasks ran.")
                for reference in ready:
                    batch = self._flying.pop(reference, [])
                    ended = _result(reference)
                    if isinstance(ended, list):
                        pace.learn([answer.seconds for answer in ended])
                        for position, answer in zip(batch, ended, strict=True):
                            done = _done(position, answer)
                            if done.failure is not None and done.failure.kind == "crash":
                                deaths[position] += 1
                                if deaths[position] < MOST_DEATHS:
                                    alone.append(position)
                                    continue
                            yield done
                        continue
                    how, node_lost = ended
                    for position in batch:
                        if len(batch) == 1:  # of several, one may be innocent
                            (lost if node_lost else deaths)[position] += 1
                        if deaths[position] >= MOST_DEATHS or lost[position] >= MOST_LOST_NODES:
                            yield Done(position, None, Failure("crash", how))
                        else:
                            alone.append(position)
            completed = True
        finally:
            if not completed:
                self.close()

    def _context(self, function: Callable[..., Any], timeout: float | None, files: Files | None) -> Any:
        import ray

        carried = [_put(path) for path in single_files(files() if files is not None else ())]
        return ray.put(
            Context(
                function=pickle.dumps(function),
                files=tuple(carried),
                key=hash_json([[str(file.path), file.hash] for file in carried]),
                import_path=own_import_path(),
                cwd=str(Path.cwd()),
                preload=self._preload,
                timeout=timeout,
                versions=None if self._options.allow_version_mismatch else versions_here(),
            )
        )

    def _submitter(self) -> Callable[[Any, list[bytes]], Any]:
        """What hands a batch to the cluster, and returns a reference to its answers."""
        import ray

        remote = ray.remote(max_retries=0)(play_batch).options(
            num_cpus=self._wanted["CPU"], num_gpus=self._wanted["GPU"]
        )
        submit: Callable[[Any, list[bytes]], Any] = remote.remote
        return submit

    def _connect(self) -> None:
        cluster.connect(self._options.address)
        if self._checked:
            return
        if not self._options.allow_version_mismatch:
            cluster.check_versions()
        room = self._room()
        if room < (self._asked or 1):
            raise ExecutorError(self._lacking(self._asked or 1, room))
        self._checked = True

    def _room(self) -> int:
        """The number of tasks that the living nodes can run at a time."""
        return sum(_fitting(node.resources, self._wanted) for node in cluster.nodes() if node.alive)

    def _lacking(self, jobs: int, room: int) -> str:
        """The sentence for a cluster without room for `jobs` tasks."""
        has = Counter[str]()
        for node in cluster.nodes():
            if node.alive:
                has.update({name: node.resources.get(name, 0) for name in ("CPU", "GPU")})
        each = " and ".join(f"{amount:g} {name}" for name, amount in self._wanted.items() if amount)
        return (
            f"the Ray cluster has room for {room} of {jobs} episodes at a time: each reserves {each}, and all living "
            f"nodes have {has['CPU']:g} CPU and {has['GPU']:g} GPU. Lower --jobs, --cpus-per-episode or "
            "--gpus-per-episode, or add nodes."
        )


def _check_options(options: ClusterOptions) -> None:
    for option, amount in (
        ("--cpus-per-episode", options.cpus_per_episode),
        ("--gpus-per-episode", options.gpus_per_episode),
    ):
        if not (amount >= 0 and math.isfinite(amount)):
            raise UsageError(f"{option} must be at least 0, got {amount:g}.")
        if amount > 1 and amount != int(amount):
            raise UsageError(f"{option} above 1 must be a whole number, got {amount:g}.")


def _fitting(resources: Mapping[str, float], wanted: Mapping[str, float]) -> int:
    """The number of tasks that fit on a node with `resources`."""
    return min(int(resources.get(name, 0) / amount + 1e-9) for name, amount in wanted.items() if amount > 0)


def _ready(references: list[Any], seconds: float) -> list[Any]:
    """All that have ended: waits for the first one only."""
    import ray

    first, rest = ray.wait(references, num_returns=1, timeout=seconds, fetch_local=False)
    if not first or not rest:
        return list(first)
    more, _ = ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)
    return [*first, *more]


def _result(reference: Any) -> list[Answer] | tuple[str, bool]:
    """The answers of a batch; else how its worker was lost, and whether its node was. Raises `ExecutorError`."""
    import ray
    from ray import exceptions as lost

    try:
        answers = ray.get(reference)
    except lost.NodeDiedError as error:
        return f"its node was lost repeatedly: {_first_line(error)}", True
    except (lost.ObjectLostError, lost.LocalRayletDiedError) as error:
        return f"the node that held its result was lost repeatedly: {_first_line(error)}", True
    except lost.OutOfMemoryError as error:
        return f"its node had no memory left: {_first_line(error)}", False
    except lost.WorkerCrashedError:
        return f"its worker process was killed {MOST_DEATHS} times", False
    except lost.RayTaskError as error:
        return f"its worker failed: {_first_line(error.cause)}", False
    except lost.RayError as error:
        raise ExecutorError(f"Ray failed: {_first_line(error)}") from error
    if isinstance(answers, OtherVersions):
        raise cluster.other_versions([f"{answers.node}: {', '.join(cluster.differing(answers.versions))}"])
    found: list[Answer] = answers
    return found


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _done(position: int, answer: Answer) -> Done[Any]:
    if answer.value is None:
        return Done(position, None, answer.failure)
    value, failure = pickle.loads(answer.value)
    return Done(position, value, failure)


def _put(path: Path) -> CarriedFile:
    import ray

    content = read_bytes(path, limit=LARGEST_FILE)
    if content is None:
        raise ExecutorError(f"{path} was deleted before it could be sent to the workers.")
    return CarriedFile(path, len(content), hash_bytes(content), ray.put(content))
