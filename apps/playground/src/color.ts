// The color scale for signed values: orange below zero, the background at zero, blue above. Orange
// and blue differ for every common kind of color blindness, and contrast grows with the distance
// from zero.

import type { Theme } from "./theme.ts";

type Rgb = readonly [number, number, number];

// From the far negative to the far positive end; the middle one is zero.
const STOPS: Record<Theme, readonly Rgb[]> = {
  light: [
    [122, 38, 4],
    [196, 82, 24],
    [233, 160, 108],
    [243, 241, 235],
    [133, 181, 217],
    [46, 120, 178],
    [10, 60, 108],
  ],
  dark: [
    [255, 205, 165],
    [240, 146, 90],
    [150, 76, 34],
    [30, 33, 38],
    [38, 92, 140],
    [93, 166, 228],
    [196, 228, 255],
  ],
};

const HALF = 255;

/** 511 colors as 0xAABBGGRR, what a little-endian canvas holds; entry 255 is zero. */
const tables: Record<Theme, Uint32Array> = {
  light: tableOf(STOPS.light),
  dark: tableOf(STOPS.dark),
};

function tableOf(stops: readonly Rgb[]): Uint32Array {
  return Uint32Array.from({ length: 2 * HALF + 1 }, (_, i) => {
    const at = (i / (2 * HALF)) * (stops.length - 1);
    const from = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = stops[from].map((v, c) =>
      Math.round(v + (stops[from + 1][c] - v) * (at - from)),
    );
    return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  });
}

/** The color of `value` where `limit` is the largest magnitude of the scale. */
export function packedColor(value: number, limit: number, theme: Theme): number {
  const t = limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
  return tables[theme][Math.round((t + 1) * HALF)];
}

const hex = (packed: number): string =>
  `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;

export const cssColor = (value: number, limit: number, theme: Theme): string =>
  hex(packedColor(value, limit, theme));

/**
 * Black or white, whichever has more contrast to that color: at least 4.5, since the two are equal
 * at luminance 0.179.
 */
export function inkOn(value: number, limit: number, theme: Theme): string {
  const packed = packedColor(value, limit, theme);
  const linear = [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255].map((v) =>
    v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
  );
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return luminance > 0.179 ? "#000000" : "#ffffff";
}

/** The scale as a CSS gradient, for legends. */
export const cssGradient = (theme: Theme): string =>
  `linear-gradient(to right, ${STOPS[theme].map(([r, g, b]) => `rgb(${r} ${g} ${b})`).join(", ")})`;

/** The largest magnitude in a list; 0 for an empty one. */
export function limitOf(values: ArrayLike<number>): number {
  let limit = 0;
  for (let i = 0; i < values.length; i++) limit = Math.max(limit, Math.abs(values[i]));
  return limit;
}
