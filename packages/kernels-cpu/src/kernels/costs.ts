// What each kind of work takes, in nanoseconds, in the order of `kinds` (fitted.ts), and last each call: written by `pnpm bench fit --write`.
// plain: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 439 cases of `bench fit`.
// simd256: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 354 cases of `bench fit --simd256`.

type Costs = Readonly<Record<string, readonly number[]>>;

export const costs: Readonly<Record<"plain" | "simd256", Costs>> = {
  plain: {
    igemm: [0.0494, 0, 0.0644, 0.417, 0, 0, 9.07, 692],
    direct: [0.043, 0, 0.203, 0.292, 0, 0.0374, 0.0524, 686],
    depthwise: [0.0691, 0.0239, 0.021, 0.182, 0, 0, 1.07, 369],
    thinConv: [0.0553, 0.262, 0, 0, 0, 0, 4.97, 700],
    winograd2d4: [0.0258, 1.67, 0.459, 0.139, 0.108, 0, 15.6, 402],
    winograd2d6: [0.00718, 2.9, 0.136, 0.149, 0.0577, 0.00549, 35.4, 902],
    winograd2d8: [0, 3.47, 0.101, 0.277, 0.222, 0, 68.3, 0],
    winograd1d6: [0.0329, 1.23, 0.356, 0.105, 0.227, 0.0092, 10.7, 894],
    winograd1d8: [0.0345, 1.19, 0.227, 0.167, 0.373, 0.0183, 13.6, 714],
    fft: [0.04, 0, 0.47, 1, 0.08, 0.17, 0, 3000],
    gradWeight: [0.0473, 0, 0.229, 0.0933, 0, 0.0376, 6.84, 761],
    depthwiseGradWeight: [0, 3.21, 0.222, 0, 0, 0, 0, 434],
    winogradGradWeight2d4: [0, 2.65, 0.657, 0.357, 0.196, 0.0299, 6.55, 471],
    winogradGradWeight2d6: [0.0626, 0, 0.0545, 0.564, 0.244, 0, 15.2, 1820],
    winogradGradWeight2d8: [0, 2.32, 0.36, 0.469, 0.986, 0.058, 11.5, 0],
    winogradGradWeight1d6: [0.00396, 2.67, 0.625, 0.253, 0.307, 0.0211, 3.15, 873],
    winogradGradWeight1d8: [0.0536, 0, 0.481, 0.405, 0.65, 0.0209, 3.79, 888],
    matmul: [0.0122, 1.67, 0.19, 0.182, 0, 0, 10.3, 137],
    thinMatmul: [0.0371, 0.279, 0, 0, 0, 0.00842, 0, 303],
  },
  simd256: {
    igemm: [0.0254, 0, 0.142, 0.468, 0, 0.00749, 4.18, 1120],
    direct: [0.0415, 0, 0.183, 0.399, 0, 0.0466, 0, 1040],
    depthwise: [0.0462, 0.202, 0.658, 0, 0, 0, 2.46, 898],
    thinConv: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
    winograd2d4: [0, 3.01, 0.81, 0.186, 0.0503, 0.0371, 11.7, 1590],
    winograd2d6: [0, 3.3, 0.428, 0.263, 0, 0.0416, 22.2, 907],
    winograd2d8: [0, 3.98, 0.792, 0.185, 0, 0.0351, 37.6, 0],
    winograd1d6: [0.0191, 1.04, 0.564, 0.257, 0, 0.0328, 8.93, 1320],
    winograd1d8: [0, 3.11, 0.556, 0.231, 0, 0.0315, 13.8, 808],
    fft: [0.028, 0, 0.47, 1, 0.08, 0.2, 0, 3000],
    gradWeight: [0.0259, 0, 0.308, 0, 0, 0.0179, 3.97, 910],
    depthwiseGradWeight: [0.0752, 0, 0.235, 0, 0, 0, 0, 894],
    winogradGradWeight2d4: [0, 2.86, 0.7, 0.311, 0.601, 0.00299, 8.72, 987],
    winogradGradWeight2d6: [0.0132, 3.11, 0.622, 0.326, 0, 0, 15.5, 2370],
    winogradGradWeight2d8: [0, 4.62, 1, 0, 0.546, 0.00509, 27.3, 0],
    winogradGradWeight1d6: [0.0114, 1.08, 0.375, 0.445, 0.926, 0.0471, 4.01, 555],
    winogradGradWeight1d8: [0, 2.23, 0.587, 0.361, 0.977, 0.0624, 3.75, 390],
    matmul: [0, 2.28, 0.2, 0.211, 0, 0, 10.4, 897],
    thinMatmul: [0.031, 0.34, 0, 0, 0, 0, 20.1, 616],
  },
};
