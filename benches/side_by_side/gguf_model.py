"""Writes a GGUF file of a Llama decoder with random weights, about 1.04 G parameters: blocks of random bits, whose scales
give weights of about 0.02.

python gguf_model.py FILE.gguf q4_k|q8_0     (with the packages gguf and numpy)
"""
import sys

import gguf
import numpy as np

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 2048, 8192, 16, 32, 8, 32000


def scales(count, value):
    return np.full((count, 1), value, np.float16).view(np.uint8)


def blocks(rng, rows, width, kind):
    """Rows in blocks as bytes."""
    def bits(count, size):
        return rng.integers(0, 256, (count, size), np.uint8)
    if kind == gguf.GGMLQuantizationType.Q8_0:
        count = rows * width // 32
        out = np.concatenate([scales(count, 0.02 / 74), bits(count, 32)], 1)
    elif kind == gguf.GGMLQuantizationType.Q4_K:
        count = rows * width // 256
        out = np.concatenate([scales(count, 0.02 / 145), scales(count, 7.5 * 0.02 / 145), bits(count, 140)], 1)
    else:
        count = rows * width // 256
        out = np.concatenate([bits(count, 208), scales(count, 0.02 / 1360)], 1)
    return out.reshape(rows, -1)


def main(path, word):
    kind = {"q4_k": gguf.GGMLQuantizationType.Q4_K, "q8_0": gguf.GGMLQuantizationType.Q8_0}[word]
    head = gguf.GGMLQuantizationType.Q6_K if word == "q4_k" else kind
    writer, rng = gguf.GGUFWriter(path, "llama"), np.random.default_rng(7)
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500000.0)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("none")
    kv = HIDDEN // HEADS * KV_HEADS
    matrices = [("token_embd.weight", VOCAB, HIDDEN, kind), ("output.weight", VOCAB, HIDDEN, head)]
    norms = ["output_norm.weight"]
    for n in range(LAYERS):
        matrices += [(f"blk.{n}.{name}.weight", rows, width, kind) for name, rows, width in [
            ("attn_q", HIDDEN, HIDDEN), ("attn_k", kv, HIDDEN), ("attn_v", kv, HIDDEN), ("attn_output", HIDDEN, HIDDEN),
            ("ffn_gate", INNER, HIDDEN), ("ffn_up", INNER, HIDDEN), ("ffn_down", HIDDEN, INNER)]]
        norms += [f"blk.{n}.attn_norm.weight", f"blk.{n}.ffn_norm.weight"]
    for name in norms:
        writer.add_tensor(name, np.ones(HIDDEN, np.float32))
    for name, rows, width, kind in matrices:
        writer.add_tensor(name, blocks(rng, rows, width, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(*sys.argv[1:])
