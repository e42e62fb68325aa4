"""Holds the memory that Assay foretells against what it takes: one picture described by models of random weights in
several sizes and forms, each in a process of its own.

python peak.py ASSAY [--picture FILE.png] [--keep DIR]
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("assay")
parser.add_argument("--picture", type=pathlib.Path, required=True)
parser.add_argument("--forms", default="f32,q8_0,q4_k")
args = parser.parse_args()
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZES = {  # hidden, inner, layers, heads, key heads, vocabulary, vision layers
    "0.3 G": (1024, 3584, 8, 8, 2, 32000, 8),
    "0.6 G": (1536, 5376, 10, 12, 4, 64000, 12),
    "1.2 G": (2048, 7168, 14, 16, 4, 64000, 12),
}


def peak(command):
    """Peak resident bytes of a child, and its seconds."""
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(process.stderr.read().decode())
    return usage.ru_maxrss * 1024, time.time() - start


own, _ = peak([args.assay, "--version"])
for name, (hidden, inner, layers, heads, kv, vocabulary, vision) in SIZES.items():
    with tempfile.TemporaryDirectory() as folder:
        sizes = ["--hidden", hidden, "--inner", inner, "--layers", layers, "--heads", heads, "--kv-heads", kv,
                 "--vocabulary", vocabulary, "--vision-layers", vision]
        subprocess.run([sys.executable, HERE / "random_model.py", folder, "--tokenizer",
                        ROOT / "models/mini/tokenizer.json", *map(str, sizes)], check=True, stdout=subprocess.DEVNULL)
        check = subprocess.run([args.assay, "models", "check", "--model", folder, "--device", "cpu", "--dtype", "q4_k", "--json"],
                               check=True, capture_output=True)
        needs = {form["form"]: form["need"] for form in json.loads(check.stdout)["fit"]["forms"]}
        for form in args.forms.split(","):
            need = sum(needs[form].values())
            # What the program takes without a model is not the model's.
            measured, seconds = peak([args.assay, "features", str(args.picture), "--prompt", "a cat", "--aspect", "quality",
                                      "--model", folder, "--dtype", form, "--device", "cpu",
                                      "--out", folder + "/out.safetensors"])
            measured -= own
            print(f"{name} {form}: foretold {need / 1e9:.2f} GB, measured {measured / 1e9:.2f} GB, "
                  f"{100 * (need / measured - 1):+.0f} %, {seconds:.0f} s", flush=True)
