"""Writes a model folder of MiniCPM-Llama3-V-2.5's full geometry (8.5 G parameters, 17 GB of bf16 in shards) with random
weights, to weigh and to time what no test can hold.

python random_model.py DIR --tokenizer models/mini/tokenizer.json [--layers 32] [--new-tokens 8]
"""
import argparse
import json
import pathlib
import shutil

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("dir", type=pathlib.Path)
parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
parser.add_argument("--hidden", type=int, default=4096)
parser.add_argument("--inner", type=int, default=14336)
parser.add_argument("--layers", type=int, default=32)
parser.add_argument("--heads", type=int, default=32)
parser.add_argument("--kv-heads", type=int, default=8)
parser.add_argument("--vocabulary", type=int, default=128256)
parser.add_argument("--vision-layers", type=int, default=27)
parser.add_argument("--new-tokens", type=int, default=8)
args = parser.parse_args()
H, I, V, VH, VI = args.hidden, args.inner, args.vocabulary, 1152, 4304
KV = H // args.heads * args.kv_heads

config = {
    "hidden_size": H, "intermediate_size": I, "num_hidden_layers": args.layers, "num_attention_heads": args.heads,
    "num_key_value_heads": args.kv_heads, "vocab_size": V, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "vision_config": {"hidden_size": VH, "intermediate_size": VI, "num_hidden_layers": args.vision_layers,
                      "num_attention_heads": 16, "patch_size": 14, "position_grid": 70, "layer_norm_eps": 1e-6,
                      "stem": None, "position_ids": "published"},
    "query_num": 96, "resampler_heads": H // 128, "scale_resolution": 448, "max_slice_nums": 9, "max_len": 512,
}


def tensors():
    yield "llm.model.embed_tokens.weight", (V, H)
    for n in range(args.layers):
        p = f"llm.model.layers.{n}."
        yield p + "input_layernorm.weight", (H,)
        for name, rows in [("q", H), ("k", KV), ("v", KV), ("o", H)]:
            yield f"{p}self_attn.{name}_proj.weight", (rows, H)
        yield p + "post_attention_layernorm.weight", (H,)
        yield p + "mlp.gate_proj.weight", (I, H)
        yield p + "mlp.up_proj.weight", (I, H)
        yield p + "mlp.down_proj.weight", (H, I)
    yield "llm.model.norm.weight", (H,)
    yield "llm.lm_head.weight", (V, H)
    yield "vpm.embeddings.patch_embedding.weight", (VH, 3, 14, 14)
    yield "vpm.embeddings.patch_embedding.bias", (VH,)
    yield "vpm.embeddings.position_embedding.weight", (4900, VH)
    for n in range(args.vision_layers):
        p = f"vpm.encoder.layers.{n}."
        for name in ["layer_norm1", "layer_norm2"]:
            yield from [(p + name + ".weight", (VH,)), (p + name + ".bias", (VH,))]
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"]:
            yield from [(f"{p}self_attn.{name}.weight", (VH, VH)), (f"{p}self_attn.{name}.bias", (VH,))]
        yield from [(p + "mlp.fc1.weight", (VI, VH)), (p + "mlp.fc1.bias", (VI,))]
        yield from [(p + "mlp.fc2.weight", (VH, VI)), (p + "mlp.fc2.bias", (VH,))]
    yield from [("vpm.post_layernorm.weight", (VH,)), ("vpm.post_layernorm.bias", (VH,))]
    yield from [("resampler.query", (96, H)), ("resampler.kv_proj.weight", (H, VH)), ("resampler.proj", (H, H))]
    yield from [("resampler.attn.in_proj_weight", (3 * H, H)), ("resampler.attn.in_proj_bias", (3 * H,))]
    yield from [("resampler.attn.out_proj.weight", (H, H)), ("resampler.attn.out_proj.bias", (H,))]
    for name in ["ln_q", "ln_kv", "ln_post"]:
        yield from [(f"resampler.{name}.weight", (H,)), (f"resampler.{name}.bias", (H,))]


def bf16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


random = np.random.default_rng(7)
pool = bf16(random.standard_normal(1 << 24) * 0.02)
ones = bf16(np.ones(1 << 16))
args.dir.mkdir(parents=True, exist_ok=True)
listed, shard, size, shards = {}, [], 0, []
for name, shape in tensors():
    bytes_ = 2 * int(np.prod(shape))
    if shard and size + bytes_ > 2**32:
        shards.append(shard)
        shard, size = [], 0
    shard.append((name, shape, bytes_))
    size += bytes_
shards.append(shard)
for index, shard in enumerate(shards):
    file = f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
    header, at = {}, 0
    for name, shape, bytes_ in shard:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + bytes_]}
        at += bytes_
        listed[name] = file
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(args.dir / file, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name, shape, bytes_ in shard:
            left = bytes_ // 2
            is_norm = len(shape) == 1 and "norm" in name + "layer_norm" * ("ln_" in name) and name.endswith("weight")
            while left:
                start = int(random.integers(0, 1 << 20))
                part = (ones if is_norm else pool[start:])[:left]
                out.write(part.tobytes())
                left -= len(part)
(args.dir / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
(args.dir / "config.json").write_text(json.dumps(config))
(args.dir / "model.toml").write_text(
    'name = "random"\nsummary = "Random weights"\narchitecture = "minicpm-v-2.5"\nsource = "random_model.py"\n'
    f'licence = "none"\n\n[generation]\nmax_new_tokens = {args.new_tokens}\n')
shutil.copy(args.tokenizer, args.dir / "tokenizer.json")
print(sum(int(np.prod(s)) for _, s in tensors()), "parameters in", len(shards), "shards")
