"""Seconds and FLOPs for describing pictures under three aspects: the published schedule in torch at a small geometry.

    describe.py make DIR              writes a random model of that geometry (hub names, safetensors) and pictures into DIR
    describe.py pictures DIR COUNT    writes pictures alone; `random_model.py DIR/model` writes a model of any geometry
    describe.py torch DIR [cuda]      runs the published schedule at the geometry of DIR/model and prints a line of JSON
    describe.py flops                 counts the multiplications of both schedules

The published schedule goes twice through everything for every aspect: encode, prefill and decode the description; then
encode again and put messages 1 to 3 through the model for the predictor, with logits at every position. Both sides
decode greedily, a fixed number of tokens (a random model does not end by itself). `describe.sh` runs both sides.
"""
import json
import math
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).parent
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 768, 2048, 8, 12, 4, 3072
VISION, VISION_INNER, VISION_LAYERS, VISION_HEADS = 384, 1536, 8, 6
QUERIES, PATCH, NEW_TOKENS, PICTURES, ASPECTS = 96, 14, 128, 4, 3
REQUEST = "Look at this AI-generated image. It was made from the prompt: 'a boat on a lake'. Describe its %s in detail."
QUESTION = "Judging by what you said, rate the %s. Answer with one word of [bad, poor, fair, good, excellent]."
NAMES = ["quality", "correspondence", "authenticity"]
CONFIG = {
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "query_num": QUERIES, "image_size": 448, "slice_mode": True, "batch_vision_input": True, "max_len": 4096,
    "slice_config": {"max_slice_nums": 9, "patch_size": PATCH},
    "vision_config": {"hidden_size": VISION, "image_size": 980, "intermediate_size": VISION_INNER,
                      "num_attention_heads": VISION_HEADS, "num_hidden_layers": VISION_LAYERS, "patch_size": PATCH},
}
MANIFEST = f"""name = "side-by-side"
summary = "random"
architecture = "minicpm-v-2.5"
source = "benches/side_by_side/describe.py"
licence = "MIT"
[generation]
max_new_tokens = {NEW_TOKENS}
"""


