"""Workarounds for mettagrid's behaviour, applied once for the whole process.

`install()` is idempotent and is called wherever DAF first uses mettagrid:

- `StatefulAgentPolicy.step` imports torch for its `no_grad`, also for scripted policies. The replacement enters
  `no_grad` only where torch is already imported: a process that never imported torch holds no tensor that a gradient
  could follow. So scripted policies run without torch, and without its 3 s of import where it is installed.
- The agents of `stateless` never call their base's constructor, so that reading their `infos`, as the rollout does
after each step, fails. They have none.
- Importing mettagrid adds a handler to the root logger and sets its level, overriding the application's configuration;
both are restored. `keep_logging` sees to that for whichever module imports mettagrid first.
- Episodes log time-outs themselves; upstream's warning per slow step would flood the terminal.
- Importing mettagrid imports IPython, for missions in notebooks, and boto3, for maps on S3: a quarter of its time. Here
they are imported when they are first used.
"""

import contextlib
import importlib.util
import logging
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_installed = False


def keep_logging() -> None:
    """Restore the root logger after the first import of mettagrid."""
    if "mettagrid" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds mettagrid as the other finders do, and restores the root logger after its module has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for every other module."""
        if fullname != "mettagrid":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for one in others if (found := one.find_spec(fullname, path, target)) is not None), None)
        loader: Any = None if spec is None else spec.loader
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)
            with _root_logger_kept():
                run(module)

        loader.exec_module = exec_module
        return spec


@contextlib.contextmanager
def _root_logger_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


class _Notebook:
    """Stands for `importnb.Notebook`, which is imported where there may be a notebook.

    mettagrid asks for one wherever a name is not that of a module, also for the classes in its own modules.
    """

    def load_module(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Raises `ModuleNotFoundError`, as importnb does, for a name inside a module that is not a package."""
        parent = name.rpartition(".")[0]
        while parent and parent not in sys.modules:
            parent = parent.rpartition(".")[0]
        if parent and not hasattr(sys.modules[parent], "__path__"):
            raise ModuleNotFoundError(f"No module named {name!r}; {parent!r} is not a package", name=name)
        return importlib.import_module("importnb").Notebook.load_module(name, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("importnb").Notebook, name)


class _Boto3Finder(MetaPathFinder):
    """Finds boto3 as the other finders do; its module runs when an attribute is first used."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for every other module."""
        if fullname != "boto3":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for one in others if (found := one.find_spec(fullname, path, target)) is not None), None)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextlib.contextmanager
def _rare_imports_later() -> Iterator[None]:
    """While mettagrid is imported, let it have stand-ins for importnb and boto3."""
    stand_in: Any = ModuleType("importnb")
    stand_in.Notebook = _Notebook()
    finder = _Boto3Finder()
    known = sys.modules.setdefault("importnb", stand_in)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if known is stand_in:
            del sys.modules["importnb"]


def install() -> None:
    """Apply the workarounds, once."""
    global _installed
    if _installed:
        return
    with _root_logger_kept(), _rare_imports_later():
        from mettagrid.policy.policy import AgentPolicy

    without_torch()
    AgentPolicy.infos = property(_infos)  # type: ignore[method-assign, assignment]
    logging.getLogger("mettagrid.simulator.rollout").setLevel(logging.ERROR)
    _installed = True


def without_torch() -> None:
    """Only the first workaround, which changes no behaviour: for code that must do what CoGames does."""
    from mettagrid.policy.policy import StatefulAgentPolicy

    StatefulAgentPolicy.step = _step  # type: ignore[method-assign]


def _infos(self: Any) -> dict[str, Any]:
    """`AgentPolicy.infos`, empty if the policy's constructor did not call its base's."""
    infos: dict[str, Any] = getattr(self, "_infos", {})
    return infos


def _step(self: Any, obs: Any) -> Any:
    """`StatefulAgentPolicy.step`, with torch only if it is already imported."""
    if not self._state_initialized:
        self._initialize_state(self._simulation)
    base = self._base_policy
    if hasattr(base, "set_active_agent"):
        base.set_active_agent(self._agent_id)
    torch = sys.modules.get("torch")
    if torch is None:
        action, self._state = base.step_with_state(obs, self._state)
    else:
        with torch.no_grad():
            action, self._state = base.step_with_state(obs, self._state)
    if self._agent_id is not None:
        self._agent_states[self._agent_id] = self._state
    self._infos = getattr(base, "_infos", {})
    return action
