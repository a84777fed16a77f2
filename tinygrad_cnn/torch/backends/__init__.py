"""``torch.backends``: what computes; here it is NumPy."""

from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.backends import cpu, cuda, cudnn, mkldnn, mps

__all__ = ["cpu", "cuda", "cudnn", "mkldnn", "mps"]

__getattr__ = absent("torch.backends")
