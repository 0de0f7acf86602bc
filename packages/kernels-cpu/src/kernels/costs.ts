// What each kind of work takes, in nanoseconds, in the order of `kinds` (fitted.ts), and last each call: written by `pnpm bench fit --write`.
// plain: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 439 cases of `bench fit`.
// simd256: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 265 cases of `bench fit --simd256`.

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
    igemm: [0.0258, 0, 0.119, 0.599, 0, 0.00648, 3.92, 716],
    direct: [0.0407, 0, 0.139, 0.389, 0, 0.0403, 0.115, 875],
    depthwise: [0.0412, 0.265, 0.607, 0, 0, 0, 2.32, 778],
    thinConv: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
    winograd2d4: [0, 3.08, 0.933, 0.149, 0.0364, 0.047, 9.97, 1070],
    winograd2d6: [0, 3.54, 0.31, 0.232, 0.0527, 0.0491, 21.6, 0],
    winograd2d8: [0, 4.31, 0.702, 0.193, 0, 0.0338, 35.8, 0],
    winograd1d6: [0.0305, 0, 0.609, 0.249, 0, 0.0464, 8.16, 720],
    winograd1d8: [0, 3.04, 0.652, 0.225, 0, 0.0522, 11.6, 225],
    fft: [0.028, 0, 0.47, 1, 0.08, 0.2, 0, 3000],
    gradWeight: [0.0253, 0, 0.309, 0, 0, 0.0372, 2.46, 852],
    depthwiseGradWeight: [0.0756, 0, 0.237, 0, 0, 0, 0, 940],
    winogradGradWeight2d4: [0, 2.4, 0.474, 0.424, 0.668, 0.043, 7.01, 627],
    winogradGradWeight2d6: [0, 4.39, 0.199, 0.482, 0, 0.02, 12.5, 10200],
    winogradGradWeight2d8: [0, 4.31, 0.903, 0, 0.84, 0.011, 26.3, 0],
    winogradGradWeight1d6: [0.0178, 0.451, 0.474, 0.422, 0.97, 0.0316, 4.58, 0],
    winogradGradWeight1d8: [0, 2.43, 0.802, 0.313, 0.835, 0.06, 3.72, 0],
    matmul: [0, 2.2, 0.223, 0.258, 0, 0, 10.9, 1140],
    thinMatmul: [0.0377, 0.295, 0, 0, 0, 0, 148, 0],
  },
};
