// Element types: how many bytes an element takes, which array holds it on the host, and how numbers
// become elements. One table, so that nothing else assumes four bytes.

/** Typed arrays that hold elements on the host. */
export type Elements = Float32Array | Int32Array | Uint8Array | Int8Array | Uint16Array;

/** Precision and exponents of a binary floating-point format of 16 bits. */
interface Half {
  /** Bits of the fraction that are stored. */
  readonly fraction: number;
  /** The largest exponent; the smallest is 1 − this. */
  readonly largest: number;
}

interface DTypeInfo {
  readonly bytes: number;
  readonly Array: {
    new (length: number): Elements;
    new (buffer: ArrayBuffer, offset?: number, length?: number): Elements;
  };
  /** Limits of integer types. */
  readonly range?: readonly [min: number, max: number] | undefined;
  readonly half?: Half | undefined;
}

/** The element types: bytes per element, array type on the host, and the range of integer types. */
export const dtypes = {
  float32: { bytes: 4, Array: Float32Array },
  int32: { bytes: 4, Array: Int32Array, range: [-(2 ** 31), 2 ** 31 - 1] },
  uint8: { bytes: 1, Array: Uint8Array, range: [0, 255] },
  int8: { bytes: 1, Array: Int8Array, range: [-128, 127] },
  float16: { bytes: 2, Array: Uint16Array, half: { fraction: 10, largest: 15 } },
  bfloat16: { bytes: 2, Array: Uint16Array, half: { fraction: 7, largest: 127 } },
} as const satisfies Record<string, DTypeInfo>;

/**
 * Element types. `float32` computes. `int32` carries labels, seeds and indices; `uint8` and `int8`
 * carry images, masks and quantized values; `float16` and `bfloat16` only store: their arrays hold
 * the bits of each number, and `cast` converts them.
 */
export type DType = keyof typeof dtypes;

/** All element types. */
export const dtypeNames = Object.freeze(Object.keys(dtypes)) as readonly DType[];

/** What is known of an element type. */
export const infoOf = (dtype: DType): DTypeInfo => dtypes[dtype];

export const isFloating = (dtype: DType): boolean => infoOf(dtype).range === undefined;

/** The elements in some bytes, as numbers: bits of 16-bit floating-point types are decoded. */
export function decodeElements(dtype: DType, bytes: ArrayBuffer, size: number): Float64Array {
  const { Array, half } = infoOf(dtype);
  const elements = new Array(bytes, 0, size);
  return half
    ? Float64Array.from(elements, (bits) => fromBits(bits, half))
    : Float64Array.from(elements);
}

/**
 * Numbers as elements: floating-point types round to the nearest, ties to even; integer types keep
 * the lowest bits of a whole number.
 */
export function encodeElements(dtype: DType, numbers: ArrayLike<number>): Elements {
  const { Array, half } = infoOf(dtype);
  const elements = new Array(numbers.length);
  for (let i = 0; i < numbers.length; i++)
    elements[i] = half ? toBits(numbers[i], half) : numbers[i];
  return elements;
}

/** A number rounded to the nearest one of a type; of integer types, its lowest bits. */
export function roundTo(dtype: DType, v: number): number {
  const { half, range } = infoOf(dtype);
  if (range) {
    const count = range[1] - range[0] + 1;
    return ((((v - range[0]) % count) + count) % count) + range[0];
  }
  return half ? fromBits(toBits(v, half), half) : Math.fround(v);
}

const word = new DataView(new ArrayBuffer(8));

/** The exponent of a finite number that is not 0, from its bits: log₂ would round. */
function exponentOf(v: number): number {
  word.setFloat64(0, v);
  return ((word.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/** Sign, exponent and fraction: v = ±1.f · 2^(e), or ±0.f · 2^(1 − largest) where e is stored as 0. */
function toBits(v: number, { fraction, largest }: Half): number {
  const sign = v < 0 || Object.is(v, -0) ? 0x8000 : 0;
  const infinite = (2 * largest + 1) << fraction;
  if (Number.isNaN(v)) return infinite | (1 << (fraction - 1));
  const a = Math.abs(v);
  if (a === Infinity) return sign | infinite;
  const least = 1 - largest;
  const exponent = a === 0 ? least : Math.max(exponentOf(a), least);
  // In units of the last place: whole part and the rest decide.
  const units = a / 2 ** (exponent - fraction);
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // A fraction that overflows carries into the exponent, and from the largest one to infinity.
  const bits = rounded + ((exponent - least) << fraction);
  return sign | Math.min(bits, infinite);
}

function fromBits(bits: number, { fraction, largest }: Half): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const stored = (bits & 0x7fff) >> fraction;
  const f = bits & ((1 << fraction) - 1);
  if (stored === 2 * largest + 1) return f ? NaN : sign * Infinity;
  const unit = 2 ** (Math.max(stored, 1) - largest - fraction);
  return sign * (stored ? f + (1 << fraction) : f) * unit;
}
