"""What strengths of frequencies alone tell of AGIQA-3K's pictures, as src/ml/vlm/minicpm_v/spectrum.rs takes them: which
generator made a picture (ridge regression on yes and no), and its opinion score (kernel ridge), each foretold of a tenth
of a training list by the other nine. Test lists are not touched.

python spectrum.py AGIQA-3K [--block 8]   with numpy, Pillow, SciPy
"""
import argparse
import csv
import json
import pathlib

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

parser = argparse.ArgumentParser()
parser.add_argument("data", type=pathlib.Path)
parser.add_argument("--block", type=int, default=8)
args = parser.parse_args()
n, patch = args.block, 64
frequency, x = np.arange(n)[:, None], np.arange(n)[None]
wave = np.cos(np.pi * (2 * x + 1) * frequency / (2 * n)) * np.sqrt(np.where(frequency == 0, 1, 2) / n)
wave = wave.astype(np.float32)


def strengths(path):
    picture = np.asarray(Image.open(path).convert("YCbCr"), np.float32) - 127.5
    half = n // 2
    starts = range(0, picture.shape[0] - n + 1, half)
    rows = np.stack([picture[y:y + n] for y in starts])
    blocks = np.stack([rows[:, :, x:x + n] for x in starts], 1)
    found = np.abs(np.einsum("vy,rcyxk,ux->rckvu", wave, blocks, wave, optimize=True))
    found = np.pad(found, [(0, 1), (0, 1)] + [(0, 0)] * 3, mode="edge")
    cell = patch // half
    side = found.shape[0] // cell
    found = found.reshape(side, cell, side, cell, -1).mean((1, 3))
    return np.log(found + 0.5).mean((0, 1))


rows = list(csv.DictReader(open(args.data / "data.csv")))
mos = {row["name"]: {"quality": float(row["mos_quality"]), "correspondence": float(row["mos_align"])} for row in rows}
lists = {"quality": "directly", "correspondence": "gemini"}
known = {}
for aspect, stem in lists.items():
    file = next((args.data / "conversations").glob(f"{stem}_train*"))
    names = [pathlib.Path(item["image"]).name for item in json.loads(file.read_text())]
    names = [name for name in names if (args.data / "images" / name).exists()]
    for name in names:
        if name not in known:
            known[name] = strengths(args.data / "images" / name)
    values = np.stack([known[name] for name in names])
    score = np.array([mos[name][aspect] for name in names])
    series = np.array([name.rsplit("_", 1)[0] for name in names])
    maker = np.array([name.split("_")[0] for name in names])
    fold = np.random.default_rng(0).integers(0, 10, len(names))
    right, foretold = {"generator": [], "generator and settings": []}, np.zeros(len(names))
    for part in range(10):
        fit, held = fold != part, fold == part
        mean, deviation = values[fit].mean(0), values[fit].std(0)
        z = (values - mean) / deviation / np.sqrt(values.shape[1])
        for kind, labels in (("generator", maker), ("generator and settings", series)):
            classes = np.unique(labels)
            yes = (labels[:, None] == classes).astype(float)
            base = yes[fit].mean(0)
            weight = np.linalg.solve(z[fit].T @ z[fit] + 0.01 * np.eye(z.shape[1]), z[fit].T @ (yes[fit] - base))
            right[kind] += list(classes[(z[held] @ weight + base).argmax(1)] == labels[held])
        apart = (z**2).sum(1)[:, None] + (z[fit]**2).sum(1) - 2 * z @ z[fit].T
        kernel = np.exp(-apart / np.median(apart[fit]))
        weight = np.linalg.solve(kernel[fit] + 0.03 * np.eye(fit.sum()), score[fit] - score[fit].mean())
        foretold[held] = kernel[held] @ weight + score[fit].mean()
    shares = ", ".join(f"{kind} {100 * np.mean(found):.1f} %" for kind, found in right.items())
    print(f"{aspect}: {len(names)} pictures, {values.shape[1]} values each; told rightly: {shares}; "
          f"SRCC of the score {spearmanr(foretold, score)[0]:.3f}", flush=True)
