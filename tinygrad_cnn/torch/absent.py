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
    **dict.fromkeys("squeeze_ unsqueeze_ t_ transpose_ swapaxes_ swapdims_".split(), _RESHAPED),
    **dict.fromkeys("fft fftn rfft irfft ifft".split(), _FFT),
    **dict.fromkeys("script_method ScriptModule export _dynamo _inductor".split(), _SCRIPT),
    **dict.fromkeys(
        (
            "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 chebyshev_polynomial_t "
            "chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w entr erfcx "
            "gammainc gammaincc hermite_polynomial_h hermite_polynomial_he i0 i0e i1 i1e i0_ "
            "laguerre_polynomial_l legendre_polynomial_p log_ndtr modified_bessel_i0 "
            "modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri "
            "scaled_modified_bessel_k0 scaled_modified_bessel_k1 shifted_chebyshev_polynomial_t "
            "shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v "
            "shifted_chebyshev_polynomial_w spherical_bessel_j0 zeta igamma igamma_ igammac "
            "igammac_ mvlgamma mvlgamma_"
        ).split(),
        "scipy.special has it, without gradients; write an Op with its rule",
    ),
    **dict.fromkeys(
        (
            "cholesky_ex cholesky_inverse cholesky_solve geqrf householder_product inv_ex "
            "ldl_factor ldl_factor_ex ldl_solve lu_factor lu_factor_ex lu_solve lu_unpack orgqr "
            "ormqr solve_ex tensorinv tensorsolve triangular_solve symeig"
        ).split(),
        "linalg has inv, solve, solve_triangular, cholesky, qr, eigh and svd",
    ),
    **dict.fromkeys(
        (
            "affine_grid_generator autocast_decrement_nesting autocast_increment_nesting "
            "choose_qparams_optimized clear_autocast_cache compiled_with_cxx11_abi convolution "
            "embedding_renorm_ grid_sampler grid_sampler_2d grid_sampler_3d hash_tensor "
            "import_ir_module import_ir_module_from_buffer init_num_threads "
            "merge_type_from_type_comment native_batch_norm native_channel_shuffle native_dropout "
            "native_group_norm native_layer_norm native_norm norm_except_dim parse_ir parse_schema "
            "parse_type_comment saddmm dsmm segment_reduce slice_inverse unify_type_list "
            "unsafe_chunk unsafe_split unsafe_split_with_sizes feature_dropout feature_dropout_ "
            "as_subclass const_data_ptr dim_order module_load new_empty_strided qscheme "
            "record_stream reinforce resize resize_as to_mkldnn to_padded_tensor fork wait "
            "from_file to_dlpack frombuffer conv_tbc nonzero_static map2_"
        ).split(),
        "it belongs to PyTorch's inner workings; the function of the usual name is here",
    ),
    **dict.fromkeys(
        (
            "q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale "
            "q_zero_point empty_quantized"
        ).split(),
        _QUANTIZED,
    ),
    **dict.fromkeys(
        (
            "ccol_indices col_indices crow_indices row_indices resize_as_sparse_ sparse_resize_ "
            "sparse_resize_and_clear_ to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc "
            "to_sparse_csr"
        ).split(),
        _SPARSE,
    ),
    **dict.fromkeys(
        "bartlett_window blackman_window hamming_window hann_window kaiser_window".split(),
        "NumPy has these windows: torch.from_numpy(numpy.hanning(n))",
    ),
    **dict.fromkeys(
        "slice_scatter select_scatter diagonal_scatter index_put index_reduce "
        "index_reduce_".split(),
        "clone the tensor and write to the part: y = x.clone(); y[…] = values",
    ),
    **dict.fromkeys("ipu mtia xpu vulkan".split(), "there is one device, the processor"),
    **dict.fromkeys("histogram histogramdd binomial vander unravel_index".split(), "NumPy has it"),
    **dict.fromkeys("conj_physical_ real".split(), "numbers are real here: x itself"),
    "cumulative_trapezoid": "(x[1:] + x[:-1]).cumsum(0) / 2",
    "fill": "full_like",
    "frobenius_norm": "linalg.matrix_norm",
    "nuclear_norm": "linalg.matrix_norm(x, 'nuc')",
    "matrix_rank": "(linalg.svdvals(x) > tolerance).sum()",
    "constant_pad_nd": "nn.functional.pad",
    "fractional_max_pool3d": "fractional_max_pool2d is here",
    "FractionalMaxPool3d": "FractionalMaxPool2d is here",
    "index": "x[indices]",
    "new": "x.new_empty, x.new_tensor",
    "Tensor.solve": "linalg.solve",
    "Tensor.bernoulli": "torch.bernoulli(x)",
    "Tensor.multinomial": "torch.multinomial(x, …)",
    "Tensor.svd": "torch.linalg.svd(x)",
    "Tensor.ger": "x.outer(y)",
    "torch.cond": "Python's own if",
    "polygamma_": "x.copy_(x.polygamma(n))",
    "renorm_": "x.mul_((max_norm / x.norm(dim=…, keepdim=True)).clamp(max=1))",
    "bfloat16": "NumPy has no bfloat16; float32 holds its values (files in it are read as float32)",
    "AdaptiveLogSoftmaxWithLoss": "for vocabularies of words; CrossEntropyLoss is here",
    "Adafactor": "Adam and its relatives are here",
    "Muon": "SGD with Nesterov momentum is nearest",
    "DistributedDataParallel": "it is in torch.nn.parallel",
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
}
"""PyTorch's names that are absent on purpose, and what is nearest."""


def reason(module: str, name: str) -> str:
    """Return what is said of a name that is not here.

    >>> reason("torch.nn", "LSTM")
    'torch.nn.LSTM is not here: recurrent layers are not here: this package is for convolutional \
networks'
    """
    known = ABSENT.get(f"{module.rpartition('.')[2]}.{name}", ABSENT.get(name))
    if known is None and name.endswith("_copy"):
        known = _COPY
    if known is None and name.endswith("_with_indices"):
        known = f"{name.removesuffix('_with_indices')}(…, return_indices=True)"
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
