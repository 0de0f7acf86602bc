// Squeeze and excitation: Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018, with
// torchvision's names.

import { mul } from "@conv/ops";
import { checkOptions } from "@conv/tensor";
import { relu, sigmoid } from "../layers/activation.ts";
import { conv2d } from "../layers/conv.ts";
import type { Init } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";

export interface SqueezeExcitationOptions {
  /** Between the two convolutions. Default: relu. */
  readonly activation?: Layer | undefined;
  /** Activation of the factors of the channels. Default: sigmoid; MobileNetV3 uses hardSigmoid. */
  readonly scaleActivation?: Layer | undefined;
  /** Initializer of both convolutions. Default: {@link pytorch}. */
  readonly init?: Init | undefined;
}

/**
 * x · scaleActivation(fc2(activation(fc1(mean of each map)))): x (n, c, h, w) → the same shape.
 * Parts fc1 and fc2: 1×1 convolutions from c to `squeezeChannels` channels, and from these to c.
 */
export function squeezeExcitation(
  squeezeChannels: number,
  options: SqueezeExcitationOptions = {},
): Layer {
  checkOptions("squeezeExcitation", options, "activation scaleActivation init");
  const { activation = relu(), scaleActivation = sigmoid(), init } = options;
  const [avgpool, fc1] = [adaptiveAvgPool2d(1), conv2d(squeezeChannels, 1, { init })];
  const back = new Map<number, Layer>(); // to so many channels
  return {
    type: "squeezeExcitation",
    forward(x, ctx) {
      const channels = x.shape[1];
      const fc2 = back.get(channels) ?? conv2d(channels, 1, { init });
      back.set(channels, fc2);
      const squeezed = ctx.child(
        "activation",
        activation,
        ctx.child("fc1", fc1, ctx.child("avgpool", avgpool, x)),
      );
      return mul(
        x,
        ctx.child("scale_activation", scaleActivation, ctx.child("fc2", fc2, squeezed)),
      );
    },
  };
}
