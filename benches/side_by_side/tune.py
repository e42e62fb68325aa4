"""Steps of fine-tuning the same model in torch + peft with gradient checkpointing: the other half of ../tune.rs, which
reads the same folder. On the CPU all is in single precision; on a GPU the frozen weights are bf16, what is trained is in
single precision under autocast, as transformers' trainer has it, and the optimiser is torch's fused one.

python tune.py FOLDER PRESET [STEPS [checkpoints|whole [cpu|cuda]]]   with torch, transformers 5.23, peft 0.21; `whole`:
without checkpoints
"""
import contextlib
import json
import os
import pathlib
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors import safe_open
from transformers import Idefics2VisionConfig, LlamaConfig, LlamaForCausalLM
from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/fixtures/tune"))
import make  # noqa: E402

folder, preset = pathlib.Path(sys.argv[1]), sys.argv[2]
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 2
is_whole = sys.argv[4:5] == ["whole"]
device = sys.argv[5] if len(sys.argv) > 5 else "cpu"
is_gpu = device != "cpu"
torch.set_num_threads(os.cpu_count() or 1)
config = json.loads((folder / "config.json").read_text())
vision = config["vision_config"]
reference = make.reference
reference.SIDE, reference.HIDDEN, reference.VISION = 448, config["hidden_size"], vision["hidden_size"]
reference.HEADS = config["resampler_heads"]
del reference.vision, reference.resampler, reference.llm
torch.set_default_device(device)
torch.set_default_dtype(torch.bfloat16 if is_gpu else torch.float32)
reference.vision = Idefics2VisionTransformer(Idefics2VisionConfig(
    hidden_size=vision["hidden_size"], intermediate_size=vision["intermediate_size"],
    num_hidden_layers=vision["num_hidden_layers"], num_attention_heads=vision["num_attention_heads"], patch_size=14,
    image_size=980, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, attn_implementation="sdpa"))
reference.resampler = reference.Resampler()
names = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
         "vocab_size", "rms_norm_eps", "rope_theta"]
reference.llm = LlamaForCausalLM(LlamaConfig(
    **{name: config[name] for name in names}, tie_word_embeddings=False, attn_implementation="sdpa"))
model = make.Model()
with torch.no_grad():
    parameters = dict(model.named_parameters())
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt", device=device) as file:
            for name in file.keys():
                parameters[name].copy_(file.get_tensor(name))
del parameters
target, whole = make.PRESETS[preset]
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, bias="none", target_modules=target,
                                         modules_to_save=whole)).train()
for part in [model.base_model.model.llm, model.base_model.model.vpm]:
    for module in part.modules():
        if hasattr(module, "gradient_checkpointing") and not is_whole:
            module.gradient_checkpointing = True
            module._gradient_checkpointing_func = lambda f, *a, **k: torch.utils.checkpoint.checkpoint(
                f, *a, use_reentrant=False, **k)
trained = [p for p in model.parameters() if p.requires_grad]
if is_gpu:
    for parameter in trained:
        parameter.data = parameter.data.float()
    # The stream of hidden states stays in the type of the frozen layers, also behind an embedding that is trained.
    narrow = lambda module, inputs, output: output.bfloat16()  # noqa: E731
    model.base_model.model.llm.model.embed_tokens.register_forward_hook(narrow)
    model.base_model.model.resampler.register_forward_hook(narrow)
    inner = reference.patches_of
    reference.patches_of = lambda image: (lambda found: (found[0].to(device, torch.bfloat16), found[1]))(inner(image))
    ids_of = reference.ids_of
    reference.ids_of = lambda count: ids_of(count).to(device)
torch.set_default_dtype(torch.float32)
precision = torch.autocast("cuda", torch.bfloat16) if is_gpu else contextlib.nullcontext()
optimiser = torch.optim.AdamW(trained, lr=1e-4, fused=is_gpu)
sentence = "The boat is sharp and well lit, but the sky shows noise and the reflections do not fit. "
side = 512
rgb = bytes((i * 2654435761 & 0xFFFFFFFF) >> 24 for i in range(side * side * 3))
make.PARTS = [reference.sliced(Image.frombytes("RGB", (side, side), rgb))]
make.QUESTION = "Rate it in one word of [bad, poor, fair, good, excellent]."
lesson = (0, "Describe the visual quality of this picture.", sentence * 6, "good")
taken = []
for step in range(steps + 1):
    begun = time.perf_counter()
    optimiser.zero_grad()
    with precision:
        loss = make.loss_of(model, [lesson], preset == "published")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    if is_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    tokens = len(make.conversation(lesson, False)[0])
    print(f"step {step}: {seconds:.3f} s, {tokens} tokens, loss {loss.item():.4f}", flush=True)
    taken += [seconds] * (step > 0)
mean = sum(taken) / len(taken)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if is_gpu:
    peak = torch.cuda.max_memory_allocated()
way = "whole graphs" if is_whole else "checkpoints"
print(f"torch + peft {preset}, {way}: {mean:.3f} s a conversation, {tokens / mean:.0f} tokens/s, peak {peak / 1e9:.2f} GB")
