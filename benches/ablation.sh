#!/bin/bash
# Trains predictors that read more and less of the conversation on AGIQA-3K, several seeds each, and prints the table of
# docs/EXPERIMENTS.md: the paper's ablations of descriptions, rounds and fine-tuning (RQ2, RQ3).
#
#   benches/ablation.sh AGIQA-3K OUT TUNED UNTUNED [SEEDS] [EPOCHS] [ASPECT]
#
# AGIQA-3K is the dataset's folder, OUT a folder for projects and answers. TUNED is the model that learned from the
# teacher's descriptions of AGIQA-3K, UNTUNED one that did not (mini's recipe with --keep-stem and without --dataset); a
# dash leaves it out. A run whose answer is there is left out, so the script goes on where it was stopped. ASSAY names the
# program (assay on the path if not given).
set -euo pipefail
data=$1 out=$2 tuned=$3 untuned=$4 seeds=${5:-"1 2 3"} epochs=${6:-4} aspect=${7:-quality}
assay=${ASSAY:-assay}
mkdir -p "$out"
case $aspect in # what is said of before it: another aspect, then of both others
    quality) first=correspondence others=correspondence,authenticity ;;
    correspondence) first=quality others=quality,authenticity ;;
    *) first=quality others=quality,correspondence ;;
esac

run() { # ROW MODEL SEED ARGUMENTS...
    local answer="$out/$1-$3.json" project="$out/$(basename "$2").assay" model=$2 seed=$3
    [ -s "$answer" ] && return
    [ -e "$project" ] || "$assay" import "$data" --project "$project" --json >/dev/null
    "$assay" train --project "$project" --model "$model" --aspect "$aspect" --epochs "$epochs" --seed "$seed" --json \
        "${@:4}" >"$answer.part"
    mv "$answer.part" "$answer"
}

row() { # ROW WORDS: mean and standard deviation of the test figures over the seeds
    local answers=()
    for seed in $seeds; do
        [ -s "$out/$1-$seed.json" ] && answers+=("$out/$1-$seed.json")
    done
    [ ${#answers[@]} -gt 0 ] || return 0
    awk -v row="$2" '
        /"(val|test)": \{/ { part = $1; gsub(/[":]/, "", part) }
        /"(srcc|plcc)":/ && part == "test" { key = $1; gsub(/[":]/, "", key); v = $2 + 0
            sum[key] += v; square[key] += v * v; n[key]++ }
        /^  \}/ { part = "" }
        function spread(key,   m) { if (!n[key]) return "-"; m = sum[key] / n[key]
            v = n[key] > 1 ? (square[key] - n[key] * m * m) / (n[key] - 1) : 0
            return sprintf("%.4f ± %.4f", m, sqrt(v > 0 ? v : 0)) }
        END { printf "| %s | %s | %s | %d |\n", row, spread("srcc"), spread("plcc"), n["srcc"] }' "${answers[@]}"
}

for seed in $seeds; do
    if [ "$untuned" != - ]; then
        run untuned-request "$untuned" "$seed" --reads request
        run untuned-described "$untuned" "$seed"
        run untuned-answered "$untuned" "$seed" --reads answered
    fi
    run tuned-request "$tuned" "$seed" --reads request
    run tuned-answered "$tuned" "$seed" --reads answered
    run tuned-described "$tuned" "$seed"
    run tuned-logits "$tuned" "$seed" --input logits
    run tuned-mlp "$tuned" "$seed" --head mlp
    run tuned-first "$tuned" "$seed" --also "$first"
    run tuned-all "$tuned" "$seed" --also "$others"
done
echo "| what is read | test SRCC | test PLCC | seeds |"
echo "|---|---|---|---|"
row untuned-request "not tuned, no description"
row untuned-described "not tuned, description"
row untuned-answered "not tuned, whole conversation"
row tuned-request "tuned, no description"
row tuned-answered "tuned, whole conversation"
row tuned-described "tuned, description (the usual)"
row tuned-logits "the same, logits in place of hidden states"
row tuned-mlp "the same, MLP in place of xLSTM"
row tuned-first "tuned, after the description of $first"
row tuned-all "tuned, after those of ${others/,/ and }"
