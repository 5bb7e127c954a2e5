"""Policy strings to policies: which class, with which weights and arguments, and what makes it that policy.

    starter   baseline   my_package.my_module.MyPolicy   class=lstm,data=weights.pt,kw.hidden_size=64
    bundle_folder/   bundle.zip   run:20261120_101500   daf_output/training/20261120_101500

A resolved `Policy` carries its identity: class, arguments with their types, the content of its weights and of its
source code. Two policies with one identity play the same episodes; a change in any part makes another policy.
Resolving imports no torch.
"""

import importlib.metadata
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config.extras import is_installed, needs
from daf.errors import PolicyError, unknown
from daf.game import bundles, compat
from daf.game.checkpoint_folders import final_checkpoint, require_playable
from daf.game.known_policies import ALIASES, KNOWN, SHORT_NAMES
from daf.game.policy_source import source_of
from daf.storage.hashing import hash_json, hash_tree

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that can be played.

    name: for people, made unique among those that play together (`uniquely_named`). kwargs: constructor arguments.
    import_roots: folders that its code is imported from. network: it computes with torch, so that torch's version,
    the device and the number of threads belong to its results. identity: hash of all that its behaviour follows from.
    also: other names under which the same policy was given (`each_once`).
    """

    name: str
    class_path: str
    data_path: str | None
    kwargs: dict[str, Any] = field(hash=False)
    import_roots: tuple[str, ...]
    network: bool
    identity: str
    also: tuple[str, ...] = field(default=(), compare=False)

    def spec(self) -> "PolicySpec":
        """The same as upstream's PolicySpec."""
        from mettagrid.policy.policy import PolicySpec

        return PolicySpec(class_path=self.class_path, data_path=self.data_path, init_kwargs=dict(self.kwargs))


def resolve(policy: "str | Path | PolicySpec | Policy", *, cache: Path, runs: Path | None = None) -> Policy:
    """The policy that `policy` names. Raises `PolicyError`.

    policy: a policy string or path, upstream's `PolicySpec`, or a `Policy`. cache: folder to unpack zips in.
    runs: the output folder that `run:ID` is looked up in.
    """
    if isinstance(policy, Policy):
        return policy
    compat.install()
    if isinstance(policy, str | Path):
        return _resolve_text(str(policy), cache, runs)
    from mettagrid.policy.policy import PolicySpec

    if isinstance(policy, PolicySpec):
        return _from_class(policy.class_path, policy.data_path, dict(policy.init_kwargs), shown=policy.class_path)
    raise PolicyError(f"{policy!r} is no policy: give a policy string, a path or a PolicySpec.")


def uniquely_named(policies: Sequence[Policy]) -> list[Policy]:
    """The same policies under names that differ: weights' folders are added, then numbers, until none collide."""
    names = [policy.name for policy in policies]
    for depth in range(1, 4):
        for index, policy in enumerate(policies):
            if names.count(names[index]) > 1 and policy.data_path is not None:
                parts = Path(policy.data_path).parts[-1 - depth :]
                names[index] = f"{policy.name.partition('[')[0]}[{'/'.join(parts)}]"
    counts: dict[str, int] = {}
    unique = []
    for policy, name in zip(policies, names, strict=True):
        counts[name] = counts.get(name, 0) + 1
        unique.append(replace(policy, name=name if counts[name] == 1 else f"{name}#{counts[name]}"))
    return unique


def each_once(policies: Sequence[Policy]) -> list[Policy]:
    """The policies by identity, under names that differ: one that occurs several times is kept once, the first.

    Equal policies play equal episodes, so a second copy adds rows and comparisons but no evidence. What the copies were
    called is kept in `also`, and logged.
    """
    kept: dict[str, Policy] = {}
    copies: dict[str, list[Policy]] = {}
    for policy in policies:
        if kept.setdefault(policy.identity, policy) is not policy:
            copies.setdefault(policy.identity, []).append(policy)
    found = []
    for policy, first in zip(uniquely_named(list(kept.values())), kept.values(), strict=True):
        also: dict[str, None] = {}
        for copy in copies.get(policy.identity, []):
            same = (copy.name, copy.data_path) == (first.name, first.data_path)
            also[policy.name if same else copy.name if copy.name != first.name else _with_path(copy)] = None
            also |= dict.fromkeys(copy.also)
        once = replace(policy, also=(*policy.also, *also))
        for note in merged_note(once) if also else ():
            logger.warning("%s", note)
        found.append(once)
    return found


