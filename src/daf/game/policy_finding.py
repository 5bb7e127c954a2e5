"""What a policy string names: a class of CoGames or the user's, a Python file, a bundle, a run's checkpoint, a release.

Existing files decide: the longest start of the string that is a path is taken as one, whatever separators it contains.
Nothing that is found is executed here; a file's classes are listed in a separate process.
"""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import PolicyError, nearest, quoted, unknown
from daf.game import bundles, compat
from daf.game._class_facts import classes_in
from daf.game.checkpoint_folders import final_checkpoint, require_playable, specifications
from daf.game.known_policies import ALIASES, KNOWN, SHORT_NAMES
from daf.game.policy_source import find_module, is_installed, source_of
from daf.game.policy_strings import check_text, entries_of, fields_of
from daf.storage.hashing import hash_file
from daf.storage.paths import existing, leading_path

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec

    from daf.registry import Registry, Release

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A policy as its string and its bundle describe it, before its class is examined. shown: the string."""

    class_path: str
    data_path: str | None
    kwargs: dict[str, Any]
    name: str
    roots: tuple[str, ...]
    bundle: bundles.Bundle | None
    shown: str


def find(policy: "str | Path | PolicySpec", *, cache: Path, runs: Path | None) -> Found:
    """The policy that `policy` names; arguments as in `daf.game.policies.resolve`. Raises `PolicyError`,
    `StorageError`.
    """
    if isinstance(policy, str | Path):
        return _of_text(str(policy), cache, runs)
    if "mettagrid" in sys.modules:  # without it, nobody has a PolicySpec
        compat.install()
        from mettagrid.policy.policy import PolicySpec

        if isinstance(policy, PolicySpec):
            return _of_class(policy.class_path, policy.data_path, dict(policy.init_kwargs), shown=policy.class_path)
    raise PolicyError(f"{quoted(repr(policy))} is not a policy: give a policy string, a path or a PolicySpec.")


def path_in(text: str) -> Path | None:
    """The existing file or folder that a policy string is about, the policy's own or its weights; None without one."""
    leading = leading_path(text, ",:", accept=_may_be_policy)
    if leading is not None:
        return leading[0]
    weights = [entry.partition("=")[2] for entry in entries_of(text) if entry.startswith("data=")]
    return existing(weights[0]) if weights else None


def _folder_name(path: Path) -> str:
    """The folder's name; of a training run's checkpoint the run's, with the step where it is not the final one."""
    path = path.resolve()
    if path.parent.name != "checkpoints" or not (path.name == "final" or path.name.startswith("step_")):
        return path.name
    run = path.parent.parent.name
    return f"run:{run}" if path.name == "final" else f"run:{run}/{path.name}"


def _checkpoint_of_run(run_id: str, runs: Path | None) -> Path:
    if runs is None:
        raise PolicyError(f"run:{run_id} can't be looked up here: there is no output directory.")
    from daf.output_manager import find_run, list_runs
    from daf.output_manager.runs import has_file

    if run_id == "latest":  # of those that hold a policy
        for run in list_runs(runs):
            if has_file(run.path, f"checkpoints/*/{bundles.SPEC_FILE}"):
                return final_checkpoint(find_run(run.path).path)
    return final_checkpoint(find_run(run_id, runs).path)


def named_release(text: str, runs: Path | None) -> "Release | None":
    """The release that a policy string names now; None if it names something else. Fetches no bundle.

    Raises `PolicyError`, `ReleaseError`, `StorageError`.
    """
    head, *entries = entries_of(text)
    if not head.startswith("release:"):
        return None
    fields = fields_of(text, entries, allowed=("registry", "name", "kw."))
    return _release(head.removeprefix("release:"), fields.get("registry"), runs)[1]


def _bundle_of_release(wanted: str, registry: str | None, runs: Path | None, cache: Path) -> tuple[Path, str]:
    """The bundle of a release, and the name under which it plays."""
    there, release = _release(wanted, registry, runs)
    return there.fetch(release, cache), f"{release['name']}@{release['version']}"


def _release(wanted: str, registry: str | None, runs: Path | None) -> "tuple[Registry, Release]":
    from daf.registry import find_release, open_registry

    if registry is None and runs is None:
        raise PolicyError(f"release:{wanted} can't be looked up here: there is no output directory. Add registry=DIR.")
    there = open_registry(registry, base_dir=runs or Path())
    return there, find_release(there, wanted or None)


