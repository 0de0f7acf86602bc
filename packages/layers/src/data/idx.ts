// IDX, the file format of MNIST and its kin (yann.lecun.com/exdb/mnist): two zero bytes, the
// element type, the number of axes, the size of each as a big-endian 32-bit number, and the
// elements.

import { formatShape, shapeError, sizeOf } from "@conv/tensor";

/** Bytes with their shape. */
export interface Idx {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * What the beginning of an IDX file says: its shape, where the elements begin, and the size of the
 * whole file.
 */
export interface IdxHeader {
  readonly shape: readonly number[];
  readonly start: number;
  readonly size: number;
}

const AXES = 8; // images in color, in several views, over time need no more
export const IDX_HEADER = 4 + 4 * AXES; // bytes of the longest header

/**
 * Reads the header out of the first bytes of an IDX file, `IDX_HEADER` of them or the whole file.
 * Throws ShapeError, saying what is wrong.
 */
export function readIdxHeader(bytes: Uint8Array): IdxHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0)
    throw shapeError("idx", "the file does not begin with two zero bytes");
  const [type, rank] = [bytes[2], bytes[3]];
  if (type !== 8)
    throw shapeError("idx", `the elements are of type ${type}, only unsigned bytes (8) are read`);
  if (rank > AXES) throw shapeError("idx", `the file has ${rank} axes, at most ${AXES} are read`);
  const start = 4 + 4 * rank;
  if (bytes.length < start)
    throw shapeError(
      "idx",
      `the file has ${bytes.length} bytes, the sizes of ${rank} axes end at ${start}`,
    );
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { shape, start, size: start + sizeOf(shape) };
}

/** Reads an IDX file of unsigned bytes, uncompressed. Throws ShapeError, saying what is wrong. */
export function decodeIdx(bytes: Uint8Array): Idx {
  const { shape, start, size } = readIdxHeader(bytes);
  if (bytes.length !== size)
    throw shapeError(
      "idx",
      `the file has ${bytes.length - start} elements, its shape ${formatShape(shape)} holds ${size - start}`,
    );
  return { shape, data: bytes.subarray(start) };
}
