"""Without a GPU, Triton's kernels are interpreted; Triton reads this when it is first imported."""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
