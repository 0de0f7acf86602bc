// A drawing made a digit as MNIST has them (yann.lecun.com/exdb/mnist): scaled to fit 20×20 with
// its proportions, gray by averaging, and moved so that its center of mass lies in the middle of
// 28×28. And its short form for the address.

import { PIXELS, SIDE } from "./data.ts";

const BOX = 20;

/** `ink` is a square picture of `size`², 0 to 1. An empty one stays empty. */
export function asDigit(ink: Float32Array, size: number): Float32Array {
  let [top, left, bottom, right] = [size, size, -1, -1];
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      if (ink[y * size + x] > 0.1)
        [top, left, bottom, right] = [
          Math.min(top, y),
          Math.min(left, x),
          Math.max(bottom, y),
          Math.max(right, x),
        ];
  const out = new Float32Array(PIXELS);
  if (bottom < 0) return out;
  // drawing pixels per digit pixel
  const scale = Math.max(bottom - top + 1, right - left + 1) / BOX;
  // Mass and its center, in pixels of the drawing.
  let [mass, my, mx] = [0, 0, 0];
  for (let y = top; y <= bottom; y++)
    for (let x = left; x <= right; x++) {
      const v = ink[y * size + x];
      [mass, my, mx] = [mass + v, my + v * (y + 0.5), mx + v * (x + 0.5)];
    }
  const [cy, cx] = [my / mass, mx / mass];
  // Pixel (i, j) of the digit averages the square of the drawing under it.
  for (let i = 0; i < SIDE; i++)
    for (let j = 0; j < SIDE; j++)
      out[i * SIDE + j] = average(
        ink,
        size,
        cy + (i - SIDE / 2) * scale,
        cx + (j - SIDE / 2) * scale,
        scale,
      );
  const brightest = out.reduce((a, b) => Math.max(a, b), 0);
  return out.map((v) => (brightest > 0 ? Math.min(1, v / brightest) : 0));
}

function average(ink: Float32Array, size: number, y: number, x: number, side: number): number {
  const steps = Math.max(1, Math.ceil(side));
  let sum = 0;
  for (let a = 0; a < steps; a++)
    for (let b = 0; b < steps; b++) {
      const [yy, xx] = [
        Math.floor(y + ((a + 0.5) * side) / steps),
        Math.floor(x + ((b + 0.5) * side) / steps),
      ];
      if (yy >= 0 && xx >= 0 && yy < size && xx < size) sum += ink[yy * size + xx];
    }
  return sum / steps ** 2;
}

/** Sixteen levels in runs, a byte each (level, length − 1), in base64 for addresses. */
export function encodeDigit(pixels: Float32Array): string {
  const bytes: number[] = [];
  for (let at = 0; at < pixels.length;) {
    const level = Math.round(pixels[at] * 15);
    let length = 1;
    while (
      length < 16 &&
      at + length < pixels.length &&
      Math.round(pixels[at + length] * 15) === level
    )
      length++;
    bytes.push((level << 4) | (length - 1));
    at += length;
  }
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** The digit of such a text; null where it is not one. */
export function decodeDigit(text: string): Float32Array | null {
  if (!/^[\w-]+$/.test(text)) return null;
  let bytes: string;
  try {
    bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
  const pixels: number[] = [];
  for (const byte of bytes) {
    const code = byte.charCodeAt(0);
    for (let i = 0; i <= (code & 15); i++) pixels.push((code >> 4) / 15);
    if (pixels.length > PIXELS) return null;
  }
  return pixels.length === PIXELS ? Float32Array.from(pixels) : null;
}
