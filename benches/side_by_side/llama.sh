#!/usr/bin/env bash
# Tokens a second of the decoder at about 1 G parameters on 2 threads: llama.cpp and ours on the same random GGUF files,
# transformers and ours in f32 and bf16.
# Usage: llama.sh LLAMA_PYTHON TORCH_PYTHON BENCH, where LLAMA_PYTHON has llama-cpp-python, gguf and numpy (numpy may come
# from the torch one), and BENCH is what `cargo bench --bench llama --no-run` names. MODE=plain keeps
# llama.cpp from its own orders of weights (see llama_gguf.py).
set -euo pipefail
llama=${1:?usage: llama.sh LLAMA_PYTHON TORCH_PYTHON BENCH}
torch=${2:?usage: llama.sh LLAMA_PYTHON TORCH_PYTHON BENCH}
bench=${3:?usage: llama.sh LLAMA_PYTHON TORCH_PYTHON BENCH}
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}
threads=2 prompt=512 tokens=48
export RAYON_NUM_THREADS=$threads
for form in q4_k q8_0; do
    [ -f "$work/$form.gguf" ] || "$llama" "$here/gguf_model.py" "$work/$form.gguf" "$form"
    "$llama" "$here/llama_gguf.py" "$work/$form.gguf" $threads $prompt $tokens ${MODE:-}
    "$bench" "$work/$form.gguf" $prompt $tokens
done
for form in ${PLAIN:-f32 bf16}; do
    "$torch" "$here/llama_torch.py" "$form" $threads $prompt 16
    "$bench" "$form" $prompt 16
done
