#!/bin/sh
# Print the path of a Python 3.11, 3.12 or 3.13 that runs, or say what was found instead.
#
# Each candidate is run, not only looked up: shims of pyenv exist for versions that do not start.
# PYTHON=/path/to/python goes first.
set -u

found=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
        3.11 | 3.12 | 3.13)
            "$candidate" -c 'import sys; print(sys.executable)'
            exit 0
            ;;
    esac
    found="$found $candidate=$version"
done

echo "error: Python must be 3.11, 3.12 or 3.13 (TensorFlow 2.21 has no wheels for others)." \
    "Got:${found:- no Python that runs}. Install one, for example 'uv python install 3.12'," \
    "or name it: make setup PYTHON=/path/to/python3.12." >&2
exit 1
