// Small pictures are kept in the memory of the processor: some are read while they are drawn on, and what lies on a GPU is gone once that is lost.

/** Where to draw on a canvas; null where there is no canvas yet. */
export const contextOf = (canvas: HTMLCanvasElement | null): CanvasRenderingContext2D | null =>
  canvas?.getContext("2d", { willReadFrequently: true }) ?? null;
