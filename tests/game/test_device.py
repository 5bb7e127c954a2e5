import pytest

from daf.errors import UsageError
from daf.game.device import resolve_device


def test_the_cpu_is_always_there_and_auto_is_something_that_is() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto").partition(":")[0] in ("cpu", "cuda", "mps")
    assert resolve_device("auto", gpu_allowed=False) == "cpu"


@pytest.mark.parametrize(("name", "says"), [
    ("tpu", "Known: auto"), ("cuda:x", "Known: auto"), ("cpu:1", "Known: auto"), ("cuda:99", "is not available"),
])  # fmt: skip
def test_a_device_that_is_not_there_is_refused(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve_device(name)


def test_a_gpu_that_the_configuration_forbids_is_refused() -> None:
    with pytest.raises(UsageError, match="enable_gpu: false"):
        resolve_device("cuda", gpu_allowed=False)
