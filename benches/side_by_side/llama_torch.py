"""Tokens a second of transformers' Llama at the geometry of gguf_model.py: a prompt at once, then tokens one by one.

python llama_torch.py f32|bf16 THREADS PROMPT TOKENS
"""
import json
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

word, threads, prompt, tokens = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
torch.set_default_dtype({"f32": torch.float32, "bf16": torch.bfloat16}[word])
model = LlamaForCausalLM(LlamaConfig(
    hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
    vocab_size=32000, rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False,
    attn_implementation="sdpa")).eval()
best = {"prefill": 0.0, "decode": 0.0}
with torch.inference_mode():
    for _ in range(2):
        ids = torch.tensor([[(37 * n + 5) % 31000 for n in range(prompt)]])
        start = time.perf_counter()
        out = model(ids, use_cache=True, logits_to_keep=1)
        best["prefill"] = max(best["prefill"], prompt / (time.perf_counter() - start))
        start = time.perf_counter()
        for n in range(tokens):
            one = torch.tensor([[(91 * n + 3) % 31000]])
            out = model(one, past_key_values=out.past_key_values, use_cache=True)
        best["decode"] = max(best["decode"], tokens / (time.perf_counter() - start))
print(json.dumps({"torch": torch.__version__, **{name: round(rate, 2) for name, rate in best.items()}}))
