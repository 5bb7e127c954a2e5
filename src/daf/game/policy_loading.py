"""From a resolved policy to an object that plays; every failing step raises its reason.

Code of bundles and of policy files is imported from their own folders. Two of them may contain modules of the same
name, and a file may change while this process lives; imported modules are therefore removed before another or a changed
one is loaded, so that each policy gets its own.
"""

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from daf.errors import PolicyError, quoted, unknown
from daf.game import compat
from daf.game.known_policies import SHORT_NAMES
from daf.game.policy_source import is_installed
from daf.game.weights import load_into

if TYPE_CHECKING:
    from mettagrid.policy.policy import MultiAgentPolicy
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game.policy import Policy

_KEPT = frozenset({"daf", "cogames", "mettagrid", "tests", "__main__", "__mp_main__"})
"""Never forgotten: no policy imports the tests of its project, but a program that plays it may be one of them."""
_used_roots: set[str] = set()
_current_roots: list[str] = []
_signatures: dict[str, tuple[int, int]] = {}
"""For each module below one of `_used_roots`, its file's time and size when it was imported."""


def load_module(name: str, *, shown: str) -> ModuleType:
    """Import the module `name`. Raises `PolicyError` with the import's own error, and where it exits."""
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise PolicyError(f"{quoted(shown)}: importing {name} ended its process: exit code {error.code}.") from error
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}" if error.filename else name
        raise PolicyError(f"{quoted(shown)}: {place}: {error.msg}.") from error
    except Exception as error:
        place = _place(error)
        raise PolicyError(
            f"{quoted(shown)}: importing {name} failed: {type(error).__name__}: {_short(error)} ({place})"
        ) from error


def load_class(class_path: str, *, shown: str) -> "type[MultiAgentPolicy]":
    """The class at `class_path`. Raises `PolicyError` with the import's own error."""
    compat.install()
    from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy

    module_name, _, class_name = class_path.rpartition(".")
    if not module_name:
        raise PolicyError(f"{quoted(shown)}: {class_path} is not an import path; write package.module.Class.")
    module = load_module(module_name, shown=shown)
    cls = getattr(module, class_name, None)
    if cls is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise PolicyError(f"{quoted(shown)}: {unknown(f'class in {module_name}', class_name, classes)}")
    if not (isinstance(cls, type) and issubclass(cls, MultiAgentPolicy)):
        kind = (
            "an AgentPolicy; give the MultiAgentPolicy that makes it"
            if (isinstance(cls, type) and issubclass(cls, AgentPolicy))
            else "not a MultiAgentPolicy"
        )
        raise PolicyError(f"{quoted(shown)}: {class_path} is {kind}.")
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
                load_into(built, policy.data_path, known=policy.class_path in SHORT_NAMES)
            except Exception as error:
                raise PolicyError(
                    f'policy "{policy.name}": its weights {policy.data_path} do not fit this mission and class: '
                    f"{type(error).__name__}: {_short(error)}"
                ) from error
    return built


@contextlib.contextmanager
def importing_from(roots: Sequence[str]) -> Iterator[None]:
    """Import from `roots` first, in this block and after it; modules of other roots, or changed ones, are forgotten.

    No bytecode is written next to the policy's files in the block: Python recognizes a stale one by the second only.
    """
    if not roots and not _used_roots:
        yield
        return
    switched = _current_roots != list(roots)
    _forget(set(roots))
    if switched:
        _forget_namesakes(roots)
    _current_roots[:] = roots
    sys.path[:] = [*roots, *(entry for entry in sys.path if entry not in _used_roots and entry not in roots)]
    _used_roots.update(roots)
    importlib.invalidate_caches()
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        _signatures.update({name: _signature(file) for name, file in _modules_below(set(roots)).items()})


def _forget(roots: set[str]) -> None:
    """Forget the modules of other roots, and all of `roots` where one of their files changed."""
    doomed = _modules_below(_used_roots - roots)
    own = _modules_below(roots)
    if any(name in _signatures and _signatures[name] != _signature(file) for name, file in own.items()):
        doomed |= own
    for name in doomed:
        sys.modules.pop(name, None)
        _signatures.pop(name, None)


def _forget_namesakes(roots: Sequence[str]) -> None:
    """Forget modules, other than installed ones, that were imported from elsewhere under a name that `roots` have."""
    own = _modules_below(set(roots))
    names = {entry.partition(".")[0] for root in roots for entry in _entries(root)}
    for name in names.difference(own, _KEPT):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not is_installed(Path(file)):
            for other in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[other]


def _entries(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        return []


def _modules_below(roots: set[str]) -> dict[str, str]:
    """The imported modules whose files lie below `roots`, with these files."""
    beginnings = tuple(f"{root.rstrip('/')}/" for root in roots)
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and beginnings and file.startswith(beginnings):
            found[name] = file
    return found


def _signature(file: str) -> tuple[int, int]:
    try:
        status = Path(file).stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


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
