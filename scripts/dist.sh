#!/usr/bin/env bash
# Build the sdist, the wheel and a list of all dependencies (SBOM, CycloneDX) into dist/, install the wheel into an empty
# environment, and run `daf quickstart` there. The wheel is built from the sdist, so that the sdist is known to be
# complete.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh full

uv=uv
uv --version >/dev/null 2>&1 || uv=.tools/bin/uv
rm -rf dist
$uv build --quiet --python .venv-full/bin/python --out-dir dist
version=$(.venv-full/bin/python -c 'import importlib.metadata; print(importlib.metadata.version("daf"))')
$uv export --quiet --frozen --all-extras --no-default-groups --preview-features sbom-export --format cyclonedx1.5 \
    --output-file "dist/daf-$version.cdx.json"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
$uv venv --quiet --python .venv-full/bin/python "$place/env"
$uv pip install --quiet --python "$place/env/bin/python" dist/*.whl
cd "$place" # so that nothing is imported from the sources
env/bin/daf --version
env/bin/daf doctor --json >/dev/null
env/bin/daf quickstart --output-dir "$place/runs" "$@"
cd - >/dev/null
ls -l dist
