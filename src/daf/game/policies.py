"""Policy strings to policies: the class, weights and arguments, and the identity of the policy.

    starter   baseline   my_package.my_module.MyPolicy   class=lstm,data=weights.pt,kw.hidden_size=64
    my_policy.py   my_policy.py:MyPolicy,kw.speed=2   bundle_folder/   bundle.zip
    run:20261120_101500   daf_output/training/20261120_101500

Existing files decide: the longest start of a string that is a path is taken as one, whatever separators it contains.

A resolved `Policy` carries its identity: class, arguments with their types, the content of its weights and of its
source code. Two policies with one identity play the same episodes; a change in any part makes another policy.
Resolving imports neither torch nor, for a policy that was resolved before, the game.
"""

import importlib.metadata
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config.extras import is_installed, needs
from daf.errors import PolicyError, quoted
from daf.game import bundles, compat
from daf.game._class_facts import ClassFacts, facts_here, facts_of
from daf.game.known_policies import KNOWN, SHORT_NAMES
from daf.game.policy import Policy
from daf.game.policy_finding import Found, find
from daf.game.policy_source import source_of
from daf.storage.hashing import hash_json, hash_tree

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Description:
    """The facts known of a policy without playing it.

    network, identity: None until `setup_script`, which creates parts of the policy, has been run.
    """

    name: str
    class_path: str
    description: str
    data_path: str | None
    kwargs: dict[str, Any]
    network: bool | None
    identity: str | None
    setup_script: Path | None


def resolve(policy: "str | Path | PolicySpec | Policy", *, cache: Path, runs: Path | None = None) -> Policy:
    """The policy that `policy` names. Raises `PolicyError`.

    policy: a policy string or path, upstream's `PolicySpec`, or a `Policy`. cache: folder to unpack zips in.
    runs: the output directory that `run:ID` is looked up in.

    Nothing of the policy is imported into this process, and nothing of the game where the policy was resolved before; a
    bundle's set-up script is run once, in a separate process.
    """
    if isinstance(policy, Policy):
        return policy
    found = find(policy, cache=cache, runs=runs)
    if found.bundle is not None:
        bundles.set_up(found.bundle, cache)
    return _made(found, cache)


def describe(policy: "str | Path | PolicySpec", *, cache: Path, runs: Path | None = None) -> Description:
    """Describe a policy without executing anything of it here. Arguments and errors as in `resolve`.

    Its class is imported in a separate process, unless its bundle has a set-up script that was not run.
    """
    found = find(policy, cache=cache, runs=runs)
    script = found.bundle.setup_script if found.bundle is not None else None
    made = _made(found, cache) if script is None else None
    known = KNOWN.get(SHORT_NAMES.get(found.class_path, found.class_path))
    text = known.description if known is not None else class_facts(made, cache=cache).description if made else ""
    return Description(
        name=found.name,
        class_path=known.class_path if known is not None else found.class_path,
        description=text,
        data_path=found.data_path,
        kwargs=found.kwargs,
        network=made.network if made is not None else None,
        identity=made.identity if made is not None else None,
        setup_script=script,
    )


def upstream_spec(policy: "str | Path | PolicySpec | Policy", *, cache: Path, runs: Path | None = None) -> "PolicySpec":
    """Upstream's PolicySpec of what `policy` names; executes nothing of it. Arguments and errors as in `resolve`."""
    if isinstance(policy, Policy):
        return policy.spec()
    compat.install()
    from mettagrid.policy.policy import PolicySpec

    found = find(policy, cache=cache, runs=runs)
    return PolicySpec(class_path=found.class_path, data_path=found.data_path, init_kwargs=dict(found.kwargs))


def class_facts(policy: Policy, *, cache: Path) -> ClassFacts:
    """What the policy's class is, found in a separate process where it isn't one of CoGames' or DAF's."""
    if policy.class_path in SHORT_NAMES:
        return facts_here(policy.class_path)
    code = source_of(policy.class_path, policy.import_roots).hash
    return facts_of(policy.class_path, policy.import_roots, code, cache=cache, shown=policy.name)


def uniquely_named(policies: Sequence[Policy]) -> list[Policy]:
    """The same policies under names that differ: weights' folders are added, then numbers, until none collide."""
    names = [policy.name for policy in policies]
    for depth in range(1, 4):
        counted = list(names)
        for index, policy in enumerate(policies):
            place = policy.data_path if policy.data_path is not None else _source_file(policy)
            if counted.count(names[index]) > 1 and place is not None:
                parts = Path(place).parts[-1 - depth :]
                names[index] = f"{policy.name.partition('[')[0]}[{'/'.join(parts)}]"
    counts: dict[str, int] = {}
    unique = []
    for policy, name in zip(policies, names, strict=True):
        counts[name] = counts.get(name, 0) + 1
        unique.append(replace(policy, name=name if counts[name] == 1 else f"{name}#{counts[name]}"))
    return unique


def each_once(policies: Sequence[Policy]) -> list[Policy]:
    """The policies by identity, under distinct names: one that occurs several times is kept once, the first.

    Equal policies play equal episodes, so a second copy adds rows and comparisons but no evidence. The names of the
    copies are kept in `also`, and logged.
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
    """A note on the copies that `each_once` dropped; empty if there are none."""
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


def _source_file(policy: Policy) -> str | None:
    """The file of a policy that was given as one; a bundle is named after its folder."""
    if len(policy.import_roots) != 1 or bundles.is_bundle(Path(policy.import_roots[0])):
        return None
    return str(Path(policy.import_roots[0], policy.class_path.partition(".")[0]))


def _made(found: Found, cache: Path) -> Policy:
    known = KNOWN.get(SHORT_NAMES.get(found.class_path, found.class_path))
    class_path = found.class_path if known is None else known.class_path
    if known is not None:
        code, network = _code_of_known(class_path), known.needs_torch
    else:
        if not found.roots and str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        source = source_of(class_path, found.roots)
        code = source.hash if found.bundle is None else hash_tree(found.bundle.root)
        _check_torch(source.needs_torch, found)
        facts = facts_of(class_path, found.roots, source.hash, cache=cache, shown=found.shown)
        network = source.needs_torch or facts.network
    _check_torch(network, found)
    weights = hash_tree(found.data_path) if found.data_path is not None else None
    identity = hash_json({"class": class_path, "kwargs": found.kwargs, "weights": weights, "code": code})
    return Policy(found.name, class_path, found.data_path, found.kwargs, found.roots, network, identity)


def _check_torch(needed: bool, found: Found) -> None:
    if needed and not has_torch():
        raise PolicyError(needs("train", quoted(found.shown), "torch", "pufferlib"))


def _code_of_known(class_path: str) -> str:
    """For upstream's policies the version, for DAF's own the content: they change between releases."""
    package = class_path.split(".")[0]
    if package == "daf":
        return source_of(class_path).hash
    return f"{package} {importlib.metadata.version(package)}"
