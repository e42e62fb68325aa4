#!/bin/bash
# Trains every head and pooling on AGIQA-3K, several seeds each, and prints the tables of docs/EXPERIMENTS.md.
#
#   benches/heads.sh AGIQA-3K OUT [SEEDS] [EPOCHS]
#
# AGIQA-3K is the dataset's folder with the published conversations, OUT a folder for projects and answers. Features are
# taken once an aspect. A run whose answer is there already is left out, so the script goes on where it was stopped.
# ASSAY names the program (assay on the path if not given); DESCRIPTIONS whose texts are read (published if not given);
# ASPECTS which (both if not given).
set -euo pipefail
data=$1 out=$2 seeds=${3:-"1 2 3"} epochs=${4:-4}
assay=${ASSAY:-assay} texts=${DESCRIPTIONS:-published} aspects=${ASPECTS:-"quality correspondence"}
mkdir -p "$out"

run() { # ASPECT HEAD POOLING SEED
    local answer="$out/$1-$2-$3-$4.json"
    [ -s "$answer" ] && return
    "$assay" train --project "$out/$1.assay" --aspect "$1" --descriptions "$texts" --head "$2" --pooling "$3" \
        --epochs "$epochs" --seed "$4" --json >"$answer.part"
    mv "$answer.part" "$answer"
}

table() { # ASPECT HEAD POOLING: mean and standard deviation of the test figures over the seeds
    local answers=()
    for seed in $seeds; do
        [ -s "$out/$1-$2-$3-$seed.json" ] && answers+=("$out/$1-$2-$3-$seed.json")
    done
    [ ${#answers[@]} -gt 0 ] || return 0
    # The answer holds "val" and then "test"; the figures of each are one a line.
    awk -v row="| $2 | $3 |" '
        /"(val|test)": \{/ { part = $1; gsub(/[":]/, "", part) }
        /"(srcc|plcc|rmse)":/ && part != "" { key = $1; gsub(/[":]/, "", key); v = $2 + 0
            key = part "." key; sum[key] += v; square[key] += v * v; n[key]++ }
        /^  \}/ { part = "" }
        function spread(key,   m) { if (!n[key]) return "-"; m = sum[key] / n[key]
            v = n[key] > 1 ? (square[key] - n[key] * m * m) / (n[key] - 1) : 0
            return sprintf("%.4f ± %.4f", m, sqrt(v > 0 ? v : 0)) }
        END { printf "%s %s | %s | %s | %s | %d |\n", row, spread("val.srcc"), spread("test.srcc"), spread("test.plcc"),
            spread("test.rmse"), n["test.srcc"] }' "${answers[@]}"
}

rows=("mlp mean" "xlstm mean" "xlstm max" "xlstm last" "xlstm first-last" "mamba2 mean" "transformer mean" "gru mean" "lstm mean")
for aspect in $aspects; do
    [ -e "$out/$aspect.assay" ] || "$assay" import "$data" --project "$out/$aspect.assay" --json >/dev/null
    for row in "${rows[@]}"; do
        for seed in $seeds; do
            # shellcheck disable=SC2086
            run "$aspect" $row "$seed"
        done
    done
done
for aspect in $aspects; do
    echo "### $aspect"
    echo "| head | pooling | validation SRCC | test SRCC | test PLCC | test RMSE | seeds |"
    echo "|---|---|---|---|---|---|---|"
    for row in "${rows[@]}"; do
        # shellcheck disable=SC2086
        table "$aspect" $row
    done
done
