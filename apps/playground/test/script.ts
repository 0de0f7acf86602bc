// Which words of a text are English although its language is Chinese.

/** Names and symbols that Chinese texts keep: of products, files, functions, units and types. */
const NAMES = [
  "Conv|PyTorch|LeNet|MNIST|[Gg]oogle|[Ss]wift[Ss]hader|Vulkan|Subzero|LLVM|Device",
  "CPU|GPU|WebGPU|WebAssembly|SIMD|safetensors|float32|F32|I64|BF16|NaN",
  "Adam|AdamW|SGD|RMSprop|Adagrad|Lion|LAMB",
  "ReLU6?|leaky ReLU|softmax|sigmoid|tanh|SiLU|ELU|SELU|GELU|hard sigmoid|hard swish|exp",
  "Page Up|Page Down|random|trained|file|EN",
].join("|");

const ALLOWED = new RegExp(`(?<![A-Za-z])(${NAMES})(?![A-Za-z])`, "g");

/**
 * Words of two or more Latin letters, without names. Digits, dots or inner capitals mark the names of
 * layers, tensors and parameters of the address (`c1.weight`, `layer1.0`, `padLo`).
 */
export function foreignWords(text: string): string[] {
  const plain = text
    .replaceAll(/[A-Za-z_]\w*([./]\w+)+|[A-Za-z_]+\d\w*|(?<![A-Za-z])[a-z]+[A-Z]\w*/g, " ")
    .replaceAll(ALLOWED, " ");
  return plain.match(/[A-Za-z]{2,}/g) ?? [];
}
