"""Where the jobs of an experiment run."""

from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.compute.skypilot import require_sky
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.jobs.interface import JobRunner
from daf.core.jobs.runners import make_runner, trains_on_gpu
from daf.core.jobs.skypilot import SkyJobs
from daf.errors import UsageError


def runner_for(
    config: DAFAdaptiveConfig, executor: str | None = None, cluster: ClusterOptions = THIS_MACHINE
) -> JobRunner:
    """The runner that `config` names. executor, cluster: a command's, which take precedence over its `dispatcher`.

    Raises `UsageError`, `MissingExtraError`, and `ExecutorError` if SkyPilot's program is missing.
    """
    if config.skypilot is None:
        return make_runner(executor or config.dispatcher, cluster, gpu=trains_on_gpu(config.training))
    if executor is not None or cluster != THIS_MACHINE:
        raise UsageError("the experiment uses SkyPilot (use_skypilot), so it can't use --executor.")
    require_sky()
    return SkyJobs(config.skypilot.task_settings(), config.skypilot.mount)
