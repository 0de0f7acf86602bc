"""Makes the goldens in this folder: what PyTorch answers, for the references of @conv/ops and for layers and optimizers of @conv/layers. Networks: networks.py.

Run (Debian's packages; from this folder):
    apt-get update && apt-get install -y --no-install-recommends python3-torch python3-torchvision libopenblas0-pthread
    /usr/bin/python3 make.py

Inputs are float32 numbers with few digits. PyTorch computes in float64, and the results are rounded to float32 once, at the
end, so that every number here is right to half a unit in the last place. Numbers are written in the shortest decimal form
that reads back as the same float32. The seeds are fixed: the same PyTorch writes the same bytes.
"""

import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def draw(*shape, digits=2, scale=1.0):
    """Normal numbers rounded to `digits` decimals, then to float32."""
    x = (torch.randn(*shape) * scale).numpy().round(digits).astype(np.float32)
    return torch.from_numpy(x.astype(np.float64))


def number(x):
    short = float(str(np.float32(x)))
    assert np.float32(short) == np.float32(x)
    return int(short) if short == int(short) and not (short == 0 and math.copysign(1, short) < 0) else short


def array(t):
    """{shape, data} of a tensor, flat and channels first."""
    if t.dtype == torch.int64:
        return {"shape": list(t.shape), "data": t.flatten().tolist()}
    return {"shape": list(t.shape), "data": [number(v) for v in t.detach().flatten().tolist()]}


def arrays(**tensors):
    return {name: array(t) for name, t in tensors.items()}


def save(name, cases):
    lines = ",\n".join(json.dumps(c, separators=(",", ":"), ensure_ascii=False) for c in cases)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")
    print(f"{name}.json: {len(cases)} cases, {(HERE / f'{name}.json').stat().st_size} bytes")


def pair(padding, rank):
    """Padding as (lo, hi) lists from a number, or from a list of pairs."""
    if isinstance(padding, int):
        return [padding] * rank, [padding] * rank
    return [lo for lo, _ in padding], [hi for _, hi in padding]


def listed(value, rank):
    return [value] * rank if isinstance(value, int) else list(value)


# ---- convolution ------------------------------------------------------------------------------------------------------

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(name, x, w, stride=1, padding=0, dilation=1, groups=1):
    rank = len(x) - 2
    lo, hi = pair(padding, rank)
    x, w = draw(*x).requires_grad_(), draw(*w).requires_grad_()
    # F.pad takes the last axis first; it alone can pad unevenly.
    flat = [p for a in reversed(range(rank)) for p in (lo[a], hi[a])]
    y = CONV[rank](F.pad(x, flat), w, None, listed(stride, rank), 0, listed(dilation, rank), groups)
    return derive(name, "conv", rank, x, w, y, stride, lo, hi, dilation, groups, 0)


def transposed(name, x, w, stride=1, padding=0, dilation=1, groups=1, output_padding=0):
    rank = len(x) - 2
    lo, hi = pair(padding, rank)
    x, w = draw(*x).requires_grad_(), draw(*w).requires_grad_()
    y = TRANSPOSED[rank](x, w, None, listed(stride, rank), lo, listed(output_padding, rank), groups, listed(dilation, rank))
    return derive(name, "convTranspose", rank, x, w, y, stride, lo, hi, dilation, groups, output_padding)


def derive(name, op, rank, x, w, y, stride, lo, hi, dilation, groups, output_padding):
    dy = draw(*y.shape, digits=1)
    dx, dw = torch.autograd.grad(y, [x, w], dy)
    options = {"stride": listed(stride, rank), "padLo": lo, "padHi": hi, "dilation": listed(dilation, rank), "groups": groups}
    if op == "convTranspose":
        options["outputPadding"] = listed(output_padding, rank)
    return {"name": name, "op": op, "options": options, **arrays(x=x, w=w, y=y, dy=dy, dx=dx, dw=dw)}


