"""Steps of fine-tuning the same model in torch + peft with gradient checkpointing, in single precision on the CPU: the
other half of ../tune.rs, which reads the same folder.

python tune.py FOLDER PRESET [STEPS [whole]]   with torch, transformers 5.23, peft 0.21; `whole`: without checkpoints
"""
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
is_whole = sys.argv[4:] == ["whole"]
torch.set_num_threads(os.cpu_count() or 1)
config = json.loads((folder / "config.json").read_text())
vision = config["vision_config"]
reference = make.reference
reference.SIDE, reference.HIDDEN, reference.VISION = 448, config["hidden_size"], vision["hidden_size"]
reference.HEADS = config["resampler_heads"]
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
        with safe_open(path, "pt") as file:
            for name in file.keys():
                parameters[name].copy_(file.get_tensor(name).float())
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
optimiser = torch.optim.AdamW(trained, lr=1e-4)
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
    loss = make.loss_of(model, [lesson], preset == "published")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    seconds = time.perf_counter() - begun
    tokens = len(make.conversation(lesson, False)[0])
    print(f"step {step}: {seconds:.2f} s, {tokens} tokens, loss {loss.item():.4f}", flush=True)
    taken += [seconds] * (step > 0)
mean = sum(taken) / len(taken)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
way = "whole graphs" if is_whole else "checkpoints"
print(f"torch + peft {preset}, {way}: {mean:.2f} s a conversation, {tokens / mean:.0f} tokens/s, peak {peak} kB")
