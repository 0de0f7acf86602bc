// What each kind of work takes, in nanoseconds, in the order of `kinds` (fitted.ts), and last each
// call: written by `pnpm bench fit --write`. plain: Intel(R) Xeon(R) Processor, one thread, Node
// 24.21.0, 2026-11-22, 439 cases of `bench fit`. simd256: Intel(R) Xeon(R) Processor, one thread,
// Node 24.21.0, 2026-11-22, 354 cases of `bench fit --simd256`.

type Costs = Readonly<Record<string, readonly number[]>>;

export const costs: Readonly<Record<"plain" | "simd256", Costs>> = {
  plain: {
    igemm: [0.049, 0, 0.064, 0.42, 0, 0, 9.1, 690],
    direct: [0.043, 0, 0.2, 0.29, 0, 0.037, 0.052, 690],
    depthwise: [0.069, 0.024, 0.021, 0.18, 0, 0, 1.1, 370],
    thinConv: [0.055, 0.26, 0, 0, 0, 0, 5, 700],
    winograd2d4: [0.026, 1.7, 0.46, 0.14, 0.11, 0, 16, 400],
    winograd2d6: [0.0072, 2.9, 0.14, 0.15, 0.058, 0.0055, 35, 900],
    winograd2d8: [0, 3.5, 0.1, 0.28, 0.22, 0, 68, 0],
    winograd1d6: [0.033, 1.2, 0.36, 0.1, 0.23, 0.0092, 11, 890],
    winograd1d8: [0.035, 1.2, 0.23, 0.17, 0.37, 0.018, 14, 710],
    fft: [0.04, 0, 0.47, 1, 0.08, 0.17, 0, 3000],
    gradWeight: [0.047, 0, 0.23, 0.093, 0, 0.038, 6.8, 760],
    depthwiseGradWeight: [0, 3.2, 0.22, 0, 0, 0, 0, 430],
    winogradGradWeight2d4: [0, 2.6, 0.66, 0.36, 0.2, 0.03, 6.5, 470],
    winogradGradWeight2d6: [0.063, 0, 0.054, 0.56, 0.24, 0, 15, 1800],
    winogradGradWeight2d8: [0, 2.3, 0.36, 0.47, 0.99, 0.058, 12, 0],
    winogradGradWeight1d6: [0.004, 2.7, 0.62, 0.25, 0.31, 0.021, 3.1, 870],
    winogradGradWeight1d8: [0.054, 0, 0.48, 0.41, 0.65, 0.021, 3.8, 890],
    matmul: [0.012, 1.7, 0.19, 0.18, 0, 0, 10, 140],
    thinMatmul: [0.037, 0.28, 0, 0, 0, 0.0084, 0, 300],
  },
  simd256: {
    igemm: [0.025, 0, 0.14, 0.47, 0, 0.0075, 4.2, 1100],
    direct: [0.042, 0, 0.18, 0.4, 0, 0.047, 0, 1000],
    depthwise: [0.046, 0.2, 0.66, 0, 0, 0, 2.5, 900],
    thinConv: [0.058, 0, 0, 0.5, 0, 0.015, 0, 1000],
    winograd2d4: [0, 3, 0.81, 0.19, 0.05, 0.037, 12, 1600],
    winograd2d6: [0, 3.3, 0.43, 0.26, 0, 0.042, 22, 910],
    winograd2d8: [0, 4, 0.79, 0.18, 0, 0.035, 38, 0],
    winograd1d6: [0.019, 1, 0.56, 0.26, 0, 0.033, 8.9, 1300],
    winograd1d8: [0, 3.1, 0.56, 0.23, 0, 0.032, 14, 810],
    fft: [0.028, 0, 0.47, 1, 0.08, 0.2, 0, 3000],
    gradWeight: [0.026, 0, 0.31, 0, 0, 0.018, 4, 910],
    depthwiseGradWeight: [0.075, 0, 0.23, 0, 0, 0, 0, 890],
    winogradGradWeight2d4: [0, 2.9, 0.7, 0.31, 0.6, 0.003, 8.7, 990],
    winogradGradWeight2d6: [0.013, 3.1, 0.62, 0.33, 0, 0, 16, 2400],
    winogradGradWeight2d8: [0, 4.6, 1, 0, 0.55, 0.0051, 27, 0],
    winogradGradWeight1d6: [0.011, 1.1, 0.38, 0.45, 0.93, 0.047, 4, 560],
    winogradGradWeight1d8: [0, 2.2, 0.59, 0.36, 0.98, 0.062, 3.8, 390],
    matmul: [0, 2.3, 0.2, 0.21, 0, 0, 10, 900],
    thinMatmul: [0.031, 0.34, 0, 0, 0, 0, 20, 620],
  },
};