def make_conv():
    torch.manual_seed(1)
    save("conv", [
        conv("1d", (2, 3, 9), (4, 3, 3)),
        conv("1d, stride 2, padding 1+2", (1, 2, 10), (3, 2, 4), stride=2, padding=[(1, 2)]),
        conv("1d, dilation 3, groups 2", (2, 4, 12), (6, 2, 3), dilation=3, groups=2),
        conv("1d, depthwise, stride 3", (1, 3, 11), (3, 1, 2), stride=3, groups=3),
        conv("2d, padding 1", (2, 3, 5, 6), (4, 3, 3, 3), padding=1),
        conv("2d, 1x1", (2, 5, 3, 4), (3, 5, 1, 1)),
        conv("2d, 1x1, stride 2", (1, 3, 5, 4), (2, 3, 1, 1), stride=2),
        conv("2d, stride 2, padding 0+1 and 2+1", (1, 2, 7, 6), (3, 2, 3, 3), stride=2, padding=[(0, 1), (2, 1)]),
        conv("2d, kernel 2x3, stride 1x2, dilation 2x1", (1, 2, 6, 7), (2, 2, 2, 3), stride=(1, 2), dilation=(2, 1), padding=[(1, 1), (0, 1)]),
        conv("2d, groups 2, dilation 2", (1, 4, 7, 7), (4, 2, 3, 3), groups=2, dilation=2, padding=1),
        conv("2d, depthwise", (1, 3, 6, 5), (3, 1, 3, 3), groups=3, padding=1),
        conv("2d, depthwise, multiplier 2, stride 2, uneven padding", (2, 2, 6, 5), (4, 1, 3, 3), groups=2, stride=2, padding=[(0, 1), (1, 1)]),
        conv("2d, 5x5, padding 4", (1, 1, 3, 3), (2, 1, 5, 5), padding=4),
        conv("3d", (1, 2, 4, 4, 3), (2, 2, 2, 3, 2)),
        conv("3d, stride 2, uneven padding", (1, 2, 4, 5, 4), (3, 2, 3, 2, 3), stride=(2, 1, 2), padding=[(1, 0), (0, 1), (1, 1)]),
        conv("3d, groups 2, dilation 2", (1, 2, 5, 4, 5), (4, 1, 2, 2, 3), groups=2, dilation=(2, 1, 2)),
        transposed("1d", (2, 3, 5), (3, 2, 4)),
        transposed("1d, stride 2, padding 1, output padding 1", (1, 2, 5), (2, 3, 3), stride=2, padding=1, output_padding=1),
        transposed("2d, stride 2, padding 1, output padding 1", (1, 3, 3, 4), (3, 2, 3, 3), stride=2, padding=1, output_padding=1),
        transposed("2d, stride 2x3, output padding 1x2", (1, 2, 3, 2), (2, 2, 2, 4), stride=(2, 3), output_padding=(1, 2)),
        transposed("2d, groups 2, dilation 2", (2, 4, 3, 3), (4, 1, 2, 3), groups=2, dilation=2, padding=1),
        transposed("2d, depthwise, stride 2", (1, 3, 3, 3), (3, 1, 4, 4), groups=3, stride=2, padding=1),
        transposed("3d, stride 2, output padding 1", (1, 2, 2, 3, 2), (2, 2, 3, 2, 2), stride=2, padding=[(1, 1), (0, 0), (0, 0)], output_padding=(1, 0, 1)),
        transposed("3d, groups 2, dilation 1x2x1", (1, 2, 3, 2, 3), (2, 2, 2, 2, 2), groups=2, dilation=(1, 2, 1)),
    ])


# ---- pooling ----------------------------------------------------------------------------------------------------------

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def pool(name, op, x, kernel, stride=None, padding=0, dilation=1, include=True, ceil=False):
    rank = len(x) - 2
    x = draw(*x, digits=1, scale=0.5).requires_grad_()  # few digits, so that windows hold ties
    options = {"stride": listed(stride or kernel, rank), "padding": listed(padding, rank)}
    k = listed(kernel, rank)
    if op == "maxPool":
        options["dilation"] = listed(dilation, rank)
        y = MAX[rank](x, k, options["stride"], options["padding"], options["dilation"], ceil)
        if ceil:
            options["ceilMode"] = True
    else:
        options["countIncludePad"] = include
        y = AVG[rank](x, k, options["stride"], options["padding"], False, include)
    dy = draw(*y.shape)
    (dx,) = torch.autograd.grad(y, [x], dy)
    return {"name": name, "op": op, "kernel": k, "options": options, **arrays(x=x, y=y, dy=dy, dx=dx)}


