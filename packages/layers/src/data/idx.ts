// IDX, the file format of MNIST (yann.lecun.com/exdb/mnist): two zero bytes, the element type, the
// number of axes, the size of each axis as a big-endian 32-bit number, and the elements.

import { formatShape, message, fileError, sizeOf } from "@conv/tensor";

/** Bytes with their shape. */
export interface Idx {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** The header of an IDX file: shape, offset of the elements, and size of the file in bytes. */
export interface IdxHeader {
  readonly shape: readonly number[];
  readonly start: number;
  readonly size: number;
}

const AXES = 8; // a guess: more than data sets of images or video need
export const IDX_HEADER = 4 + 4 * AXES; // bytes of the longest header

/**
 * Reads the header from the first `IDX_HEADER` bytes of an IDX file, or from the whole file. Throws
 * FileError if it is not a valid header of an IDX file of bytes.
 */
export function readIdxHeader(bytes: Uint8Array): IdxHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0)
    throw fileError(
      "idx",
      "not-idx",
      message`not an IDX file: it does not begin with two zero bytes`,
    );
  const [type, rank] = [bytes[2], bytes[3]];
  if (type !== 8)
    throw fileError(
      "idx",
      "element-type",
      message`the elements have type ${{ type }}, only type 8 (unsigned bytes) is supported`,
    );
  if (rank > AXES)
    throw fileError(
      "idx",
      "rank",
      message`the file has ${{ rank }} axes, the limit is ${{ most: AXES }}`,
    );
  const start = 4 + 4 * rank;
  if (bytes.length < start)
    throw fileError(
      "idx",
      "truncated",
      message`the file has ${{ bytes: bytes.length }} bytes, but the sizes of its ${{ rank }} axes end at ${{ start }}; it is truncated`,
    );
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { shape, start, size: start + sizeOf(shape) };
}

/** Decodes an uncompressed IDX file of unsigned bytes. Throws FileError for any other file. */
export function decodeIdx(bytes: Uint8Array): Idx {
  const { shape, start, size } = readIdxHeader(bytes);
  if (bytes.length !== size)
    throw fileError(
      "idx",
      "size",
      message`the file has ${{ elements: bytes.length - start }} elements, its shape ${{ shape: formatShape(shape) }} needs ${{ size: size - start }}`,
    );
  return { shape, data: bytes.subarray(start) };
}
