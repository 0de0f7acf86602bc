"""Makes networks.json and networkGradients.json: what PyTorch answers for the networks of @conv/layers/models, those of torchvision and a few that it lacks.

Run as make.py, of whose helpers it makes use: /usr/bin/python3 networks.py

All weights are a function of their name and place, so that the test makes the same; PyTorch computes in float64. A row has the SHA-256 of
the lines `name shape` of the state, in its order, for networks of torchvision; and some outputs, unless the weights are too many for a test.
"""

import hashlib
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv
from torchvision.models.googlenet import Inception

from make import number, save

OUTPUTS = 20


def scramble(name, count):
    """Numbers in [0, 1) by name and position: layers/test/published.ts makes the same."""
    key = 0x811C9DC5
    for byte in name.encode():
        key = ((key ^ byte) * 0x01000193) % 2**32
    x = (np.arange(1, count + 1, dtype=np.uint64) * 0x9E3779B1) % 2**32 ^ key
    x = ((x ^ (x >> np.uint64(15))) * 0x85EBCA6B) % 2**32
    return torch.from_numpy((x >> np.uint64(8)).astype(np.float64) / 2**24)


def weights_of(name, t):
    u = scramble(name, t.numel()).reshape(t.shape)
    if name.endswith("num_batches_tracked"):
        return t
    if t.dim() > 1:
        return (2 * u - 1) * math.sqrt(6 / t[0].numel())
    return u + 0.5 if name.endswith(("weight", "running_var")) else 0.4 * u - 0.2


def row(name, model, shape, published):
    """`shape` is that of one sample, or None; `published`: whether the names of the tensors are torchvision's."""
    state = model.state_dict()
    result = {"name": name}
    if published:
        listed = "".join(f"{k} {'x'.join(map(str, v.shape))}\n" for k, v in state.items())
        result["state"] = hashlib.sha256(listed.encode()).hexdigest()
    if shape:
        model.load_state_dict({k: weights_of(k, v) for k, v in state.items()})
        x = 2 * scramble("x", math.prod(shape)).reshape(1, *shape) - 1
        with torch.no_grad():
            y = model.eval()(x)
        y = (y["out"] if isinstance(y, dict) else y).flatten()
        step = max(1, len(y) // OUTPUTS)
        result |= {"input": shape, "step": step, "outputs": [number(v) for v in y[::step][:OUTPUTS].tolist()]}
    print(name, "of", sum(p.numel() for p in model.parameters()), "parameters")
    return result


def step(name, model, shape, every):
    """Training, two samples of class 3 and 7: the cross-entropy, the norm of its gradient by every so many-th tensor, and a statistic after it."""
    model.load_state_dict({k: weights_of(k, v) for k, v in model.state_dict().items()})
    x = 2 * scramble("x", 2 * math.prod(shape)).reshape(2, *shape) - 1
    loss = F.cross_entropy(model.train()(x), torch.tensor([3, 7]))
    loss.backward()
    norms = [[k, number(p.grad.norm().item())] for k, p in list(model.named_parameters())[::every]]
    running = [[k, number(b.norm().item())] for k, b in list(model.named_buffers())[::-1] if k.endswith("running_var")][:1]
    return {"name": name, "input": shape, "loss": number(loss.item()), "norms": norms, "after": running}


# ---- what torchvision lacks; names as in @conv/layers/models -------------------------------------------------------------

def named(**parts):
    """One after the other, those without parameters under any name."""
    model = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    return model


def nin():
    def mlpconv(ic, widths, kernel, **options):
        layers = [nn.Conv2d(ic, widths[0], kernel, **options), nn.ReLU()]
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Conv2d(a, b, 1), nn.ReLU()]
        return nn.Sequential(*layers)

    return named(
        mlpconv1=mlpconv(3, [96, 96, 96], 11, stride=4), pool1=nn.MaxPool2d(3, 2),
        mlpconv2=mlpconv(96, [256, 256, 256], 5, padding=2), pool2=nn.MaxPool2d(3, 2),
        mlpconv3=mlpconv(256, [384, 384, 384], 3, padding=1), pool3=nn.MaxPool2d(3, 2),
        mlpconv4=mlpconv(384, [1024, 1024, 1000], 3, padding=1), pool4=nn.AdaptiveAvgPool2d(1),
    )


def mobilenet_v1():
    def unit(ic, oc, kernel, stride=1, groups=1):
        return nn.Sequential(nn.Conv2d(ic, oc, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(oc), nn.ReLU())

    layers, ic = [unit(3, 32, 3, 2)], 32
    for oc, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        layers.append(nn.Sequential(unit(ic, ic, 3, stride, ic), unit(ic, oc, 1)))
        ic = oc
    return named(features=nn.Sequential(*layers), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), classifier=nn.Linear(1024, 1000))


def alexnet_2012(features):
    """`features`: how many the first linear layer sees, which depends on the image."""
    def lrn():
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)

    return named(
        conv1=nn.Conv2d(3, 96, 11, 4), relu1=nn.ReLU(), norm1=lrn(), pool1=nn.MaxPool2d(3, 2),
        conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2), relu2=nn.ReLU(), norm2=lrn(), pool2=nn.MaxPool2d(3, 2),
        conv3=nn.Conv2d(256, 384, 3, padding=1), relu3=nn.ReLU(),
        conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2), relu4=nn.ReLU(),
        conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2), relu5=nn.ReLU(), pool5=nn.MaxPool2d(3, 2), flat=nn.Flatten(),
        fc6=nn.Linear(features, 4096), relu6=nn.ReLU(), fc7=nn.Linear(4096, 4096), relu7=nn.ReLU(), fc8=nn.Linear(4096, 1000),
    )