def make_pool():
    torch.manual_seed(2)
    save("pool", [
        pool("1d", "maxPool", (2, 2, 8), 2),
        pool("1d, 3 by 2, padding 1", "maxPool", (1, 2, 9), 3, 2, 1),
        pool("2d", "maxPool", (1, 2, 6, 4), 2),
        pool("2d, 3 by 2, padding 1", "maxPool", (2, 2, 7, 6), 3, 2, 1),
        pool("2d, overlapping 3 by 1", "maxPool", (1, 2, 5, 5), 3, 1, 1),
        pool("2d, 2x3 by 1x2, dilation 2x1", "maxPool", (1, 1, 6, 7), (2, 3), (1, 2), (1, 0), (2, 1)),
        pool("2d, uncovered rest", "maxPool", (1, 2, 7, 5), 2),
        pool("3d", "maxPool", (1, 2, 4, 4, 4), 2),
        pool("3d, 3x2x2 by 2x1x2, padding 1x0x1", "maxPool", (1, 1, 5, 4, 5), (3, 2, 2), (2, 1, 2), (1, 0, 1)),
        *[
            pool(f"{name}, padding {'counted' if include else 'left out'}", "avgPool", *rest, include=include)
            for include in (True, False)
            for name, *rest in [
                ("1d, 3 by 2", (1, 2, 9), 3, 2, 1),
                ("2d", (1, 2, 6, 4), 2),
                ("2d, 3 by 2", (2, 2, 7, 6), 3, 2, 1),
                ("2d, 2x3 by 1x2", (1, 1, 5, 7), (2, 3), (1, 2), (1, 0)),
                ("3d, 3x2x2 by 2", (1, 2, 5, 4, 5), (3, 2, 2), 2, (1, 0, 1)),
            ]
        ],
        pool("2d, 3 by 2, rounded up", "maxPool", (1, 2, 8, 7), 3, 2, ceil=True),
        pool("2d, 2 by 3, padding 1, rounded up, the last window left out", "maxPool", (1, 1, 4, 5), 2, 3, 1, ceil=True),
    ])


# ---- activations, elementwise functions of two, softmax, losses ------------------------------------------------------------

def elementwise():
    x = torch.tensor([-40, -8, -2.5, -1, -0.3, -0.001, 0, 0.001, 0.3, 1, 2.5, 8, 40])
    positive = torch.tensor([0.001, 0.3, 0.5, 1, 1.5, 2.5, 8, 1000])
    pairs = (torch.tensor([-1, 0, 0.5, 2, 2, -3.25, 0]), torch.tensor([1, 0, -0.5, 2, 0.25, -3.25, -1]))
    divisor = torch.tensor([1, 4, -0.5, 2, 0.25, -3.25, -1])
    rows = [
        ("relu", torch.relu, [x]),
        ("relu6", F.relu6, [x]),
        ("leakyRelu", lambda a: F.leaky_relu(a, 0.01), [x]),
        ("sigmoid", torch.sigmoid, [x]),
        ("tanh", torch.tanh, [x]),
        ("scaledTanh", lambda a: 1.7159 * torch.tanh(a * 2 / 3), [x]),
        ("elu", F.elu, [x]),
        ("selu", F.selu, [x]),
        ("silu", F.silu, [x]),
        ("mish", F.mish, [x]),
        ("softplus", F.softplus, [x]),
        ("gelu", F.gelu, [x]),
        ("geluTanh", lambda a: F.gelu(a, approximate="tanh"), [x]),
        ("erf", torch.erf, [x]),
        ("hardSigmoid", F.hardsigmoid, [x]),
        ("hardSwish", F.hardswish, [x]),
        ("prelu", lambda a, w: torch.where(a > 0, a, w * a), [x, x.flip(0) / 8]),
        ("exp", torch.exp, [x]),
        ("neg", torch.neg, [x]),
        ("abs", torch.abs, [x]),
        ("square", torch.square, [x]),
        ("sqrt", torch.sqrt, [positive]),
        ("log", torch.log, [positive]),
        ("add", torch.add, pairs),
        ("sub", torch.sub, pairs),
        ("mul", torch.mul, pairs),
        ("div", torch.div, (pairs[0], divisor)),
        ("maximum", torch.maximum, pairs),
        ("minimum", torch.minimum, pairs),
    ]
    for name, f, inputs in rows:
        inputs = [torch.from_numpy(t.numpy().astype(np.float32).astype(np.float64)).requires_grad_() for t in inputs]
        y = f(*inputs)
        grads = torch.autograd.grad(y.sum(), inputs)
        yield {"name": name, "op": name, "inputs": [array(t) for t in inputs], **arrays(y=y), "grads": [array(t) for t in grads]}


