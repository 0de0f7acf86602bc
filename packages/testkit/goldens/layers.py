"""Makes layers.json: what PyTorch's modules answer, for layers of @conv/layers by the name and arguments that these have there.

Run as make.py, of whose helpers it makes use: /usr/bin/python3 layers.py
"""

import json

import torch
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle
from torchvision.ops import SqueezeExcitation

from make import array, arrays, draw, save


class Function(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.forward = f


def tensor_of(name, t):
    """First values: variances positive, counts as they are in the middle of a training."""
    if not t.is_floating_point():
        return torch.full_like(t, 6)
    x = draw(*t.shape, scale=0.5)
    return x**2 + 0.25 if name.endswith("running_var") else x


def layer(name, args, module, *shape, training=False, digits=2, scale=1.0):
    module.train(training)
    module.load_state_dict({k: tensor_of(k, v) for k, v in module.state_dict().items()})
    state = {k: array(v) for k, v in module.state_dict().items()}
    x = draw(*shape, digits=digits, scale=scale).requires_grad_()
    params = dict(module.named_parameters())
    y = module(x)
    dy = draw(*y.shape)
    dx, *rest = torch.autograd.grad(y, [x, *params.values()], dy)
    after = {k: array(v) for k, v in module.named_buffers()} if training else {}
    title = f"{name}({', '.join(json.dumps(a) for a in args)}) of {'x'.join(map(str, shape))}{', training' if training else ''}"
    row = {"name": title, "layer": name, "args": args, "training": training, "state": state, **arrays(x=x, y=y, dy=dy, dx=dx)}
    return {**row, "gradients": {k: array(v) for k, v in zip(params, rest)}, "after": after}


def make_layers():
    torch.manual_seed(6)
    save("layers", [
        layer("prelu", [], nn.PReLU(), 2, 3, 4),
        layer("prelu", [{"perChannel": True}], nn.PReLU(3), 2, 3, 2, 2),
        layer("softmax", [2], nn.Softmax(2), 2, 2, 3),
        layer("localResponseNorm", [5, {"alpha": 0.5, "k": 2}], nn.LocalResponseNorm(5, 0.5, 0.75, 2), 2, 7, 2, 3),
        layer("localResponseNorm", [2, {"alpha": 2, "beta": 0.5}], nn.LocalResponseNorm(2, 2, 0.5), 1, 3, 4),
        layer("localResponseNorm", [9], nn.LocalResponseNorm(9), 1, 4, 2, 2, 2),
        layer("layerNorm", [], nn.LayerNorm([3, 2, 2]), 2, 3, 2, 2),
        layer("layerNorm", [4, {"eps": 0.1}], nn.LayerNorm(4, 0.1), 2, 3, 4),
        layer("layerNorm", [[2, 3], {"affine": False}], nn.LayerNorm([2, 3], elementwise_affine=False), 2, 2, 2, 3),
        layer("groupNorm", [2], nn.GroupNorm(2, 4), 2, 4, 3, 2),
        layer("groupNorm", [1, {"eps": 0.01}], nn.GroupNorm(1, 3, 0.01), 2, 3, 4),
        layer("groupNorm", [3, {"affine": False}], nn.GroupNorm(3, 6, affine=False), 2, 6, 2),
        layer("instanceNorm1d", [], nn.InstanceNorm1d(3), 2, 3, 4),
        layer("instanceNorm2d", [{"affine": True, "eps": 0.01}], nn.InstanceNorm2d(3, 0.01, affine=True), 2, 3, 2, 3),
        layer("instanceNorm2d", [{"trackRunningStats": True}], nn.InstanceNorm2d(2, track_running_stats=True), 3, 2, 2, 2),
        layer("instanceNorm3d", [{"affine": True, "trackRunningStats": True, "momentum": 0.3}], nn.InstanceNorm3d(2, 1e-5, 0.3, True, True), 2, 2, 2, 2, 2, training=True),
        layer("batchNorm2d", [{"affine": False}], nn.BatchNorm2d(2, affine=False), 2, 2, 2, 2),
        layer("batchNorm2d", [{"affine": False}], nn.BatchNorm2d(2, affine=False), 2, 2, 2, 2, training=True),
        layer("batchNorm1d", [{"trackRunningStats": False}], nn.BatchNorm1d(3, track_running_stats=False), 4, 3),
        layer("batchNorm2d", [{"momentum": None}], nn.BatchNorm2d(2, momentum=None), 2, 2, 2, 2, training=True),
        layer("channelShuffle", [3], Function(lambda x: channel_shuffle(x, 3)), 1, 6, 2, 2),
        layer("squeezeExcitation", [2], SqueezeExcitation(4, 2), 2, 4, 3, 2),
        layer("avgPool2d", [3, {"stride": 2, "ceilMode": True}], nn.AvgPool2d(3, 2, ceil_mode=True), 1, 2, 6, 8),
        layer("avgPool2d", [[2, 3], {"stride": 2, "padding": 1, "ceilMode": True}], nn.AvgPool2d((2, 3), 2, 1, ceil_mode=True), 1, 1, 5, 6),
        layer("avgPool2d", [3, {"stride": 2, "padding": 1, "ceilMode": True, "countIncludePad": False}], nn.AvgPool2d(3, 2, 1, True, False), 1, 1, 6, 5),
        layer("avgPool1d", [3, {"stride": 3, "padding": 1, "ceilMode": True}], nn.AvgPool1d(3, 3, 1, True), 1, 2, 9),
        layer("avgPool2d", [2, {"divisorOverride": 3}], nn.AvgPool2d(2, divisor_override=3), 1, 1, 4, 5),
        layer("avgPool3d", [2, {"stride": 1, "ceilMode": True, "divisorOverride": 5}], nn.AvgPool3d(2, 1, ceil_mode=True, divisor_override=5), 1, 1, 3, 2, 3),
        layer("lpPool2d", [2, 2], nn.LPPool2d(2, 2), 1, 2, 4, 5),
        layer("lpPool1d", [4, 3, {"stride": 2}], nn.LPPool1d(4, 3, 2), 1, 2, 7),
        layer("lpPool2d", [1, [2, 3]], Function(lambda x: nn.LPPool2d(1, (2, 3))(x.abs())), 1, 1, 4, 6),
        layer("lpPool2d", [3, 2, {"stride": 1}], Function(lambda x: nn.LPPool2d(3, 2, 1)(x.abs())), 1, 1, 3, 3),
        layer("adaptiveMaxPool1d", [3], nn.AdaptiveMaxPool1d(3), 1, 2, 7, digits=1, scale=0.3),
        layer("adaptiveMaxPool2d", [[3, 4]], nn.AdaptiveMaxPool2d((3, 4)), 1, 2, 5, 7, digits=0),
        layer("adaptiveMaxPool2d", [2], nn.AdaptiveMaxPool2d(2), 1, 1, 4, 6, digits=0),
        layer("adaptiveMaxPool3d", [[2, 2, 3]], nn.AdaptiveMaxPool3d((2, 2, 3)), 1, 1, 4, 5, 3, digits=0),
        layer("globalAvgPool", [], Function(lambda x: x.mean((2, 3))), 2, 3, 2, 3),
        layer("globalMaxPool", [{"keepDims": True}], Function(lambda x: x.amax((2, 3, 4), True)), 2, 2, 2, 1, 3),
    ])


if __name__ == "__main__":
    make_layers()
