"""One training step of the published predictor in torch + xlstm from cached hidden states, on the CPU.

lm_head -> projection -> xLSTM stack -> mean -> two linear layers -> squared error, backward, AdamW on everything but
lm_head: what the published code does behind the multimodal model. Random weights and hidden states at the published
geometry (T 477, hidden 4096, vocabulary 128256, width 512), batch 1, single precision.

Products run on all cores. The stack runs on one: its loops crawl on more.
"""

import os
import sys
import time

import torch
from xlstm import (
    FeedForwardConfig,
    mLSTMBlockConfig,
    mLSTMLayerConfig,
    sLSTMBlockConfig,
    sLSTMLayerConfig,
    xLSTMBlockStack,
    xLSTMBlockStackConfig,
)

TOKENS, HIDDEN, VOCAB, DIM = 477, 4096, 128256, 512
CORES = os.cpu_count() or 1
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 3

torch.manual_seed(0)
stack = xLSTMBlockStack(
    xLSTMBlockStackConfig(
        mlstm_block=mLSTMBlockConfig(
            mlstm=mLSTMLayerConfig(conv1d_kernel_size=4, qkv_proj_blocksize=4, num_heads=4)
        ),
        slstm_block=sLSTMBlockConfig(
            slstm=sLSTMLayerConfig(
                backend="vanilla",
                num_heads=4,
                conv1d_kernel_size=4,
                bias_init="powerlaw_blockdependent",
                dtype="float32",
                enable_automatic_mixed_precision=False,
            ),
            feedforward=FeedForwardConfig(proj_factor=1.3, act_fn="gelu"),
        ),
        context_length=512,
        num_blocks=4,
        embedding_dim=DIM,
        slstm_at=[1],
    )
)
lm_head = torch.randn(VOCAB, HIDDEN) * 0.02
projection = torch.nn.Linear(VOCAB, DIM)
head = torch.nn.Sequential(torch.nn.Linear(DIM, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
parameters = [*projection.parameters(), *stack.parameters(), *head.parameters()]
optimiser = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=1e-5)
hidden = torch.randn(1, TOKENS, HIDDEN)
truth = torch.tensor([2.5])

parts = {}


def timed(name, cores, work):
    torch.set_num_threads(cores)
    start = time.perf_counter()
    out = work()
    parts.setdefault(name, []).append(time.perf_counter() - start)
    return out


totals = []
for step in range(steps + 1):
    begin = time.perf_counter()
    optimiser.zero_grad()
    with torch.no_grad():
        logits = timed("lm_head", CORES, lambda: hidden @ lm_head.T)
    z = timed("projection forward", CORES, lambda: projection(logits))
    x = z.detach().requires_grad_()

    def forward():
        y = stack(x).mean(1)
        return torch.nn.functional.mse_loss(head(y).squeeze(1), truth)

    loss = timed("stack forward", 1, forward)
    timed("stack backward", 1, loss.backward)
    timed("projection backward", CORES, lambda: z.backward(x.grad))
    timed("AdamW", CORES, optimiser.step)
    totals.append(time.perf_counter() - begin)
    if step == 0:
        # The first step makes the optimiser's state and warms up.
        totals.clear()
        parts.clear()
median = lambda values: sorted(values)[len(values) // 2]
print(f"torch {torch.__version__}, {CORES} cores, {steps} steps of one sample, median seconds:")
for name, values in parts.items():
    print(f"  {name:20} {median(values):7.3f}")
print(f"  {'one sample':20} {median(totals):7.3f}")