def anchored(text: str) -> str:
    """The policy string with its relative paths made absolute, so that it means the same from any folder."""
    leading = leading_path(text, ",:", accept=_may_be_policy)
    if leading is not None:
        return f"{leading[0].absolute()}{leading[1]}"
    entries = entries_of(text)
    for place, entry in enumerate(entries):
        for key in ("data=", "registry="):
            there = existing(entry.removeprefix(key)) if entry.startswith(key) else None
            if there is not None:
                entries[place] = f"{key}{there.absolute()}"
    return ",".join(entries)


def _of_text(text: str, cache: Path, runs: Path | None) -> Found:
    check_text(text)
    leading = leading_path(text, ",:", accept=_may_be_policy)
    if leading is not None and (leading[1][:1] != ":" or _is_code(leading[0])):
        path, rest = leading
        return _of_path(path, rest, text, cache)
    head, *entries = entries_of(text)
    if not head:
        raise PolicyError(f"{quoted(text)} names no policy. Write for example starter, or class=package.module.Class.")
    if head.startswith("run:"):
        path = _checkpoint_of_run(head.removeprefix("run:"), runs)
        return _of_bundle(path, fields_of(text, entries, allowed=("name", "kw.")), text, cache)
    if head.startswith("release:"):
        fields = fields_of(text, entries, allowed=("registry", "name", "kw."))
        path, name = _bundle_of_release(head.removeprefix("release:"), fields.get("registry"), runs, cache)
        return _of_bundle(path, {"name": name, **fields}, text, cache)
    if "://" in head:
        raise PolicyError(f"{quoted(head)} is remote. Fetch it with `cogames` first and give the path of the bundle.")
    if "=" not in head and head not in KNOWN and _looks_like_path(head):
        raise _no_such_path(head, text)
    fields = fields_of(
        text, [head if "=" in head else f"class={head}", *entries], allowed=("class", "data", "name", "kw.")
    )
    if "class" not in fields:
        raise PolicyError(f"{quoted(text)} names no class. Write class=NAME, or begin with the name.")
    data = fields.get("data")
    if data is not None:
        found = existing(data)
        if found is None:
            raise PolicyError(f"{quoted(text)}: there is no file {quoted(data)}. data= takes the path of the weights.")
        if not found.is_file() and not found.is_dir():
            raise PolicyError(f"{quoted(text)}: {found} is neither a file nor a directory, so it contains no weights.")
        data = str(found.resolve())
    of_class = _of_class(fields["class"], data, fields["kw."], shown=text)
    return replace(of_class, name=fields["name"]) if "name" in fields else of_class


def _looks_like_path(head: str) -> bool:
    return (
        "/" in head or head.startswith((".", "~")) or re.search(r"\.(zip|py)(:.*)?$", head, re.IGNORECASE) is not None
    )


def _no_such_path(head: str, text: str) -> PolicyError:
    path = head.rpartition(":")[0] if re.search(r"\.py:[^/]*$", head) else head
    near: list[str] = []
    parent = existing(str(Path(path).parent))
    if parent is not None and parent.is_dir():
        near = nearest(Path(path).name, (entry.name for entry in islice(parent.iterdir(), 1_000)))
    hint = f" Nearest there: {', '.join(near)}." if near else ""
    return PolicyError(f"{quoted(text)}: there is no file or directory {quoted(path)}.{hint}")


def _may_be_policy(path: Path) -> bool:
    """Whether an existing path is meant, and not the short name that it may look like."""
    name = str(path)
    if name in KNOWN or name in ALIASES:
        return path.is_dir() and (bundles.is_bundle(path) or specifications(path) != [])
    return True


def _is_code(path: Path) -> bool:
    return path.suffix.lower() == ".py" and path.is_file()


def _of_path(path: Path, rest: str, text: str, cache: Path) -> Found:
    """The policy at an existing path. rest: the part of `text` after it, from its separator on."""
    if _is_code(path):
        name, comma, options = rest.removeprefix(":").partition(",") if rest.startswith(":") else ("", rest, rest[1:])
        if rest.startswith(":") and not name.strip():
            raise PolicyError(
                f"{quoted(text)} names no class after the colon. Write {path.name}:MyPolicy, or no colon."
            )
        fields = fields_of(text, entries_of(options) if comma else (), allowed=("data", "name", "kw."))
        return _of_file(path, name.strip(), fields, text, cache)
    fields = fields_of(text, entries_of(rest[1:]) if rest else (), allowed=("name", "kw."))
    if path.is_dir() and not bundles.is_bundle(path):
        path = final_checkpoint(path)
    if not bundles.is_bundle(path):
        raise PolicyError(
            f"{quoted(text)}: {path} is not a policy: pass a Python file (my_policy.py), a directory with "
            f"{bundles.SPEC_FILE}, or a zip of one."
        )
    return _of_bundle(path, fields, text, cache)


