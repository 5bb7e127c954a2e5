"""From a resolved policy to an object that plays; each step that fails says what is wrong.

Code of bundles is imported from the bundle's own folders. Two bundles may bring modules of the same name; what one
imported is forgotten before the other is loaded, so that each gets its own.
"""

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import PolicyError, unknown
from daf.game import compat

if TYPE_CHECKING:
    from mettagrid.policy.policy import MultiAgentPolicy
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game.policies import Policy

_bundle_roots: set[str] = set()


def load_class(class_path: str, *, shown: str) -> "type[MultiAgentPolicy]":
    """The class at `class_path`. Raises `PolicyError` with the import's own error."""
    compat.install()
    from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy

    module_name, _, class_name = class_path.rpartition(".")
    if not module_name:
        raise PolicyError(f'"{shown}": {class_path} is no import path; write package.module.Class.')
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise PolicyError(f'"{shown}": importing {module_name} failed: {type(error).__name__}: {error}') from error
    cls = getattr(module, class_name, None)
    if cls is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise PolicyError(f'"{shown}": {unknown(f"class in {module_name}", class_name, classes)}')
    if not (isinstance(cls, type) and issubclass(cls, MultiAgentPolicy)):
        kind = (
            "an AgentPolicy; give the MultiAgentPolicy that makes it"
            if (isinstance(cls, type) and issubclass(cls, AgentPolicy))
            else "no MultiAgentPolicy"
        )
        raise PolicyError(f'"{shown}": {class_path} is {kind}.')
    return cls


def build(policy: "Policy", env_interface: "PolicyEnvInterface", *, device: str = "cpu") -> "MultiAgentPolicy":
    """A new policy object for an environment, with its weights. Raises `PolicyError` that says which step failed."""
    with importing_from(policy.import_roots):
        cls = load_class(policy.class_path, shown=policy.name)
        kwargs = dict(policy.kwargs)
        if policy.network and "device" not in kwargs and "device" in inspect.signature(cls).parameters:
            kwargs["device"] = device
        _check_arguments(cls, policy)
        try:
            built = cls(env_interface, **kwargs)
        except Exception as error:
            raise PolicyError(
                f'policy "{policy.name}" cannot be built: {type(error).__name__}: {_short(error)} ({_place(error)})'
            ) from error
        if policy.data_path is not None:
            try:
                built.load_policy_data(policy.data_path)
            except Exception as error:
                raise PolicyError(
                    f'policy "{policy.name}": its weights {policy.data_path} do not fit this mission and class: '
                    f"{type(error).__name__}: {_short(error)}"
                ) from error
    return built


@contextlib.contextmanager
def importing_from(roots: Sequence[str]) -> Iterator[None]:
    """Import from `roots` first; modules that another bundle brought are forgotten before."""
    if not roots:
        yield
        return
    others = _bundle_roots - set(roots)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(Path(root) in Path(file).parents for root in others):
            del sys.modules[name]
    sys.path[:] = [*roots, *(entry for entry in sys.path if entry not in _bundle_roots and entry not in roots)]
    _bundle_roots.update(roots)
    importlib.invalidate_caches()
    yield


def _check_arguments(cls: type, policy: "Policy") -> None:
    parameters = inspect.signature(cls).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    accepted = [parameter.name for parameter in parameters][1:]
    for key in policy.kwargs:
        if key not in accepted:
            raise PolicyError(f'policy "{policy.name}": {unknown("constructor argument", key, accepted)}')


def _place(error: BaseException) -> str:
    """Where an exception was raised: file and line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


def _short(error: BaseException, limit: int = 600) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= limit else text[:limit] + " …"
