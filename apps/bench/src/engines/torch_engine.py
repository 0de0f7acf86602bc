# PyTorch's process: the same messages over descriptor 3 as the competitors in Node (channel.ts says the format).

import contextlib
import json
import math
import os
import struct
import sys
import time

import numpy
import torch

torch.set_num_threads(int(sys.argv[1]))
device = torch.device("cuda" if sys.argv[2] == "gpu" else "cpu")
dtype = torch.float16 if sys.argv[3] == "torch-f16" else torch.float32
# Float32 is float32: no TF32. cuDNN tries its algorithms on each shape, and takes the fastest.
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True
pipe_in = os.fdopen(3, "rb", closefd=False)
pipe_out = os.fdopen(3, "wb", closefd=False)


def exactly(count):
    data = bytearray(count)
    view, filled = memoryview(data), 0
    while filled < count:
        got = pipe_in.readinto(view[filled:])
        if not got:
            sys.exit(0)
        filled += got
    return data


def receive():
    header = json.loads(exactly(struct.unpack("<I", exactly(4))[0]))
    return header, [exactly(size) for size in header["sizes"]]


def send(header, *arrays):
    text = json.dumps({**header, "sizes": [a.nbytes for a in arrays]}).encode()
    pipe_out.write(struct.pack("<I", len(text)) + text)
    for a in arrays:
        pipe_out.write(a.tobytes())
    pipe_out.flush()


def put(data, shape, kind=numpy.float32):
    values = torch.from_numpy(numpy.frombuffer(data, kind).reshape(shape)).to(device)
    return values.to(dtype) if kind == numpy.float32 else values


def get(values):
    return values.detach().float().cpu().contiguous().numpy()


def cudnn_convolution(x, w, bias, padding, stride, dilation, groups):
    return torch.convolution(x, w, bias, stride, padding, dilation, False, [0] * len(padding), groups)


class Layer:
    """One convolution or one of its gradients; padding that is not symmetric is a step of its own, as it is for PyTorch's users."""

    def __init__(self, task, arrays):
        g = task["geometry"]
        icg = g["ic"] // g["groups"]
        shapes = {"x": [g["n"], g["ic"], *g["input"]], "w": [g["oc"], icg, *g["kernel"]], "y": [g["n"], g["oc"], *g["output"]]}
        roles = {"forward": "xw", "gradInput": "yw", "gradWeight": "yx"}[task["direction"]]
        a, b = (put(data, shapes[role]) for data, role in zip(arrays, roles))
        pad = g["padLo"]
        spans = [(k - 1) * d + 1 for k, d in zip(g["kernel"], g["dilation"])]
        symmetric = [(i + 2 * p - s) // t + 1 for i, p, s, t in zip(g["input"], pad, spans, g["stride"])] == g["output"]
        # Left to itself PyTorch gives 1×1 kernels on one thread to BLAS; oneDNN is several times faster there, and it is measured at its best.
        if task["direction"] == "forward":
            conv = torch.mkldnn_convolution if device.type == "cpu" else cudnn_convolution
            after = (g["stride"], g["dilation"], g["groups"])
            if symmetric:
                self.call = lambda: conv(a, b, None, pad, *after)
            else:
                margins = [m for lo, hi in reversed(list(zip(pad, g["padHi"]))) for m in (lo, hi)]
                self.call = lambda: conv(torch.nn.functional.pad(a, margins), b, None, [0] * len(pad), *after)
            return
        options = (g["stride"], pad, g["dilation"], False, [0] * len(pad), g["groups"])
        if not symmetric:
            raise ValueError("uneven padding has no single gradient call")
        backward = torch.ops.aten.convolution_backward
        if task["direction"] == "gradInput":
            like = torch.zeros(shapes["x"], device=device, dtype=dtype)
            self.call = lambda: backward(a, like, b, None, *options, [True, False, False])[0]
        else:
            like = torch.zeros(shapes["w"], device=device, dtype=dtype)
            self.call = lambda: backward(a, b, like, None, *options, [False, True, False])[1]

    def run(self):
        self.result = self.call()

    def read(self):
        return get(self.result)


class Net(torch.nn.Module):
    """A network in the operators of ONNX, as lower.ts writes it."""

    def __init__(self, graph, arrays):
        super().__init__()
        self.graph = graph
        for i, (weight, data) in enumerate(zip(graph["weights"], arrays)):
            self.register_buffer(f"w{i}", put(data, weight["shape"]))

    def forward(self, x):
        values = {weight["name"]: getattr(self, f"w{i}") for i, weight in enumerate(self.graph["weights"])}
        values["x"] = x
        for n in self.graph["nodes"]:
            values[n["output"]] = OPERATORS[n["op"]](n["attributes"], *(values[name] for name in n["inputs"]))
        return values[self.graph["output"]["name"]]


def even(pads):
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        raise ValueError("uneven padding has no single call")
    return pads[:half]


F = torch.nn.functional
OPERATORS = {
    "Conv": lambda a, x, w, b=None: torch.conv2d(x, w, b, a["strides"], even(a["pads"]), a["dilations"], a["group"]),
    "BatchNormalization": lambda a, x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, False, 0.0, a["epsilon"]),
    "Gemm": lambda a, x, w, b=None: F.linear(x, w if a["transB"] else w.t(), b),
    "MaxPool": lambda a, x: F.max_pool2d(x, a["kernel_shape"], a["strides"], even(a["pads"]), a["dilations"]),
    "AveragePool": lambda a, x: F.avg_pool2d(x, a["kernel_shape"], a["strides"], even(a["pads"]), False, bool(a["count_include_pad"])),
    "GlobalAveragePool": lambda a, x: F.adaptive_avg_pool2d(x, 1),
    "Relu": lambda a, x: torch.relu(x),
    "Clip": lambda a, x: torch.clamp(x, 0.0, 6.0),
    "Add": lambda a, x, y: x + y,
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Flatten": lambda a, x: torch.flatten(x, a["axis"]),
}