def merged_note(policy: Policy) -> list[str]:
    """A sentence for the reader on the copies that `each_once` dropped; empty where there are none."""
    if not policy.also:
        return []
    if set(policy.also) == {policy.name}:
        return [f"{policy.name} is given more than once: it plays and counts once."]
    others = [name for name in policy.also if name != policy.name]
    are = "is" if len(others) == 1 else "are"
    return [
        f"{' and '.join(others)} {are} the same policy as {policy.name} (equal class, arguments, weights and code): "
        "it plays and counts once."
    ]


def _with_path(policy: Policy) -> str:
    return f"{policy.name.partition('[')[0]}[{policy.data_path}]"


def has_torch() -> bool:
    """Whether torch and PufferLib can be imported, without importing them."""
    return is_installed("torch", "pufferlib")


def _resolve_text(text: str, cache: Path, runs: Path | None) -> Policy:
    head, *entries = [part.strip() for part in text.split(",")]
    if not head:
        raise PolicyError(f'"{text}" names no policy. Write for example starter, or class=package.module.Class.')
    if head.startswith("run:"):
        head = str(_checkpoint_of_run(head.removeprefix("run:"), runs))
    if "://" in head:
        raise PolicyError(f"{head} is remote. Fetch it with `cogames` first and give the path of the bundle.")
    path = Path(head).expanduser()
    if "=" not in head and (path.is_dir() or head.endswith(".zip") or head.startswith((".", "/", "~"))):
        fields = _fields(text, entries, allowed=("name", "kw."))
        return _from_path(path, fields, text, cache)
    fields = _fields(
        text, [head if "=" in head else f"class={head}", *entries], allowed=("class", "data", "name", "kw.")
    )
    if "class" not in fields:
        raise PolicyError(f'"{text}" names no class. Write class=NAME, or begin with the name.')
    data = fields.get("data")
    if data is not None and not Path(data).expanduser().exists():
        raise PolicyError(f'"{text}": there is no file {data}. data= takes the path of the weights.')
    data_path = str(Path(data).expanduser().resolve()) if data is not None else None
    policy = _from_class(fields["class"], data_path, fields["kw."], shown=text)
    return replace(policy, name=fields["name"]) if "name" in fields else policy


def _fields(text: str, entries: Iterable[str], *, allowed: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"kw.": {}}
    for entry in entries:
        key, separator, value = (part.strip() for part in entry.partition("="))
        if key == "proportion":
            raise PolicyError(f'"{text}": proportion= is written as --team {text.split(",")[0]}=N here.')
        if not separator or not value:
            raise PolicyError(f'"{text}": "{entry}" is no key=value. Known keys: {", ".join(allowed)}NAME.')
        if key.startswith("kw.") and len(key) > 3 and "kw." in allowed:
            fields["kw."][key[3:].replace("-", "_")] = typed(value)
        elif key in allowed and key != "kw.":
            if key in fields:
                raise PolicyError(f'"{text}": {key}= is given twice.')
            fields[key] = value
        else:
            hint = f"To pass it to the policy's constructor write kw.{key}={value}."
            raise PolicyError(f'"{text}": {unknown("policy field", key, allowed, hint=hint)}')
    return fields