def soft(name, op, shape, axis, scale=1.0):
    x = draw(*shape, scale=scale).requires_grad_()
    y = (F.softmax if op == "softmax" else F.log_softmax)(x, axis)
    dy = draw(*shape)
    (dx,) = torch.autograd.grad(y, [x], dy)
    return {"name": name, "op": op, "axis": axis, **arrays(x=x, y=y, dy=dy, dx=dx)}


def cross_entropy(name, n, classes, scale=1.0):
    x = draw(n, classes, scale=scale).requires_grad_()
    labels = torch.randint(classes, (n,))
    loss = F.cross_entropy(x, labels)
    (dx,) = torch.autograd.grad(loss, [x])
    return {"name": name, "op": "crossEntropy", **arrays(x=x, labels=labels, loss=loss, dx=dx)}


def squared_error(name, *shape):
    x, target = draw(*shape).requires_grad_(), draw(*shape).requires_grad_()
    loss = F.mse_loss(x, target)
    dx, dtarget = torch.autograd.grad(loss, [x, target])
    return {"name": name, "op": "squaredError", **arrays(x=x, target=target, loss=loss, dx=dx, dtarget=dtarget)}


def loss_of(name, op, f, x, target, **options):
    """A loss with options of ours; `target` are labels where they are whole numbers."""
    x = x.requires_grad_()
    if target.dtype != torch.int64:
        target = target.requires_grad_()
    loss = f(x, target)
    values = arrays(x=x, loss=loss, dx=torch.autograd.grad(loss, [x], retain_graph=True)[0])
    if target.dtype == torch.int64:
        values |= arrays(labels=target)
    else:
        values |= arrays(target=target)
        if op != "dice":
            values |= arrays(dtarget=torch.autograd.grad(loss, [target])[0])
    return {"name": name, "op": op, "options": options, **values}


def losses():
    uniform = lambda *shape: torch.from_numpy(torch.rand(*shape).numpy().round(2).clip(0.01, 0.99).astype(np.float32).astype(np.float64))
    labels = lambda n, classes: torch.randint(classes, (n,))
    weights = [0.5, 2.0, 1.0, 0.25]
    w = torch.tensor(weights)
    yield loss_of("smoothed", "crossEntropy", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), draw(4, 5), labels(4, 5), labelSmoothing=0.1)
    yield loss_of("weighted", "crossEntropy", lambda x, t: F.cross_entropy(x, t, w), draw(5, 4), labels(5, 4), weight=weights)
    both = {"labelSmoothing": 0.2, "weight": weights}
    yield loss_of("smoothed and weighted", "crossEntropy", lambda x, t: F.cross_entropy(x, t, w, label_smoothing=0.2), draw(5, 4), labels(5, 4), **both)
    yield loss_of("a class for each pixel", "crossEntropy", F.cross_entropy, draw(2, 3, 2, 2), torch.randint(3, (2, 2, 2)))
    yield loss_of("a class for each pixel, smoothed and weighted", "crossEntropy", lambda x, t: F.cross_entropy(x, t, w, label_smoothing=0.2), draw(2, 4, 3), torch.randint(4, (2, 3)), **both)
    yield loss_of("4x3", "absoluteError", F.l1_loss, draw(4, 3), draw(4, 3))
    yield loss_of("delta 1", "huber", F.huber_loss, draw(4, 3, scale=2), draw(4, 3))
    yield loss_of("delta 0.3", "huber", lambda x, t: F.huber_loss(x, t, delta=0.3), draw(2, 2, 3), draw(2, 2, 3), delta=0.3)
    yield loss_of("4x3", "binaryCrossEntropy", F.binary_cross_entropy, uniform(4, 3), uniform(4, 3))
    yield loss_of("4x3", "binaryCrossEntropyWithLogits", F.binary_cross_entropy_with_logits, draw(4, 3, scale=3), uniform(4, 3))
    heavy = lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(2.5))
    yield loss_of("positives count more", "binaryCrossEntropyWithLogits", heavy, draw(3, 2, 2), uniform(3, 2, 2), posWeight=2.5)
    yield loss_of("4 of 5", "hinge", F.multi_margin_loss, draw(4, 5), labels(4, 5))
    yield loss_of("squared, margin 0.5", "hinge", lambda x, t: F.multi_margin_loss(x, t, p=2, margin=0.5), draw(4, 3), labels(4, 3), margin=0.5, p=2)

    def dice(p, t, smooth=1.0):
        both, total = (p * t).sum((2, 3)), (p + t).sum((2, 3))
        return (1 - (2 * both + smooth) / (total + smooth)).mean()

    yield loss_of("2x3x3x2", "dice", dice, uniform(2, 3, 3, 2), uniform(2, 3, 3, 2).round())
    yield loss_of("smooth 0.1", "dice", lambda p, t: dice(p, t, 0.1), uniform(1, 1, 2, 4), uniform(1, 1, 2, 4).round(), smooth=0.1)