class Network:
    """Traced, frozen and optimized for inference: normalization folded, weights in oneDNN's layouts."""

    def __init__(self, task, arrays):
        graph = task["graph"]
        self.x = put(arrays[0], graph["input"]["shape"])
        start = time.perf_counter()
        with torch.no_grad():
            traced = torch.jit.freeze(torch.jit.trace(Net(graph, arrays[1:]).eval(), self.x, check_trace=False))
            self.net = torch.jit.optimize_for_inference(traced) if device.type == "cpu" else traced
            self.run()
            finish()
        self.start_ms = (time.perf_counter() - start) * 1000

    def run(self):
        self.result = self.net(self.x)

    def read(self):
        return get(self.result.to_dense() if self.result.is_mkldnn else self.result)


def lenet():
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class Train:
    """A training step, cross-entropy: LeNet-5 (relu, max pooling) with Adam, networks of torchvision with stochastic gradient descent."""

    def __init__(self, task, arrays):
        torch.manual_seed(0)
        size = (1, 28, 28) if task["model"] == "lenet5" else (3, 224, 224)
        if task["model"] == "lenet5":
            self.net = lenet().to(device)
            self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        else:
            import torchvision

            self.net = getattr(torchvision.models, task["model"])().to(device)
            self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        # Half precision as its users have it: weights and their update in float32, the rest by autocast, the loss scaled.
        self.scaler = torch.cuda.amp.GradScaler() if dtype == torch.float16 else None
        self.x = torch.from_numpy(numpy.frombuffer(arrays[0], numpy.float32).reshape(task["batch"], *size)).to(device)
        self.labels = put(arrays[1], [task["batch"]], numpy.int32).long()
        self.losses = []

    def run(self):
        self.optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16) if self.scaler else contextlib.nullcontext():
            loss = torch.nn.functional.cross_entropy(self.net(self.x), self.labels)
        if self.scaler:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            loss.backward()
            self.optimizer.step()
        self.losses.append(loss.item())

    def read(self):
        return numpy.array([self.losses[0], self.losses[-1]], numpy.float32)


GROUP_MS, GROUP = 10, 32  # as answer.ts has them


def finish():
    if device.type == "cuda":
        torch.cuda.synchronize()


def clock(prepared):
    """Milliseconds of a call by CUDA's events, the median of five; none on the CPU."""
    if device.type == "cpu":
        return None
    times = []
    for _ in range(5):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        prepared.run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return float(numpy.median(times))


def timed(prepared, min_ms, min_calls):
    global last_ms
    times = []
    end = time.perf_counter() + min_ms / 1000
    while len(times) < min_calls or time.perf_counter() < end:
        runs = 1 if device.type == "cpu" or not last_ms else min(GROUP, math.ceil(GROUP_MS / last_ms))
        start = time.perf_counter()
        for _ in range(runs):
            prepared.run()
        finish()
        last_ms = (time.perf_counter() - start) * 1000 / runs
        times.append(last_ms)
    return numpy.array(times)


def answer(header, arrays):
    global prepared, last_ms
    if header["ask"] == "prepare":
        prepared = last_ms = None
        task = header["task"]
        prepared = {"layer": Layer, "network": Network, "train": Train}[task["kind"]](task, arrays)
        send({"say": "ready", **({"startMs": prepared.start_ms} if isinstance(prepared, Network) else {})})
    elif header["ask"] == "run":
        with torch.set_grad_enabled(isinstance(prepared, Train)):
            send({"say": "times"}, timed(prepared, header["minMs"], header["minCalls"]))
    elif header["ask"] == "clock":
        send({"say": "clock", "deviceMs": clock(prepared)})
    else:
        send({"say": "result"}, prepared.read())


prepared = last_ms = None
if device.type == "cuda" and not torch.cuda.is_available():
    raise RuntimeError("PyTorch finds no GPU of CUDA")
send({"say": "hello", "version": torch.__version__})
while True:
    request = receive()
    try:
        answer(*request)
    except Exception as error:
        send({"say": "declined", "reason": str(error).splitlines()[0]})