class Up(nn.Module):
    """A level of a U-Net, `ic` channels to as many by way of `below`, which doubles them."""

    def __init__(self, ic, below):
        super().__init__()
        self.below = below
        self.up = nn.ConvTranspose2d(2 * ic, ic, 2, 2)
        self.conv1, self.conv2 = nn.Conv2d(2 * ic, ic, 3), nn.Conv2d(ic, ic, 3)

    def forward(self, x):
        y = self.up(self.below(x))
        top, left = (x.shape[2] - y.shape[2]) // 2, (x.shape[3] - y.shape[3]) // 2
        y = torch.cat([x[:, :, top : top + y.shape[2], left : left + y.shape[3]], y], 1)
        return F.relu(self.conv2(F.relu(self.conv1(y))))


def unet():
    def convs(ic, oc):
        return named(conv1=nn.Conv2d(ic, oc, 3), relu1=nn.ReLU(), conv2=nn.Conv2d(oc, oc, 3), relu2=nn.ReLU())

    def below(ic):
        down = convs(ic, 2 * ic)
        pooled = named(pool=nn.MaxPool2d(2), **dict(down.named_children()))
        return pooled if ic == 512 else named(down=pooled, level=Up(2 * ic, below(2 * ic)))

    return named(first=convs(1, 64), level=Up(64, below(64)), last=nn.Conv2d(64, 2, 1))


def googlenet_5x5():
    model = tv.googlenet(weights=None, aux_logits=False, init_weights=False)
    for module in model.modules():
        if isinstance(module, Inception):
            conv = module.branch3[1].conv
            module.branch3[1].conv = nn.Conv2d(conv.in_channels, conv.out_channels, 5, padding=2, bias=False)
    return model


if __name__ == "__main__":
    def published(ours, make, shape=None, **options):
        return row(ours, make(weights=None, **options), shape, True)

    save("networkGradients", [  # networks without dropout
        step("resnet18", tv.resnet18(weights=None), [3, 64, 64], 9),
        step("densenet121", tv.densenet121(weights=None), [3, 64, 64], 40),
        step("shufflenetV2", tv.shufflenet_v2_x1_0(weights=None), [3, 64, 64], 20),
        step("mobilenetV1", mobilenet_v1(), [3, 64, 64], 9),
    ])
    aux = {"init_weights": False}
    save("networks", [
        row("alexnet_2012", alexnet_2012(256), [3, 67, 67], False),
        published("alexnet", tv.alexnet, [3, 63, 63]),
        row("nin", nin(), [3, 67, 67], False),
        published("vgg11", tv.vgg11),
        published("vgg13", tv.vgg13),
        published("vgg16", tv.vgg16),
        published("vgg19", tv.vgg19),
        published("vgg11_bn", tv.vgg11_bn, [3, 32, 32]),
        published("vgg13_bn", tv.vgg13_bn),
        published("vgg16_bn", tv.vgg16_bn),
        published("vgg19_bn", tv.vgg19_bn),
        published("googlenet", tv.googlenet, [3, 64, 64], aux_logits=False, **aux),
        published("googlenet with heads", tv.googlenet, **aux),
        row("googlenet5x5", googlenet_5x5(), [3, 64, 64], False),
        published("inceptionV3", tv.inception_v3, **aux),
        published("inceptionV3 without its head", tv.inception_v3, [3, 75, 75], aux_logits=False, **aux),
        published("resnet18", tv.resnet18, [3, 64, 64]),
        published("resnet34", tv.resnet34),
        published("resnet50", tv.resnet50, [3, 64, 64]),
        published("resnet101", tv.resnet101),
        published("resnet152", tv.resnet152),
        published("resnext50_32x4d", tv.resnext50_32x4d, [3, 64, 64]),
        published("wideResnet50_2", tv.wide_resnet50_2),
        published("squeezenet1_0", tv.squeezenet1_0, [3, 63, 63]),
        published("squeezenet1_1", tv.squeezenet1_1, [3, 63, 63]),
        row("mobilenetV1", mobilenet_v1(), [3, 64, 64], False),
        published("mobilenetV2", tv.mobilenet_v2, [3, 64, 64]),
        published("mobilenetV3Small", tv.mobilenet_v3_small, [3, 64, 64]),
        published("mobilenetV3Large", tv.mobilenet_v3_large, [3, 64, 64]),
        published("shufflenetV2", tv.shufflenet_v2_x1_0, [3, 64, 64]),
        published("efficientnetB0", tv.efficientnet_b0, [3, 64, 64]),
        row("unet", unet(), [1, 188, 188], False),
        published("fcnResnet50", tv.segmentation.fcn_resnet50, [3, 48, 64], weights_backbone=None),
        published("fcnResnet50 with its head", tv.segmentation.fcn_resnet50, weights_backbone=None, aux_loss=True),
        published("deeplabV3Resnet50", tv.segmentation.deeplabv3_resnet50, [3, 48, 64], weights_backbone=None),
        published("deeplabV3Resnet50 with its head", tv.segmentation.deeplabv3_resnet50, weights_backbone=None, aux_loss=True),
        published("densenet121", tv.densenet121, [3, 64, 64]),
        published("r3d18", tv.video.r3d_18, [3, 8, 32, 32]),
    ])