def _of_bundle(path: Path, fields: Mapping[str, Any], text: str, cache: Path) -> Found:
    bundle = bundles.open_bundle(path, cache)
    name = fields.get("name", path.stem if path.suffix.lower() == ".zip" else _folder_name(path))
    kwargs = {**bundle.kwargs, **fields["kw."]}
    # A known class is that of the installed package. The copy in a bundle is for places without DAF.
    if copy_that_differs(bundle) is not None:
        logger.warning("%s: its copy of %s differs from the installed one, which plays.", path, bundle.class_path)
    roots = () if bundle.class_path in SHORT_NAMES else tuple(bundles.import_roots(bundle))
    return Found(bundle.class_path, bundle.data_path, kwargs, name, roots, bundle, text)


def copy_that_differs(bundle: bundles.Bundle) -> Path | None:
    """A bundle's copy of one of the known classes' modules, if it differs from the installed module; None otherwise."""
    if bundle.class_path not in SHORT_NAMES:
        return None
    module = bundle.class_path.rpartition(".")[0]
    installed = find_module(module)
    for copy in sorted(bundle.root.rglob(f"{module.replace('.', '/')}.py")):
        if installed is None or hash_file(copy) != hash_file(installed):
            return copy
    return None


def _of_file(path: Path, class_name: str, fields: Mapping[str, Any], text: str, cache: Path) -> Found:
    """The class of that name in a Python file, or the only policy class there."""
    path = path.resolve()
    module, roots = path.stem, (str(path.parent),)
    other = find_module(module)
    taken = module in sys.stdlib_module_names or (other is not None and is_installed(other))
    if "." in module or taken:
        why = f"{module} is the name of a Python module that is installed" if taken else "its name has two dots"
        raise PolicyError(f"{quoted(text)}: Python can't import {path.name}, since {why}. Rename the file.")
    code = source_of(f"{module}.{class_name}", roots).hash  # refuses what can't be read as Python, with its line
    if not class_name:
        names = classes_in(module, roots, code, cache=cache, shown=text)
        if not names:
            raise PolicyError(
                f"{quoted(text)}: {path.name} defines no policy, which is a subclass of "
                "mettagrid.policy.policy.MultiAgentPolicy that can be built."
            )
        if len(names) > 1:
            ways = ", ".join(f"{path.name}:{name}" for name in names[:6])
            raise PolicyError(f"{quoted(text)}: {path.name} defines {len(names)} policies. Name one: {ways}.")
        class_name = names[0]
    data = fields.get("data")
    found = existing(data) if data is not None else None
    if data is not None and (found is None or not (found.is_file() or found.is_dir())):
        raise PolicyError(f"{quoted(text)}: there is no file {quoted(data)}. data= takes the path of the weights.")
    name = fields.get("name", module) + (_shown_arguments(fields["kw."]) if "name" not in fields else "")
    weights = str(found.resolve()) if found is not None else None
    if weights is not None:
        require_playable(Path(weights).parent)
    return Found(f"{module}.{class_name}", weights, dict(fields["kw."]), name, roots, None, text)


def _of_class(name: str, data_path: str | None, kwargs: dict[str, Any], *, shown: str) -> Found:
    if name in ALIASES:
        logger.info('policy "%s" is "%s"', name, ALIASES[name])
        name = ALIASES[name]
    if name not in KNOWN and "." not in name:
        if ":" in name:
            raise PolicyError(f"{quoted(shown)}: write the class with dots: {name.replace(':', '.')}.")
        raise PolicyError(unknown("policy", name, [*KNOWN, *ALIASES], hint="`daf policies` lists them all."))
    if data_path is not None:
        require_playable(Path(data_path).parent)
    class_path = KNOWN[name].class_path if name in KNOWN else name
    display = SHORT_NAMES.get(class_path, class_path.rpartition(".")[2])
    if data_path is not None:
        display += f"[{Path(data_path).name}]"
    return Found(class_path, data_path, kwargs, display + _shown_arguments(kwargs), (), None, shown)


def _shown_arguments(kwargs: Mapping[str, Any]) -> str:
    return "(" + ",".join(f"{key}={value}" for key, value in kwargs.items()) + ")" if kwargs else ""
