#!/usr/bin/env bash
# Seconds a picture for three aspects at one small geometry: torch's published schedule and ours, one after the other.
# Usage: describe.sh PYTHON [ASSAY]; PYTHON has torch and transformers, ASSAY is the release binary.
set -euo pipefail
python=${1:?usage: describe.sh PYTHON [ASSAY]}
here=$(cd "$(dirname "$0")" && pwd)
assay=${2:-$here/../../target/release/assay}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ASSAY_HOME="$work/home"
"$python" "$here/describe.py" flops
"$python" "$here/describe.py" make "$work"
"$assay" import "$work/pictures" --project "$work/p.assay" > /dev/null
cat /proc/loadavg
for round in 1 2 3; do
    "$python" "$here/describe.py" torch "$work"
    "$assay" describe --project "$work/p.assay" --aspect all --again --model "$work/model" --json 2> /dev/null |
        "$python" -c 'import json, sys; j = json.load(sys.stdin); print(json.dumps({"assay_seconds_a_picture": round(j["seconds"] / 4, 3), "done": j["done"], "failed": j["failed"]}))'
done
cat /proc/loadavg
