#!/bin/bash
# 名册: install this bundle without a network. Usage: ./install.sh /opt/mingce [python3]
# The version goes to /opt/mingce-releases/VERSION; /opt/mingce points at it when it was tried. See docs/how-to/install.md.
set -euo pipefail
umask 022  # the service is another user, and must be able to read it
target=${1:?usage: ./install.sh /opt/mingce [python3]}
python=${2:-python3}
cd "$(dirname "$0")"
version=$(cat VERSION)
release=$target-releases/$version

sha256sum --check --quiet --strict SHA256SUMS || { echo "文件与 SHA256SUMS 不符，停止安装。 A file is not as it was made; nothing is installed." >&2; exit 6; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "需要 Python 3.11 或更新。 Python 3.11 or newer is needed." >&2; exit 3; }
if [ -e "$release" ]; then echo "$release 已存在。 $release exists." >&2; exit 3; fi
if [ -e "$target" ] && [ ! -L "$target" ]; then echo "$target 不是本脚本所建。 $target was not made by this script." >&2; exit 3; fi

trap 'rm -rf "$release"' ERR
mkdir -p "$target-releases"
"$python" -m venv "$release"
"$release/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --no-index --no-deps --require-hashes --find-links wheels --requirement wheels.lock
"$release/bin/mingce" --version
"$release/bin/python" -c 'import psi.oprf; print("backend", psi.oprf.backend_name())'
trap - ERR

ln -sfn "$release" "$target.new"
mv -T "$target.new" "$target"
echo "已安装。 Installed: $target -> $release"
