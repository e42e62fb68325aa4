"""Tokens a second of llama.cpp (by llama-cpp-python) on a GGUF file: a prompt at once, then tokens one by one.

python llama_gguf.py FILE.gguf THREADS PROMPT TOKENS [plain]

`plain` keeps weights as the file has them. Otherwise llama.cpp brings them into orders of its own, for AMX among others;
built with GCC 12, its AMX product (0.3.36) ends with a fault at `ldtilecfg`.
"""
import json
import sys
import time

import llama_cpp

path, threads, prompt, tokens = sys.argv[1], *map(int, sys.argv[2:5])
# The callback has to outlive the calls.
quiet = llama_cpp.llama_log_callback(lambda *_: None)
llama_cpp.llama_log_set(quiet, None)
llama_cpp.llama_backend_init()
loading = llama_cpp.llama_model_default_params()
loading.use_extra_bufts = "plain" not in sys.argv
model = llama_cpp.llama_model_load_from_file(path.encode(), loading)
settings = llama_cpp.llama_context_default_params()
settings.n_ctx, settings.n_batch, settings.n_ubatch = prompt + tokens + 8, prompt, prompt
settings.n_threads = settings.n_threads_batch = threads
best = {"prefill": 0.0, "decode": 0.0}
for _ in range(3):
    context = llama_cpp.llama_init_from_model(model, settings)
    ids = (llama_cpp.llama_token * prompt)(*[(37 * n + 5) % 31000 for n in range(prompt)])
    start = time.perf_counter()
    assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, prompt)) == 0
    llama_cpp.llama_synchronize(context)
    best["prefill"] = max(best["prefill"], prompt / (time.perf_counter() - start))
    start = time.perf_counter()
    for n in range(tokens):
        one = (llama_cpp.llama_token * 1)((91 * n + 3) % 31000)
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(one, 1)) == 0
        llama_cpp.llama_synchronize(context)
    best["decode"] = max(best["decode"], tokens / (time.perf_counter() - start))
    llama_cpp.llama_free(context)
print(json.dumps({"llama.cpp": llama_cpp.__version__, **{name: round(rate, 2) for name, rate in best.items()}}))
