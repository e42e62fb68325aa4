#!/usr/bin/env bash
# Fine-tuning steps of one random model, in torch + peft with gradient checkpointing and without, and then by Assay, with
# no room for layers that are kept whole and with as much as there is.
# Usage: benches/side_by_side/tune.sh PYTHON [PRESET] [STEPS], where PYTHON has torch, transformers and peft.
# The geometry is a small one (0.2 G parameters); run it on a quiet machine, its load is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:?"give a python that has torch, transformers and peft"}
preset=${2:-light}
steps=${3:-2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" benches/side_by_side/random_model.py "$folder" --tokenizer models/mini/tokenizer.json --hidden 1024 \
    --inner 3584 --layers 8 --heads 8 --kv-heads 2 --vocabulary 32000 --vision-layers 4
echo "load before: $(cat /proc/loadavg)"
"$python" benches/side_by_side/tune.py "$folder" "$preset" "$steps"
"$python" benches/side_by_side/tune.py "$folder" "$preset" "$steps" whole
echo "load between: $(cat /proc/loadavg)"
cargo bench --bench tune -- "$folder" "$preset" "$steps" 0
cargo bench --bench tune -- "$folder" "$preset" "$steps"
echo "load after: $(cat /proc/loadavg)"