def modules(config, dtype=None):
    import torch
    from transformers import Idefics2VisionConfig, LlamaConfig, LlamaForCausalLM
    from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer

    hidden, sight = config["hidden_size"], config["vision_config"]

    class Resampler(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.query = torch.nn.Parameter(torch.randn(QUERIES, hidden) * 0.02)
            self.kv_proj = torch.nn.Linear(sight["hidden_size"], hidden, bias=False)
            self.attn = torch.nn.MultiheadAttention(hidden, hidden // 128)
            self.ln_q = torch.nn.LayerNorm(hidden, eps=1e-6)
            self.ln_kv = torch.nn.LayerNorm(hidden, eps=1e-6)
            self.ln_post = torch.nn.LayerNorm(hidden, eps=1e-6)
            self.proj = torch.nn.Parameter(torch.randn(hidden, hidden) * hidden ** -0.5)

        def forward(self, x):
            x = self.ln_kv(self.kv_proj(x)).permute(1, 0, 2)
            q = self.ln_q(self.query)[:, None].expand(-1, x.shape[1], -1)
            return self.ln_post(self.attn(q, x, x, need_weights=False)[0].permute(1, 0, 2)) @ self.proj

    torch.manual_seed(0)
    torch.set_default_dtype(dtype or torch.float32)
    vision = Idefics2VisionTransformer(Idefics2VisionConfig(
        hidden_size=sight["hidden_size"], intermediate_size=sight["intermediate_size"],
        num_hidden_layers=sight["num_hidden_layers"], num_attention_heads=sight["num_attention_heads"],
        patch_size=PATCH, image_size=980, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
        attn_implementation="sdpa")).eval()
    names = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
             "vocab_size", "rms_norm_eps", "rope_theta"]
    llm = LlamaForCausalLM(LlamaConfig(
        **{name: config[name] for name in names}, tie_word_embeddings=False, attn_implementation="sdpa")).eval()
    return vision, Resampler().eval(), llm


def make(folder):
    from safetensors.torch import save_file

    (folder / "model").mkdir(parents=True, exist_ok=True)
    tensors = {}
    for prefix, module in zip(["vpm.", "resampler.", "llm."], modules(CONFIG)):
        tensors |= {prefix + name: p.detach().contiguous().clone() for name, p in module.named_parameters()}
    save_file(tensors, str(folder / "model/model.safetensors"))
    (folder / "model/config.json").write_text(json.dumps(CONFIG))
    (folder / "model/model.toml").write_text(MANIFEST)
    shutil.copy(HERE / "../../models/mini/tokenizer.json", folder / "model/tokenizer.json")
    pictures(folder, PICTURES)


def pictures(folder, count):
    import numpy
    from PIL import Image

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = ["name,prompt,mos_quality,mos_correspondence"]
    for number in range(int(count)):
        x, y = numpy.meshgrid(numpy.arange(512), numpy.arange(512))
        values = [(x * x * 3 + y * y * (5 + number) + x * y * c) >> 8 for c in (1, 2, 3)]
        image = Image.fromarray((numpy.stack(values, 2) & 255).astype("uint8"))
        image.save(folder / f"pictures/{number}.png")
        rows.append(f"{number}.png,a boat on a lake,{number},{number}")
    (folder / "pictures/data.csv").write_text("\n".join(rows) + "\n")


def run(folder, device="cpu"):
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "model/tokenizer.json"))
    config = json.loads((folder / "model/config.json").read_text())
    is_gpu = device != "cpu"
    torch.set_default_device(device)
    vision, resampler, llm = modules(config, torch.bfloat16 if is_gpu else None)
    hidden = config["hidden_size"]
    # 512x512: a thumbnail of 1024 patches and two slices of 1035, padded to the longest
    longest = 1035

    @torch.inference_mode()
    def encode():
        pixels = torch.rand(3, 3, PATCH, PATCH * longest) * 2 - 1
        x = vision.embeddings.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = x + vision.embeddings.position_embedding(torch.arange(longest) * 70 // longest)[None]
        x = vision.post_layernorm(vision.encoder(inputs_embeds=x, attention_mask=None).last_hidden_state)
        return resampler(x).reshape(-1, hidden)

    def embeds(images, text):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return torch.cat([images, llm.model.embed_tokens(torch.tensor(ids))])[None]

    @torch.inference_mode()
    def aspect(name):
        images = encode()
        x = embeds(images, REQUEST % name)
        out = llm.generate(inputs_embeds=x, attention_mask=torch.ones(x.shape[:2], dtype=torch.long), do_sample=False,
                           num_beams=1, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=0)
        said = llm.model.embed_tokens(out)
        x = torch.cat([embeds(encode(), REQUEST % name), said, embeds(images[:0], QUESTION % name)], 1)
        return llm(inputs_embeds=x).logits

    aspect(NAMES[0])
    count = 1 if is_gpu else PICTURES
    start = time.perf_counter()
    for _ in range(count):
        for name in NAMES:
            aspect(name)
    if is_gpu:
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / count
    print(json.dumps({"torch_seconds_a_picture": round(seconds, 3), "device": device,
                      "threads": torch.get_num_threads()}))


def flops():
    """Multiply-adds of matrix products, of both schedules, a picture with three aspects."""
    head = HIDDEN // HEADS
    weights = LAYERS * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * KV_HEADS * head + 3 * HIDDEN * INNER)

    def read(new, before):
        attended = sum(before + i + 1 for i in range(new))
        return new * weights + 2 * LAYERS * HIDDEN * attended

    vision_weights = VISION_LAYERS * (4 * VISION * VISION + 2 * VISION * VISION_INNER) + 3 * PATCH * PATCH * VISION
    patches = 3 * 1035
    encode = patches * vision_weights + 2 * VISION_LAYERS * VISION * patches * 1035
    encode += patches * (VISION * HIDDEN + 2 * HIDDEN * HIDDEN) + 2 * patches * QUERIES * HIDDEN
    encode += 3 * QUERIES * 3 * HIDDEN * HIDDEN
    image, text, question, word, logits = 300, 45, 40, 8, HIDDEN * VOCAB
    prompt = image + text
    whole = prompt + NEW_TOKENS + question
    published = ASPECTS * (
        encode + read(prompt, 0) + read(NEW_TOKENS, prompt) + NEW_TOKENS * logits
        + encode + read(whole, 0) + whole * logits)
    ours = encode + read(image, 0) + ASPECTS * (
        read(text, image) + read(NEW_TOKENS, prompt) + NEW_TOKENS * logits
        + read(question, prompt + NEW_TOKENS) + read(word, whole) + word * logits)
    print(json.dumps({
        "published_gflop": round(2 * published / 1e9, 1), "ours_gflop": round(2 * ours / 1e9, 1),
        "ratio": round(published / ours, 2), "encode_share_published": round(6 * encode / published, 2)}))


what, *rest = sys.argv[1:]
run_of = {"make": make, "pictures": pictures, "torch": run, "flops": lambda *_: flops()}[what]
run_of(pathlib.Path(rest[0] if rest else "."), *rest[1:])
