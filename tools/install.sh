#!/bin/sh
# install.sh PYTHON EXTRAS: makes .venv and installs this package with its extras, unless that has been done already.
set -eu
python=$1 extras=$2
stamps=$(echo "$extras" | sed 's/[a-z]*/.venv\/installed-&/g; s/,/ /g')

command -v "$python" > /dev/null || { echo "there is no $python here: Python 3.11, 3.12 or 3.13 is needed" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || {
    echo "$python is $("$python" --version 2>&1 || true), but 3.11, 3.12 or 3.13 is needed: try PYTHON=python3.11" >&2
    exit 2
}
hash='import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
wanted=$(cat constraints.txt pyproject.toml | "$python" -c "$hash")
have=yes
for stamp in $stamps; do [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] || have=no; done
if [ -x .venv/bin/python ] && [ $have = yes ]; then
    exit 0
fi
if [ -x .venv/bin/python ]; then
    echo "installing into .venv (something changed, or more is needed)"
else
    echo "installing into .venv (first time: 2 to 10 minutes, 3 GB to download with CUDA; see README.md for a CPU-only torch)"
    "$python" -m venv .venv || { echo "cannot make .venv: on Debian and Ubuntu, apt install python3-venv" >&2; exit 2; }
fi
.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$extras]"
for stamp in $stamps; do echo "$wanted" > "$stamp"; done
