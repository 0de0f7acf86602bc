# PyTorch's process: the same messages over descriptor 3 as the competitors in Node (channel.ts says the format).

import json
import os
import struct
import sys
import time

import numpy
import torch

torch.set_num_threads(int(sys.argv[1]))
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


class Layer:
    """One convolution or one of its gradients; padding that is not symmetric is a step of its own, as it is for PyTorch's users."""

    def __init__(self, task, arrays):
        g = task["geometry"]
        icg = g["ic"] // g["groups"]
        shapes = {"x": [g["n"], g["ic"], *g["input"]], "w": [g["oc"], icg, *g["kernel"]], "y": [g["n"], g["oc"], *g["output"]]}
        roles = {"forward": "xw", "gradInput": "yw", "gradWeight": "yx"}[task["direction"]]
        a, b = (torch.from_numpy(numpy.frombuffer(data, numpy.float32).reshape(shapes[role])) for data, role in zip(arrays, roles))
        pad = g["padLo"]
        spans = [(k - 1) * d + 1 for k, d in zip(g["kernel"], g["dilation"])]
        symmetric = [(i + 2 * p - s) // t + 1 for i, p, s, t in zip(g["input"], pad, spans, g["stride"])] == g["output"]
        # Left to itself PyTorch gives 1×1 kernels on one thread to BLAS; oneDNN is several times faster there, and it is measured at its best.
        if task["direction"] == "forward":
            after = (g["stride"], g["dilation"], g["groups"])
            if symmetric:
                self.call = lambda: torch.mkldnn_convolution(a, b, None, pad, *after)
            else:
                margins = [m for lo, hi in reversed(list(zip(pad, g["padHi"]))) for m in (lo, hi)]
                self.call = lambda: torch.mkldnn_convolution(torch.nn.functional.pad(a, margins), b, None, [0] * len(pad), *after)
            return
        options = (g["stride"], pad, g["dilation"], False, [0] * len(pad), g["groups"])
        if not symmetric:
            raise ValueError("uneven padding has no single gradient call")
        backward = torch.ops.aten.convolution_backward
        if task["direction"] == "gradInput":
            like = torch.zeros(shapes["x"])
            self.call = lambda: backward(a, like, b, None, *options, [True, False, False])[0]
        else:
            like = torch.zeros(shapes["w"])
            self.call = lambda: backward(a, b, like, None, *options, [False, True, False])[1]

    def run(self):
        self.result = self.call()

    def read(self):
        return self.result.contiguous().numpy()


class Net(torch.nn.Module):
    """A network in the operators of ONNX, as lower.ts writes it."""

    def __init__(self, graph, arrays):
        super().__init__()
        self.graph = graph
        for i, (weight, data) in enumerate(zip(graph["weights"], arrays)):
            self.register_buffer(f"w{i}", torch.from_numpy(numpy.frombuffer(data, numpy.float32).reshape(weight["shape"])))

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
    """Traced, frozen and optimised for inference: normalisation folded, weights in oneDNN's layouts."""

    def __init__(self, task, arrays):
        graph = task["graph"]
        self.x = torch.from_numpy(numpy.frombuffer(arrays[0], numpy.float32).reshape(graph["input"]["shape"]))
        start = time.perf_counter()
        with torch.no_grad():
            traced = torch.jit.trace(Net(graph, arrays[1:]).eval(), self.x, check_trace=False)
            self.net = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
            self.run()
        self.start_ms = (time.perf_counter() - start) * 1000

    def run(self):
        self.result = self.net(self.x)

    def read(self):
        return self.result.to_dense().contiguous().numpy() if self.result.is_mkldnn else self.result.contiguous().numpy()


class Train:
    """A training step of LeNet-5: relu, max pooling, cross-entropy, Adam."""

    def __init__(self, task, arrays):
        nn = torch.nn
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )  # fmt: skip
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.x = torch.from_numpy(numpy.frombuffer(arrays[0], numpy.float32).reshape(task["batch"], 1, 28, 28))
        self.labels = torch.from_numpy(numpy.frombuffer(arrays[1], numpy.int32).astype(numpy.int64))
        self.losses = []

    def run(self):
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.net(self.x), self.labels)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def read(self):
        return numpy.array([self.losses[0], self.losses[-1]], numpy.float32)


def timed(prepared, min_ms, min_calls):
    times = []
    end = time.perf_counter() + min_ms / 1000
    while len(times) < min_calls or time.perf_counter() < end:
        start = time.perf_counter()
        prepared.run()
        times.append((time.perf_counter() - start) * 1000)
    return numpy.array(times)


def answer(header, arrays):
    global prepared
    if header["ask"] == "prepare":
        prepared = None
        task = header["task"]
        prepared = {"layer": Layer, "network": Network, "train": Train}[task["kind"]](task, arrays)
        send({"say": "ready", **({"startMs": prepared.start_ms} if isinstance(prepared, Network) else {})})
    elif header["ask"] == "run":
        with torch.set_grad_enabled(isinstance(prepared, Train)):
            send({"say": "times"}, timed(prepared, header["minMs"], header["minCalls"]))
    else:
        send({"say": "result"}, prepared.read())


prepared = None
send({"say": "hello", "version": torch.__version__})
while True:
    request = receive()
    try:
        answer(*request)
    except Exception as error:
        send({"say": "declined", "reason": str(error).splitlines()[0]})