def typed(text: str) -> Any:
    """The value that `text` is in YAML 1.2's core schema: null, a boolean, an integer, a float, else the text."""
    if text in ("null", "~", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def untyped(value: bool | int | float | str | None) -> str:
    """`value` as policy and mission strings have it, so that `typed` reads it back as what it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if typed(value) == value and value else f"'{value}'"
    return repr(value)


def _from_path(path: Path, fields: Mapping[str, Any], text: str, cache: Path) -> Policy:
    if not path.exists():
        raise PolicyError(f'"{text}": there is no file or folder {path}.')
    if path.is_dir() and not bundles.is_bundle(path):
        path = final_checkpoint(path)
    if not bundles.is_bundle(path):
        raise PolicyError(f'"{text}": {path} is no policy bundle (a folder with {bundles.SPEC_FILE}, or a zip of one).')
    bundle = bundles.open_bundle(path, cache)
    kwargs = {**bundle.kwargs, **fields["kw."]}
    roots = bundles.import_roots(bundle)
    known = bundle.class_path in SHORT_NAMES or bundle.class_path in KNOWN
    code = None if known else hash_tree(bundle.root)
    name = fields.get("name", path.stem if path.suffix == ".zip" else _folder_name(path))
    return _make(bundle.class_path, bundle.data_path, kwargs, name=name, roots=tuple(roots), code=code, shown=text)


def _folder_name(path: Path) -> str:
    """The folder's name; of a training run's checkpoint the run's, with the step where it is not the final one."""
    path = path.resolve()
    if path.parent.name != "checkpoints" or not (path.name == "final" or path.name.startswith("step_")):
        return path.name
    run = path.parent.parent.name
    return f"run:{run}" if path.name == "final" else f"run:{run}/{path.name}"


def _checkpoint_of_run(run_id: str, runs: Path | None) -> Path:
    if runs is None:
        raise PolicyError(f"run:{run_id} can't be looked up here: there is no output folder.")
    from daf.output_manager import find_run, list_runs

    if run_id == "latest":  # of those that hold a policy
        for run in list_runs(runs):
            if any(run.path.glob(f"checkpoints/*/{bundles.SPEC_FILE}")):
                return final_checkpoint(run.path)
    return final_checkpoint(find_run(run_id, runs).path)


def _from_class(name: str, data_path: str | None, kwargs: dict[str, Any], *, shown: str) -> Policy:
    if name in ALIASES:
        logger.info('policy "%s" is "%s"', name, ALIASES[name])
        name = ALIASES[name]
    if name not in KNOWN and "." not in name:
        if ":" in name:
            raise PolicyError(f'"{shown}": write the class with dots: {name.replace(":", ".")}.')
        raise PolicyError(unknown("policy", name, [*KNOWN, *ALIASES], hint="`daf policies` lists them all."))
    if data_path is not None:
        require_playable(Path(data_path).parent)
    class_path = KNOWN[name].class_path if name in KNOWN else name
    display = SHORT_NAMES.get(class_path, class_path.rpartition(".")[2])
    if data_path is not None:
        display += f"[{Path(data_path).name}]"
    if kwargs:
        display += "(" + ",".join(f"{key}={value}" for key, value in kwargs.items()) + ")"
    return _make(class_path, data_path, kwargs, name=display, roots=(), code=None, shown=shown)


def _make(
    class_path: str,
    data_path: str | None,
    kwargs: dict[str, Any],
    *,
    name: str,
    roots: tuple[str, ...],
    code: str | None,
    shown: str,
) -> Policy:
    known = KNOWN.get(SHORT_NAMES.get(class_path, class_path))
    if known is not None:
        class_path, network = known.class_path, known.needs_torch
        code = code or _code_of_known(class_path)
    elif roots:
        network = _network_in(class_path, roots)
    else:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        source = source_of(class_path)
        code, network = source.hash, _is_network(class_path, shown) or source.needs_torch
    if network and not has_torch():
        raise PolicyError(needs("train", f'"{shown}"', "torch", "pufferlib"))
    weights = hash_tree(data_path) if data_path is not None else None
    identity = hash_json({"class": class_path, "kwargs": kwargs, "weights": weights, "code": code})
    return Policy(name, class_path, data_path, kwargs, roots, network, identity)


def _code_of_known(class_path: str) -> str:
    """Of upstream's policies the version, of DAF's own the content: they change between releases."""
    package = class_path.split(".")[0]
    if package == "daf":
        return source_of(class_path).hash
    return f"{package} {importlib.metadata.version(package)}"


def _is_network(class_path: str, shown: str) -> bool:
    """Import the class, which proves that it can be, and see whether it offers a network."""
    from mettagrid.policy.policy import MultiAgentPolicy

    from daf.game.policy_loading import load_class

    cls = load_class(class_path, shown=shown)
    return cls.network is not MultiAgentPolicy.network


def _network_in(class_path: str, roots: Sequence[str]) -> bool:
    from mettagrid.policy.policy import MultiAgentPolicy

    from daf.game.policy_loading import importing_from, load_class

    with importing_from(roots):
        source = source_of(class_path)
        return source.needs_torch or load_class(class_path, shown=class_path).network is not MultiAgentPolicy.network
