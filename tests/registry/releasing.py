"""Releases for tests of registries: small files stand for bundles, since a registry does not look into them."""

import hashlib
from pathlib import Path
from typing import Any

from daf.registry import Registry, Release, now


def bundle_of(folder: Path, text: str) -> Path:
    """A file with these bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.zip"
    path.write_text(text)
    return path


def release_of(bundle: Path, version: str, name: str = "walker", **facts: Any) -> Release:
    """The release of a file."""
    data = bundle.read_bytes()
    return {
        "name": name,
        "version": version,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "added_at": now(),
        "rollback": True,
        "facts": facts,
    }


def put_live(registry: Registry, bundle: Path, version: str, name: str = "walker") -> None:
    """Add the release and make it live."""
    registry.add(release_of(bundle, version, name), bundle)
    policy = registry.policy(name)
    registry.switch(name, policy.next_event("released", version), expected=policy.live)