def make_rest():
    torch.manual_seed(3)
    save("elementwise", list(elementwise()))
    save("softmax", [
        soft(f"{shape} over axis {axis}, scale {scale}", op, shape, axis, scale)
        for op in ("softmax", "logSoftmax")
        for shape, axis, scale in [((4, 7), 1, 1), ((3, 4, 2), 1, 1), ((5, 3), 0, 1), ((2, 3), 1, 200), ((3, 1), 1, 1)]
    ])
    save("losses", [
        cross_entropy("4 of 10 classes", 4, 10),
        cross_entropy("1 of 2 classes", 1, 2),
        cross_entropy("large logits", 3, 5, scale=100),
        squared_error("4x3", 4, 3),
        squared_error("1x2x3x3", 1, 2, 3, 3),
        *losses(),
    ])


# ---- batch normalization, adaptive pooling ---------------------------------------------------------------------------------

def batch_norm(name, *shape, training, momentum=0.1, eps=1e-5):
    c = shape[1]
    x, weight, bias = draw(*shape).requires_grad_(), draw(c).requires_grad_(), draw(c).requires_grad_()
    mean, var = draw(c, scale=0.3), draw(c, scale=0.3) ** 2 + 0.25
    after = mean.clone(), var.clone()
    y = F.batch_norm(x, *after, weight, bias, training, momentum, eps)
    dy = draw(*shape)
    dx, dweight, dbias = torch.autograd.grad(y, [x, weight, bias], dy)
    values = arrays(x=x, weight=weight, bias=bias, mean=mean, var=var, y=y, dy=dy, dx=dx, dweight=dweight, dbias=dbias, meanAfter=after[0], varAfter=after[1])
    return {"name": name, "training": training, "momentum": momentum, "eps": eps, **values}


def adaptive_pool(shape, output):
    x = draw(*shape).requires_grad_()
    y = getattr(F, f"adaptive_avg_pool{len(shape) - 2}d")(x, output)
    dy = draw(*y.shape)
    (dx,) = torch.autograd.grad(y, [x], dy)
    return {"name": f"{shape} to {output}", "output": output, **arrays(x=x, y=y, dy=dy, dx=dx)}


def make_layers():
    torch.manual_seed(5)
    save("batchNorm", [
        batch_norm("predicting", 2, 3, 3, 2, training=False),
        batch_norm("predicting, one axis, eps 0.1", 2, 2, 5, training=False, eps=0.1),
        batch_norm("predicting, without spatial axes", 4, 3, training=False),
        batch_norm("training", 2, 3, 3, 2, training=True),
        batch_norm("training, momentum 0.3", 4, 2, 2, 2, 2, training=True, momentum=0.3, eps=1e-3),
    ])
    save("adaptivePool", [
        adaptive_pool((1, 2, 6, 4), [1, 1]),
        adaptive_pool((2, 1, 6, 4), [3, 2]),
        adaptive_pool((1, 2, 5, 7), [3, 4]),
        adaptive_pool((1, 1, 2, 1), [5, 3]),
        adaptive_pool((1, 2, 7), [3]),
        adaptive_pool((1, 1, 4, 5, 3), [2, 2, 3]),
    ])


# ---- optimizers -------------------------------------------------------------------------------------------------------

# conv 1→2 3×3, relu, max pooling 2, flatten, linear 8→3, cross-entropy, on 4 samples of 1×6×6 a step.
def forward(p, x):
    y = F.max_pool2d(torch.relu(F.conv2d(x, p["conv.weight"], p["conv.bias"])), 2)
    return F.linear(y.flatten(1), p["fc.weight"], p["fc.bias"])


