// What a training step is here: which networks, how they are updated, and that cross-entropy is
// what they minimize.

import { adam, sgd, type Optimizer } from "@conv/layers";

export const trainedNames: readonly string[] = ["lenet5", "resnet18", "resnet50"];

/**
 * Adam (learning rate 0.001) for LeNet-5; stochastic gradient descent (0.01, momentum 0.9) for
 * networks of ImageNet.
 */
export const optimizerOf = (model: string): Optimizer =>
  model === "lenet5" ? adam() : sgd({ lr: 0.01, momentum: 0.9 });
