"""Makes space.json: what PyTorch and torchvision answer for kinds of convolution, padding, upsampling and unpooling, as layers of @conv/layers.

Run as make.py and layers.py, of whose helpers it makes use: /usr/bin/python3 space.py
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from layers import Function, layer
from make import save


class Separable(nn.Module):
    def __init__(self, ic, multiplier, oc, kernel, **options):
        super().__init__()
        self.depthwise = nn.Conv2d(ic, ic * multiplier, kernel, groups=ic, bias=False, **options)
        self.pointwise = nn.Conv2d(ic * multiplier, oc, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Flipped(nn.Conv2d):
    """Convolution as mathematics has it."""

    def forward(self, x):
        return F.conv2d(x, self.weight.flip(2, 3), self.bias, self.stride, self.padding, self.dilation, self.groups)


class Sized(nn.ConvTranspose2d):
    def __init__(self, *args, size, **options):
        super().__init__(*args, **options)
        self.size = size

    def forward(self, x):
        return super().forward(x, self.size)


class Deform(nn.Module):
    def __init__(self, ic, oc, kernel, offset_groups=1, groups=1, modulated=True, **geometry):
        super().__init__()
        taps = offset_groups * kernel[0] * kernel[1]
        self.weight = nn.Parameter(torch.empty(oc, ic // groups, *kernel))
        self.bias = nn.Parameter(torch.empty(oc))
        self.geometry = geometry
        self.mask = nn.Conv2d(ic, taps, kernel, **geometry) if modulated else None
        self.offset = nn.Conv2d(ic, 2 * taps, kernel, **geometry)

    def forward(self, x):
        mask = 2 * torch.sigmoid(self.mask(x)) if self.mask else None
        return deform_conv2d(x, self.offset(x), self.weight, self.bias, mask=mask, **self.geometry)


class Unpool(nn.Module):
    def __init__(self, rank, inner, *args, **options):
        super().__init__()
        self.pool = getattr(nn, f"MaxPool{rank}d")(*args, return_indices=True, **options)
        self.unpool = getattr(nn, f"MaxUnpool{rank}d")(*args, **options)
        self.inner = inner

    def forward(self, x):
        y, indices = self.pool(x)
        return self.unpool(self.inner(y), indices, x.shape[2:])


def up(args, *shape, **options):
    return layer("upsample", [args], nn.Upsample(**options), *shape)


def make_space():
    torch.manual_seed(8)
    save("space", [
        *[
            layer("conv2d", [3, [3, 2], {"padding": [2, 1], "paddingMode": mode, "stride": [1, 2]}],
                  nn.Conv2d(2, 3, (3, 2), (1, 2), (2, 1), padding_mode=mode), 2, 2, 4, 5)
            for mode in ("zeros", "reflect", "replicate", "circular")
        ],
        layer("conv1d", [2, 4, {"padding": "same-pytorch", "paddingMode": "reflect", "dilation": 2}],
              nn.Conv1d(2, 2, 4, padding="same", padding_mode="reflect", dilation=2), 1, 2, 8),
        layer("conv3d", [1, 2, {"padding": 1, "paddingMode": "circular"}], nn.Conv3d(1, 1, 2, padding=1, padding_mode="circular"), 1, 1, 2, 3, 2),
        layer("conv2d", [4, [3, 2], {"flipKernel": True, "groups": 2, "padding": 1}], Flipped(2, 4, (3, 2), padding=1, groups=2), 1, 2, 4, 3),
        layer("depthwiseConv2d", [[2, 3], {"depthMultiplier": 2, "stride": 2, "padding": 1}], nn.Conv2d(3, 6, (2, 3), 2, 1, groups=3), 2, 3, 5, 4),
        layer("depthwiseConv1d", [3, {"dilation": 2}], nn.Conv1d(2, 2, 3, dilation=2, groups=2), 1, 2, 7),
        layer("pointwiseConv2d", [3], nn.Conv2d(2, 3, 1), 2, 2, 3, 2),
        layer("separableConv2d", [3, 3, {"depthMultiplier": 2, "padding": 1, "stride": 2}], Separable(2, 2, 3, 3, padding=1, stride=2), 1, 2, 5, 5),
        layer("convTranspose2d", [3, 3, {"stride": 2, "padding": 1, "outputSize": [6, 5]}], Sized(2, 3, 3, 2, 1, size=(6, 5)), 1, 2, 3, 3),
        layer("convTranspose2d", [4, [2, 3], {"stride": 3, "groups": 2, "dilation": [1, 2], "outputPadding": [1, 2], "bias": False}],
              nn.ConvTranspose2d(2, 4, (2, 3), 3, 0, (1, 2), 2, False, (1, 2)), 1, 2, 2, 3),
        *[layer("pad2d", [[[1, 2], [2, 0]], mode], Function(lambda x, mode=mode: F.pad(x, (2, 0, 1, 2), mode if mode != "zeros" else "constant")), 1, 2, 3, 4)
          for mode in ("zeros", "reflect", "replicate", "circular")],
        layer("pad1d", [3, "reflect"], nn.ReflectionPad1d(3), 2, 1, 4),
        layer("pad3d", [1, "replicate"], nn.ReplicationPad3d(1), 1, 1, 2, 1, 3),
        up({"scaleFactor": 2}, 1, 2, 3, 2, scale_factor=2),
        up({"size": [5, 7]}, 1, 1, 3, 4, size=(5, 7)),
        up({"size": 2}, 1, 1, 5, size=2),
        up({"scaleFactor": 2, "mode": "linear"}, 1, 2, 3, 4, scale_factor=2, mode="bilinear"),
        up({"scaleFactor": 3, "mode": "linear"}, 1, 1, 4, scale_factor=3, mode="linear"),
        up({"scaleFactor": 1.5, "mode": "linear"}, 1, 1, 5, 4, scale_factor=1.5, mode="bilinear"),
        up({"size": [2, 7], "mode": "linear"}, 1, 1, 5, 4, size=(2, 7), mode="bilinear"),
        up({"size": [6, 1], "mode": "linear", "alignCorners": True}, 1, 1, 3, 4, size=(6, 1), mode="bilinear", align_corners=True),
        up({"scaleFactor": 2, "mode": "linear", "alignCorners": True}, 1, 2, 3, 4, scale_factor=2, mode="bilinear", align_corners=True),
        up({"scaleFactor": 2, "mode": "linear"}, 1, 1, 2, 3, 2, scale_factor=2, mode="trilinear"),
        layer("pixelShuffle", [2], nn.PixelShuffle(2), 1, 8, 2, 3),
        layer("pixelUnshuffle", [3], nn.PixelUnshuffle(3), 1, 2, 3, 6),
        layer("maxUnpool1d", [2, {"layer": "tanh", "args": []}], Unpool(1, nn.Tanh(), 2), 2, 2, 7),
        layer("maxUnpool2d", [[2, 3], {"layer": "conv2d", "args": [2, 1]}], Unpool(2, nn.Conv2d(2, 2, 1), (2, 3)), 1, 2, 5, 6),
        layer("maxUnpool3d", [2, {"layer": "tanh", "args": []}, {"stride": 3, "padding": 1}], Unpool(3, nn.Tanh(), 2, stride=3, padding=1), 1, 1, 5, 5, 5),
        layer("deformConv2d", [2, [2, 3], {"padding": 1}], Deform(2, 2, (2, 3), padding=1), 1, 2, 4, 5),
        layer("deformConv2d", [4, 3, {"padding": 1, "stride": 2, "groups": 2, "offsetGroups": 2}],
              Deform(4, 4, (3, 3), 2, 2, padding=1, stride=2), 2, 4, 5, 4),
        layer("deformConv2d", [2, 2, {"dilation": 2, "modulated": False}], Deform(1, 2, (2, 2), modulated=False, dilation=2), 1, 1, 5, 5),
    ])


if __name__ == "__main__":
    make_space()
