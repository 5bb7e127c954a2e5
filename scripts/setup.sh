#!/usr/bin/env bash
# Make an environment from uv.lock:  scripts/setup.sh base|full
#   base  .venv       what `daf` needs to evaluate, compare and report (no torch)
#   full  .venv-full  everything: training, Ray, documentation, tests
# Finds Python 3.12 wherever it lies, and installs uv into .tools where there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

is_312() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' >/dev/null 2>&1; }

python=""
for candidate in "${PYTHON:-}" python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python3.12 python3 python \
    /usr/local/bin/python3.12 /opt/homebrew/bin/python3.12; do
    if [ -n "$candidate" ] && is_312 "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "DAF needs Python 3.12 (CoGames runs on no other). Install it, or name it: PYTHON=/path/to/python3.12 make …" >&2
    exit 2
fi
python=$("$python" -c 'import sys; print(sys.executable)')

if uv --version >/dev/null 2>&1; then
    uv=uv
elif [ -x .tools/bin/uv ]; then
    uv=.tools/bin/uv
else
    echo "Installing uv into .tools …" >&2
    "$python" -m venv .tools
    .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
    uv=.tools/bin/uv
fi

export UV_PYTHON_DOWNLOADS=never
case "${1:-}" in
    base)
        export UV_PROJECT_ENVIRONMENT=.venv
        $uv sync --quiet --frozen --compile-bytecode --python "$python" --no-default-groups
        ;;
    full)
        export UV_PROJECT_ENVIRONMENT=.venv-full
        $uv sync --quiet --frozen --compile-bytecode --python "$python" --all-extras --all-groups
        ;;
    check)
        $uv lock --quiet --check --python "$python"
        ;;
    *)
        echo "usage: scripts/setup.sh base|full|check" >&2
        exit 2
        ;;
esac