def make_optimizers():
    torch.manual_seed(4)
    start = {"conv.weight": draw(2, 1, 3, 3, scale=0.4), "conv.bias": draw(2, scale=0.2), "fc.weight": draw(3, 8, scale=0.4), "fc.bias": draw(3, scale=0.2)}
    steps = [(draw(4, 1, 6, 6, digits=1), torch.randint(3, (4,))) for _ in range(3)]
    # Camel case, as the options of @conv/layers; PyTorch's names differ in spelling only.
    settings = [
        ("sgd", {"lr": 0.1}),
        ("sgd", {"lr": 0.1, "momentum": 0.9}),
        ("sgd", {"lr": 0.1, "weightDecay": 0.05}),
        ("sgd", {"lr": 0.05, "momentum": 0.8, "weightDecay": 0.01}),
        ("sgd", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        ("sgd", {"lr": 0.05, "momentum": 0.9, "weightDecay": 0.01, "nesterov": True}),
        ("adam", {"lr": 0.01}),
        ("adam", {"lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-6}),
        ("adam", {"lr": 0.01, "weightDecay": 0.05}),
        ("adamW", {"lr": 0.01}),
        ("adamW", {"lr": 0.02, "weightDecay": 0.1, "betas": [0.8, 0.999]}),
        ("rmsprop", {}),
        ("rmsprop", {"lr": 0.005, "alpha": 0.9, "eps": 1e-4, "weightDecay": 0.05}),
        ("rmsprop", {"lr": 0.005, "momentum": 0.8}),
        ("adagrad", {"lr": 0.05}),
        ("adagrad", {"lr": 0.05, "lrDecay": 0.1, "weightDecay": 0.02}),
    ]
    spelling = {"weightDecay": "weight_decay", "lrDecay": "lr_decay"}
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamW": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}
    runs = []
    for optimizer, options in settings:
        p = {k: v.clone().requires_grad_() for k, v in start.items()}
        named = {spelling.get(k, k): v for k, v in options.items()}
        step = classes[optimizer](p.values(), **named)
        losses, after = [], []
        for x, labels in steps:
            step.zero_grad()
            loss = F.cross_entropy(forward(p, x), labels)
            loss.backward()
            step.step()
            losses.append(number(loss.item()))
            after.append({k: array(v) for k, v in p.items()})
        name = ", ".join([optimizer] + [f"{k} {v}" for k, v in options.items()])
        runs.append({"name": name, "optimizer": optimizer, "options": options, "losses": losses, "after1": after[0], "after3": after[2]})
    network = {"params": {k: array(v) for k, v in start.items()}, "steps": [arrays(x=x, labels=labels) for x, labels in steps]}
    text = ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs)
    path = HERE / "optimizers.json"
    path.write_text(f'{{"network":{json.dumps(network, separators=(",", ":"))},\n"runs":[\n{text}\n]}}\n')
    print(f"optimizers.json: {len(runs)} runs, {path.stat().st_size} bytes")


# ---- schedules, clipping ----------------------------------------------------------------------------------------------

def rates(name, options, make, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.4)
    schedule = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return {"name": name, "options": options, "rates": values}


def make_schedules():
    s = torch.optim.lr_scheduler
    save("schedules", [
        rates("stepDecay", {"lr": 0.4, "every": 3, "factor": 0.5}, lambda o: s.StepLR(o, 3, 0.5), 10),
        rates("multiStep", {"lr": 0.4, "at": [2, 5], "factor": 0.1}, lambda o: s.MultiStepLR(o, [2, 5], 0.1), 8),
        rates("cosine", {"lr": 0.4, "steps": 8}, lambda o: s.CosineAnnealingLR(o, 8), 9),
        rates("cosine", {"lr": 0.4, "steps": 5, "min": 0.1}, lambda o: s.CosineAnnealingLR(o, 5, 0.1), 6),
        rates("oneCycle", {"lr": 0.4, "steps": 10}, lambda o: s.OneCycleLR(o, 0.4, 10), 10),
        rates("oneCycle", {"lr": 0.4, "steps": 12, "rise": 0.5, "start": 10, "end": 100}, lambda o: s.OneCycleLR(o, 0.4, 12, pct_start=0.5, div_factor=10, final_div_factor=100), 12),
    ])


if __name__ == "__main__":
    make_conv()
    make_pool()
    make_rest()
    make_layers()
    make_optimizers()
    make_schedules()
