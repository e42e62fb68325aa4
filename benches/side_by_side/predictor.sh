#!/usr/bin/env bash
# One training step at the published geometry: the published way in torch + xlstm, then ours.
# Usage: benches/side_by_side/predictor.sh PYTHON [STEPS], where PYTHON has torch and xlstm 1.0.6.
# Takes about 6 GB of memory; run it on a quiet machine, its load is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:?"give a python that has torch and xlstm"}
steps=${2:-3}
echo "load before: $(cat /proc/loadavg)"
"$python" benches/side_by_side/predictor.py "$steps"
echo "load between: $(cat /proc/loadavg)"
cargo bench --bench published -- steps "$steps"
echo "load after: $(cat /proc/loadavg)"
