// An image of a digit, prepared as MNIST was (LeCun): the ink is scaled to fit 20×20, keeping its
// proportions and with gray levels, then its center of mass is placed at the center of 28×28.

import { loadFile } from "@conv/layers/node";
import sharp, { type Sharp } from "sharp";
import { DIGIT_PIXELS } from "./digits.ts";
import { about, UserError } from "./errors.ts";

const FIELD = 28;
const BOX = 20;
// the pixel of the center of mass in MNIST, counted from 0
const CENTER = 14;
const LARGEST = 64 * 2 ** 20; // pixels; 8,192 × 8,192
const LARGEST_FILE = 2 ** 28; // bytes, four for each of those pixels
// of full ink; less is paper. With this value the digits of MNIST keep their boxes of 20×20.
const INK = 0.1;
const CONTRAST = 16; // of 255; less than this is an empty page

const PNG = [0x89, 0x50, 0x4e, 0x47];
const JPEG = [0xff, 0xd8, 0xff];

/**
 * Reads a PNG or JPEG file of one digit, of any size, dark on light or light on dark, as 28×28
 * bytes, 0 paper to 255 ink. Throws UserError.
 */
export async function readDigit(file: string): Promise<Uint8Array> {
  return about(file, async () => {
    const bytes = await loadFile(file, { maxBytes: LARGEST_FILE });
    if (![PNG, JPEG].some((magic) => magic.every((b, i) => bytes[i] === b)))
      throw new UserError("neither PNG nor JPEG");
    const gray = await decode(bytes);
    return center(inkOf(gray));
  });
}

interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

async function decode(bytes: Uint8Array): Promise<Plane> {
  try {
    const image = sharp(bytes, { limitInputPixels: false, failOn: "error" });
    const { width, height } = await image.metadata();
    if (width * height > LARGEST)
      throw new UserError(`${width}×${height} pixels are more than the limit of ${LARGEST}`);
    return await planeOf(image.autoOrient().flatten({ background: "white" }).grayscale());
  } catch (error) {
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    const [reason] = error.message.split(/:?\s*\n/);
    throw new UserError(`unreadable image (${reason.replace(/:$/, "")})`);
  }
}

async function planeOf(image: Sharp): Promise<Plane> {
  const { data, info } = await image
    .toColourspace("b-w")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

/**
 * Ink from 0 to 255 on an empty page: the median of the border is the page, and the value that
 * differs most from it is full ink.
 */
function inkOf({ width, height, data }: Plane): Plane {
  const border = data
    .filter(
      (_, i) => i < width || i >= data.length - width || i % width === 0 || i % width === width - 1,
    )
    .toSorted();
  const page = border[border.length >> 1];
  const lowest = data.reduce((a, b) => Math.min(a, b), 255);
  const highest = data.reduce((a, b) => Math.max(a, b), 0);
  const full = highest - page > page - lowest ? highest : lowest;
  if (Math.abs(full - page) < CONTRAST)
    throw new UserError(
      `no digit found: the image is blank (all ${width}×${height} pixels are nearly equal)`,
    );
  return {
    width,
    height,
    data: data.map((v) => Math.max(0, Math.round((255 * (v - page)) / (full - page)))),
  };
}

/** Fits the box that holds the ink into 20×20 and places it in 28×28. */
async function center({ width, height, data }: Plane): Promise<Uint8Array> {
  let [left, right, top, bottom] = [width, -1, height, -1];
  data.forEach((v, i) => {
    if (v <= 255 * INK) return;
    const x = i % width;
    const y = Math.floor(i / width);
    [left, right, top, bottom] = [
      Math.min(left, x),
      Math.max(right, x),
      Math.min(top, y),
      Math.max(bottom, y),
    ];
  });
  const size = { width: right - left + 1, height: bottom - top + 1 };
  const scale = BOX / Math.max(size.width, size.height);
  const fitted = await planeOf(
    sharp(data, { raw: { width, height, channels: 1 } })
      .extract({ left, top, ...size })
      .resize(
        Math.max(1, Math.round(size.width * scale)),
        Math.max(1, Math.round(size.height * scale)),
        { fit: "fill", kernel: "linear" },
      ),
  );
  const mass = fitted.data.reduce((a, b) => a + b, 0);
  const mean = (of: (i: number) => number) =>
    fitted.data.reduce((sum, v, i) => sum + v * of(i), 0) / mass;
  const place = (centroid: number, extent: number) =>
    Math.min(FIELD - extent, Math.max(0, CENTER - Math.round(centroid)));
  const x0 = place(
    mean((i) => i % fitted.width),
    fitted.width,
  );
  const y0 = place(
    mean((i) => Math.floor(i / fitted.width)),
    fitted.height,
  );
  const field = new Uint8Array(DIGIT_PIXELS);
  for (let y = 0; y < fitted.height; y++)
    field.set(
      fitted.data.subarray(y * fitted.width, (y + 1) * fitted.width),
      (y0 + y) * FIELD + x0,
    );
  return field;
}
