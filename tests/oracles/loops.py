"""Layers and losses as explicit loops, each backward pass derived by hand beside its forward pass.

These are the tests' independent oracles: they import nothing but NumPy, and every line can be
checked by eye against the formula above it. They are slow on purpose. A `_backward` function takes
`grad`, the derivative of the loss with respect to the layer's output, and returns the derivatives
with respect to the layer's inputs.

Shapes: N images, C channels in, O channels (or features) out, H W input, OH OW output,
KH KW kernel, F features in. Everything is float64.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


def pad(x: Array, padding: int) -> Array:
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    padded[:, :, padding : padding + H, padding : padding + W] = x
    return padded


def conv2d(
    x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0
) -> Array:
    """out[n,o,i,j] = bias[o] + Σ_c,u,v padded[n, c, i·stride+u, j·stride+v] · weight[o,c,u,v]."""
    N = x.shape[0]
    O, _, KH, KW = weight.shape
    padded = pad(x, padding)
    OH = (padded.shape[2] - KH) // stride + 1
    OW = (padded.shape[3] - KW) // stride + 1
    out = np.zeros((N, O, OH, OW))
    for n in range(N):
        for o in range(O):
            for i in range(OH):
                for j in range(OW):
                    top, left = i * stride, j * stride
                    window = padded[n, :, top : top + KH, left : left + KW]
                    out[n, o, i, j] = (window * weight[o]).sum()
                    if bias is not None:
                        out[n, o, i, j] += bias[o]
    return out


def conv2d_backward(
    grad: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0
) -> tuple[Array, Array, Array]:
    """Return the gradients of input, weight and bias.

    out[n,o,i,j] contains padded[window] · weight[o] and bias[o], so each output position ADDS
    grad · weight[o] to its window of the input's gradient, grad · window to weight[o]'s gradient,
    and grad to bias[o]'s.
    """
    N, O, OH, OW = grad.shape
    _, _, KH, KW = weight.shape
    H, W = x.shape[2:]
    padded = pad(x, padding)
    grad_padded = np.zeros(padded.shape)
    grad_weight = np.zeros(weight.shape)
    grad_bias = np.zeros(O)
    for n in range(N):
        for o in range(O):
            for i in range(OH):
                for j in range(OW):
                    top, left = i * stride, j * stride
                    g = grad[n, o, i, j]
                    window = padded[n, :, top : top + KH, left : left + KW]
                    grad_padded[n, :, top : top + KH, left : left + KW] += g * weight[o]
                    grad_weight[o] += g * window
                    grad_bias[o] += g
    grad_x = grad_padded[:, :, padding : padding + H, padding : padding + W]
    return grad_x, grad_weight, grad_bias


def max_pool2d(x: Array, size: int) -> Array:
    """out[n,c,i,j] = max of x[n, c, i·size : (i+1)·size, j·size : (j+1)·size]."""
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // size, W // size))
    for n in range(N):
        for c in range(C):
            for i in range(H // size):
                for j in range(W // size):
                    top, left = i * size, j * size
                    out[n, c, i, j] = x[n, c, top : top + size, left : left + size].max()
    return out


def max_pool2d_backward(grad: Array, x: Array, size: int) -> Array:
    """Add each output's gradient to the first maximum, row by row, of its window."""
    N, C, OH, OW = grad.shape
    grad_x = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    top, left = i * size, j * size
                    window = x[n, c, top : top + size, left : left + size]
                    u, v = divmod(int(window.argmax()), size)  # argmax returns the first maximum
                    grad_x[n, c, top + u, left + v] += grad[n, c, i, j]
    return grad_x


def relu(x: Array) -> Array:
    """out = x where x > 0, else 0."""
    return np.where(x > 0, x, 0.0)


def relu_backward(grad: Array, x: Array) -> Array:
    """Pass the gradient where the INPUT was positive; at 0 the derivative is 0."""
    return np.where(x > 0, grad, 0.0)


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """out[:,c] = gamma[c] · (x[:,c] − mean) / √(variance + eps) + beta[c].

    Mean and (biased) variance are the batch's own, over all axes but axis 1: per channel of
    (N, C, H, W), per feature of (N, F).
    """
    out = np.zeros(x.shape)
    for c in range(x.shape[1]):
        values = x[:, c]
        variance = ((values - values.mean()) ** 2).mean()
        normalised = (values - values.mean()) / np.sqrt(variance + eps)
        out[:, c] = gamma[c] * normalised + beta[c]
    return out


