// What each kind of work takes, in nanoseconds, in the order of `kinds` (fitted.ts), and last each call: written by `pnpm bench fit --write`.
// plain: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 258 cases of `bench fit`.
// simd256: Intel(R) Xeon(R) Processor, one thread, Node 24.21.0, 2026-11-22, 191 cases of `bench fit --simd256`.

type Costs = Readonly<Record<string, readonly number[]>>;

export const costs: Readonly<Record<"plain" | "simd256", Costs>> = {
  plain: {
    igemm: [0.0483, 0, 0.0903, 0.491, 0, 0, 6.2, 671],
    direct: [0.0449, 0, 0.359, 0.452, 0, 0, 0, 698],
    depthwise: [0.0747, 0, 0, 0.143, 0, 0, 1.68, 1340],
    thinConv: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
    winograd2d4: [0.0508, 0.232, 0.285, 0.275, 0.16, 0, 17, 515],
    winograd2d6: [0.0283, 1.7, 0.0314, 0.289, 0.109, 0, 35.8, 830],
    winograd2d8: [0, 3.13, 0, 0.445, 0.24, 0, 68.4, 0],
    winograd1d6: [0.0432, 0.58, 0.257, 0.193, 0.219, 0.0135, 11.5, 846],
    winograd1d8: [0.0436, 0.551, 0.232, 0.262, 0.255, 0.0292, 14.7, 704],
    fft: [0.0456, 0, 1.29, 0.44, 0.0626, 0.0476, 59, 3000],
    gradWeight: [0.0468, 0, 0.159, 0.368, 0, 0.0481, 7.41, 693],
    depthwiseGradWeight: [0.13, 0.5, 0.25, 0.3, 0, 0, 5, 2000],
    winogradGradWeight2d4: [0, 2.89, 0.393, 0.325, 0.109, 0.0425, 4.44, 518],
    winogradGradWeight2d6: [0.066, 0, 0, 0.546, 0.132, 0, 14.9, 1710],
    winogradGradWeight2d8: [0, 2.91, 0, 0.503, 1, 0.0336, 16.1, 355],
    winogradGradWeight1d6: [0.00679, 2.7, 0.551, 0.185, 0.202, 0, 3.65, 934],
    winogradGradWeight1d8: [0.0563, 0, 0.349, 0.355, 0.581, 0.034, 3.2, 838],
    matmul: [0.0158, 1.48, 0.123, 0.158, 0, 0, 11.6, 375],
    thinMatmul: [0.0402, 0.223, 0, 0, 0, 0.00584, 0, 506],
  },
  simd256: {
    igemm: [0.0233, 0, 0.0891, 0.538, 0, 0.0098, 7.54, 1350],
    direct: [0.0353, 0, 0.0548, 0.326, 0, 0.0591, 1.69, 1280],
    depthwise: [0.0408, 0.151, 0.749, 0, 0, 0, 3.07, 1100],
    thinConv: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
    winograd2d4: [0, 2.56, 1.06, 0.135, 0.00258, 0.0182, 9.85, 0],
    winograd2d6: [0, 2.91, 0.395, 0.218, 0, 0.0405, 22.1, 0],
    winograd2d8: [0, 3.66, 0.617, 0.261, 0.00686, 0.00799, 36, 0],
    winograd1d6: [0.0267, 0, 0.614, 0.215, 0, 0.0148, 8.65, 2520],
    winograd1d8: [0, 2.5, 0.936, 0.163, 0, 0.0338, 10.3, 0],
    fft: [0.0456, 0, 1.29, 0.44, 0.0626, 0.0476, 59, 3000],
    gradWeight: [0.0237, 0, 0.285, 0.43, 0, 0.0557, 0, 421],
    depthwiseGradWeight: [0.13, 0.5, 0.25, 0.3, 0, 0, 5, 2000],
    winogradGradWeight2d4: [0, 2.31, 0.254, 0.477, 0.659, 0, 8.39, 2220],
    winogradGradWeight2d6: [0.012, 2.83, 0.358, 0.417, 0, 0, 14.7, 5870],
    winogradGradWeight2d8: [0, 4.93, 1.03, 0, 0.153, 0, 26.6, 0],
    winogradGradWeight1d6: [0.00706, 1.26, 0, 0.532, 0.868, 0.0661, 3.11, 4750],
    winogradGradWeight1d8: [0, 2.07, 0.736, 0.339, 0.734, 0.0627, 3.26, 1120],
    matmul: [0.0235, 0, 0.258, 0.255, 0, 0, 7.69, 0],
    thinMatmul: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
  },
};
