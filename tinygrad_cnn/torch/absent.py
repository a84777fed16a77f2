"""What a name that PyTorch has and this package does not says when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

__all__ = ["ABSENT", "absent", "reason"]

_RECURRENT = "recurrent layers are not here: this package is for convolutional networks"
_TRANSFORMER = "of transformers MultiheadAttention and scaled_dot_product_attention are here"
_SPARSE = "tensors are dense here; x.numpy() goes into scipy.sparse"
_QUANTIZED = "numbers are not quantised here"
_COMPLEX = "numbers are real here; compute with a real and an imaginary part"
_LAYOUT = "memory is NumPy's here; use reshape, contiguous() or numpy() and its strides"
_RESHAPED = "a tensor keeps its shape; write x = x.NAME(…) without the _"
_COPY = "write the same without _copy, and .clone() behind it"
_FFT = "Fourier transforms are not here; numpy.fft has them, without gradients"
_SCRIPT = "there is no compiler here; the function itself runs"

ABSENT: dict[str, str] = {
    **dict.fromkeys(
        (
            "RNN LSTM GRU RNNBase RNNCell LSTMCell GRUCell RNNCellBase gru gru_cell lstm lstm_cell "
            "rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell rnn"
        ).split(),
        _RECURRENT,
    ),
    **dict.fromkeys(
        (
            "Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
            "TransformerDecoderLayer multi_head_attention_forward"
        ).split(),
        _TRANSFORMER,
    ),
    **dict.fromkeys(
        (
            "sparse sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor "
            "sparse_bsc_tensor sparse_compressed_tensor to_sparse to_dense coalesce indices values "
            "smm spmm hsmm SparseAdam sparse_mask sparse_dim dense_dim sspaddmm"
        ).split(),
        _SPARSE,
    ),
    **dict.fromkeys(
        "quantize_per_tensor quantize_per_channel dequantize quantization ao int_repr".split(),
        _QUANTIZED,
    ),
    **dict.fromkeys(
        (
            "complex complex32 complex64 complex128 cfloat cdouble chalf view_as_complex "
            "view_as_real polar angle conj imag resolve_conj resolve_neg conj_physical istft stft"
        ).split(),
        _COMPLEX,
    ),
    **dict.fromkeys(
        "as_strided as_strided_ as_strided_scatter resize_ resize_as_ set_ storage "
        "untyped_storage empty_strided empty_permuted".split(),
        _LAYOUT,
    ),
    **dict.fromkeys(
        "squeeze_ unsqueeze_ t_ transpose_ swapaxes_ swapdims_ swapdims".split(), _RESHAPED
    ),
    **dict.fromkeys("fft fftn rfft irfft ifft".split(), _FFT),
    **dict.fromkeys("script_method ScriptModule export _dynamo _inductor".split(), _SCRIPT),
    "bfloat16": "NumPy has no bfloat16; float32 holds its values (files in it are read as float32)",
    "AdaptiveLogSoftmaxWithLoss": "for vocabularies of words; CrossEntropyLoss is here",
    "Adafactor": "Adam and its relatives are here",
    "Muon": "SGD with Nesterov momentum is nearest",
    "DataParallel": "NumPy's threads use the processor's cores already: call the module itself",
    "DistributedDataParallel": "one process computes here: call the module itself",
    "tensorboard": "metrics are written by tinygrad-cnn's own runs; print them, or plot them",
    "profiler": "Python's cProfile shows where time goes; viz.summary what each layer costs",
    "einsum_path": "einsum is here",
    "unique_dim": "unique(x, dim=…) is here",
    "renorm": "x * (max_norm / x.norm(dim=…, keepdim=True)).clamp(max=1)",
    "lobpcg": "linalg.eigh is here",
    "eig": "linalg.eigh (of symmetric matrices) is here",
    "eigvals": "linalg.eigvalsh (of symmetric matrices) is here",
    "lstsq": "linalg.pinv(a) @ b, or linalg.solve",
    "lu": "linalg.solve, qr, cholesky and svd are here",
    "matrix_exp": "linalg.eigh gives it for symmetric matrices",
    "max_pool2d_with_indices": "max_pool2d(…, return_indices=True)",
    "max_pool1d_with_indices": "max_pool1d(…, return_indices=True)",
    "max_pool3d_with_indices": "max_pool3d(…, return_indices=True)",
}
"""PyTorch's names that are absent on purpose, and what is nearest."""


def reason(module: str, name: str) -> str:
    """Return what is said of a name that is not here.

    >>> reason("torch.nn", "LSTM")
    'torch.nn.LSTM is not here: recurrent layers are not here: this package is for convolutional \
networks'
    """
    known = ABSENT.get(name)
    if known is None and name.endswith("_copy"):
        known = _COPY
    if known is None:
        known = "dir() of the module lists what is, docs/pytorch.md what differs"
    return f"{module}.{name} is not here: {known.replace('NAME', name.rstrip('_'))}"


def absent(module: str) -> Callable[[str], NoReturn]:
    """Return the ``__getattr__`` of a module: an error that names PyTorch's word and what is near.

    >>> import tinygrad_cnn.torch.nn as nn
    >>> nn.LSTM
    Traceback (most recent call last):
    AttributeError: torch.nn.LSTM is not here: recurrent layers are not here: this package is ...
    """

    def refuse(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise AttributeError(reason(module, name))

    return refuse