def batch_norm_backward(
    grad: Array, x: Array, gamma: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of input, gamma and beta.

    With m values a channel, s = √(variance + eps), d = x − mean and h = grad · gamma, the chain
    rule through the three ways in which x enters:

        d variance:  Σ h · d · (−1/2) / s³
        d mean:      −Σ h / s               (Σ d = 0, so the variance adds nothing)
        d x:         h / s + (d variance) · 2 d / m + (d mean) / m
    """
    grad_x = np.zeros(x.shape)
    grad_gamma = np.zeros(gamma.shape)
    grad_beta = np.zeros(gamma.shape)
    for c in range(x.shape[1]):
        values, g = x[:, c], grad[:, c]
        m = values.size
        d = values - values.mean()
        s = np.sqrt((d**2).mean() + eps)
        grad_gamma[c] = (g * d / s).sum()
        grad_beta[c] = g.sum()
        h = g * gamma[c]
        grad_variance = (h * d).sum() * -0.5 / s**3
        grad_mean = -h.sum() / s
        grad_x[:, c] = h / s + grad_variance * 2 * d / m + grad_mean / m
    return grad_x, grad_gamma, grad_beta


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """out[n,o] = bias[o] + Σ_f x[n,f] · weight[o,f]."""
    N, O = x.shape[0], weight.shape[0]
    out = np.zeros((N, O))
    for n in range(N):
        for o in range(O):
            out[n, o] = (x[n] * weight[o]).sum()
            if bias is not None:
                out[n, o] += bias[o]
    return out


def linear_backward(grad: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of input, weight and bias: each out[n,o] adds its share."""
    grad_x = np.zeros(x.shape)
    grad_weight = np.zeros(weight.shape)
    grad_bias = np.zeros(weight.shape[0])
    for n in range(x.shape[0]):
        for o in range(weight.shape[0]):
            grad_x[n] += grad[n, o] * weight[o]
            grad_weight[o] += grad[n, o] * x[n]
            grad_bias[o] += grad[n, o]
    return grad_x, grad_weight, grad_bias


def softmax_cross_entropy(logits: Array, labels: Labels) -> tuple[float, Array]:
    """Return the loss (1/N) Σ_n −log softmax(logits[n])[label_n] and its gradient.

    The gradient is (softmax − onehot) / N. Subtracting the row's maximum leaves softmax as it is
    and keeps exp finite.
    """
    N = logits.shape[0]
    loss = 0.0
    grad = np.zeros(logits.shape)
    for n in range(N):
        shifted = logits[n] - logits[n].max()
        total = np.exp(shifted).sum()
        loss += (np.log(total) - shifted[labels[n]]) / N
        grad[n] = np.exp(shifted) / total / N
        grad[n, labels[n]] -= 1 / N
    return float(loss), grad


def sigmoid_half_squared_error(logits: Array, targets: Array) -> tuple[float, Array]:
    """Return the loss (1/N) Σ_n ½(ŷ_n − y_n)², where ŷ = 1 / (1 + e^−logit), and its gradient.

    Logits (N, 1), targets (N,). dŷ/dlogit = ŷ(1 − ŷ), so the gradient is (ŷ − y) ŷ (1 − ŷ) / N.
    """
    N = logits.shape[0]
    loss = 0.0
    grad = np.zeros(logits.shape)
    for n in range(N):
        y_hat = 1 / (1 + np.exp(-logits[n, 0]))
        loss += 0.5 * (y_hat - targets[n]) ** 2 / N
        grad[n, 0] = (y_hat - targets[n]) * y_hat * (1 - y_hat) / N
    return float(loss), grad


def mean_squared_error(predictions: Array, targets: Array) -> tuple[float, Array]:
    """Return the loss (1/N) Σ_n (prediction_n − target_n)² and its gradient 2(p − t)/N.

    Predictions (N, 1), targets (N,).
    """
    N = predictions.shape[0]
    loss = 0.0
    grad = np.zeros(predictions.shape)
    for n in range(N):
        difference = predictions[n, 0] - targets[n]
        loss += difference**2 / N
        grad[n, 0] = 2 * difference / N
    return float(loss), grad
