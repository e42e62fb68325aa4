"""The embedded model's stem in torch: what a change of its make-up or training is worth, before it is built.

    python benches/side_by_side/stem.py AGIQA-3K --epochs 24 --channels 32,48,64,64,96,128

Learns from the pictures in neither published test list, holds back the prompts that `assay models train` holds back, and
prints SRCC on those (val) and on the two published test lists (test, only reported), with the mean of quality's SRCC
within each generator. Products run in bfloat16 where torch does so. Needs numpy, pillow, scipy and torch.
"""

import argparse
import csv
import hashlib
import json
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

KERNELS = [(4, 4), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1)]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--channels", default="32,48,64,64,96,128")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--label-weight", type=float, default=3.0)
    parser.add_argument("--label-words", type=int, default=160)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Data:
    """Scores, texts and lists of AGIQA-3K by file name."""

    def __init__(self, folder):
        self.folder = folder
        rows = csv.DictReader(open(folder / "data.csv", encoding="utf-8"))
        self.rows = {row["name"]: row for row in rows if (folder / "images" / row["name"]).exists()}
        talks = {key: {} for key in ("directly_train", "directly_test", "gemini_train", "gemini_test")}
        for key, found in talks.items():
            for file in (folder / "conversations").glob(key + "*multiround.jsonl"):
                for entry in json.load(open(file, encoding="utf-8")):
                    found[Path(entry["image"]).name] = entry["conversations"][1]["content"]
        self.tests = [[n for n in self.rows if n in talks[key]] for key in ("directly_test", "gemini_test")]
        listed = set(self.tests[0]) | set(self.tests[1])
        free = [name for name in self.rows if name not in listed]
        self.val = [name for name in free if self.is_val(name)]
        self.train = [name for name in free if not self.is_val(name)]
        texts = (talks["directly_train"], talks["gemini_train"])
        self.words = {n: set(re.findall("[a-z]{4,}", " ".join(t.get(n, "") for t in texts).lower())) for n in free}

    def is_val(self, name):
        prompt = self.rows[name]["prompt"].strip().lower()
        return hashlib.sha256(prompt.encode()).digest()[0] % 100 < 8

    def scores(self, names):
        return np.array([[float(self.rows[n][k]) for k in ("mos_quality", "mos_align")] for n in names], "f4")

    def pixels(self, name):
        return np.asarray(Image.open(self.folder / "images" / name).convert("RGB"))


def series(name):
    return name.rsplit("_", 1)[0]


class Stem(nn.Module):
    def __init__(self, channels, hidden, outputs, dropout):
        super().__init__()
        layers, before = [], 3
        for after, (kernel, stride) in zip(channels, KERNELS):
            padding = 0 if kernel == stride else kernel // 2
            layers += [nn.Conv2d(before, after, kernel, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.layers, self.dropout = nn.Sequential(*layers), dropout
        self.hidden, self.out = nn.Linear(2 * before, hidden), nn.Linear(hidden, outputs)

    def forward(self, pixels):
        x = self.layers(pixels).float().flatten(2)
        x = torch.cat([x.mean(2), (x.var(2, unbiased=False) + 1e-5).sqrt()], 1)
        x = F.relu(self.hidden(F.dropout(x, self.dropout, self.training)))
        return self.out(F.dropout(x, self.dropout, self.training))


def tensor(pixels):
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def crop_of(pixels, side, rng):
    y, x = (rng.integers(0, size - side + 1) for size in pixels.shape[:2])
    crop = pixels[y : y + side, x : x + side]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def one_cycle(done):
    rises = 0.04 + 0.96 * (1 - np.cos(np.pi * done / 0.3)) / 2
    return rises if done < 0.3 else (1 + np.cos(np.pi * (done - 0.3) / 0.7)) / 2


def predict(net, data, names):
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out = [net(tensor([data.pixels(name)]))[0, :2].float().numpy() for name in names]
    net.train()
    return np.array(out)


def report(net, data, args, seconds):
    srcc = lambda a, b: spearmanr(a, b)[0]
    val, truth = predict(net, data, data.val), data.scores(data.val)
    line = f"val {srcc(val[:, 0], truth[:, 0]):.4f} {srcc(val[:, 1], truth[:, 1]):.4f} test"
    for aspect, names in enumerate(data.tests):
        said, truth = predict(net, data, names)[:, aspect], data.scores(names)[:, aspect]
        line += f" {srcc(said, truth):.4f}"
        if aspect == 0:
            makers = np.array([name.split("_")[0] for name in names])
            line += f" (within {np.mean([srcc(said[makers == m], truth[makers == m]) for m in set(makers)]):.3f})"
    print(line, f"after {seconds:.0f} s", vars(args), flush=True)


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng, data = np.random.default_rng(args.seed), Data(args.data)
    counts = Counter(word for words in data.words.values() for word in words)
    usual = [w for w, n in counts.most_common() if len(data.words) / 50 < n < len(data.words) * 0.4]
    kinds, usual = sorted({series(n) for n in data.train}), usual[: args.label_words]
    labels = [[series(n) == kind for kind in kinds] + [w in data.words[n] for w in usual] for n in data.train]
    labels, scores = np.array(labels, "f4"), data.scores(data.train)
    pictures = [data.pixels(name) for name in data.train]
    net = Stem([int(c) for c in args.channels.split(",")], 128, 2 + labels.shape[1], args.dropout)
    net = net.to(memory_format=torch.channels_last)
    with torch.no_grad():
        net.out.weight.mul_(0.1)
        net.out.bias[:2] = torch.tensor(scores.mean(0))
        net.out.bias[2:] = -2
    groups = [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": args.decay}]
    groups += [{"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0}]
    optimiser, start = torch.optim.AdamW(groups), time.time()
    steps = len(pictures) // args.batch
    for step in range(args.epochs * steps):
        if step % steps == 0:
            order = rng.permutation(len(pictures))
        batch = order[step % steps * args.batch :][: args.batch]
        for group in optimiser.param_groups:
            group["lr"] = args.rate * one_cycle(step / (args.epochs * steps))
        with torch.autocast("cpu", torch.bfloat16):
            out = net(tensor([crop_of(pictures[i], args.crop, rng) for i in batch]))
        out = out.float()
        loss = (out[:, :2] - torch.from_numpy(scores[batch])).pow(2).mean()
        told = F.binary_cross_entropy_with_logits(out[:, 2:], torch.from_numpy(labels[batch]))
        optimiser.zero_grad()
        (loss + args.label_weight * told).backward()
        optimiser.step()
    report(net, data, args, time.time() - start)


if __name__ == "__main__":
    main()
