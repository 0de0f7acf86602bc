// How long the bench measures. Good figures take seconds; a test only looks at their form and at
// verified answers.

/** The share of the usual time that each measurement takes. */
export const SHARE = Number(process.env.CONV_BENCH_SHARE ?? 1);
