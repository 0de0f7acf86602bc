// Matrix product, batched, of matrices or their transposes; and the linear layer made of it.

import {
  checkOptions,
  apply,
  bytesOf,
  formatShape,
  hostArray,
  message,
  sameShape,
  scope,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Op,
  type Spec,
} from "@conv/tensor";
import { mustBeFloat } from "./check.ts";
import { add } from "./elementwise.ts";
import { reshape } from "./move.ts";

export interface MatmulParams {
  /** a is stored as (…, k, m). */
  readonly transposeA: boolean;
  /** b is stored as (…, n, k). */
  readonly transposeB: boolean;
}

/** Sizes of a matrix product: `batch` products of (m, k) with (k, n). */
export interface MatmulGeometry extends MatmulParams {
  readonly batch: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** Checks a product and returns its sizes. Throws ShapeError. */
export function matmulGeometry(
  a: Spec,
  b: Spec,
  { transposeA, transposeB }: MatmulParams,
): MatmulGeometry {
  mustBeFloat("matmul", "a", a);
  mustBeFloat("matmul", "b", b);
  if (a.shape.length < 2 || b.shape.length < 2)
    throw shapeError(
      "matmul",
      "rank",
      message`a has ${{ a: a.shape.length }} axes, b has ${{ b: b.shape.length }}; both need at least 2`,
    );
  const batch = a.shape.slice(0, -2);
  if (!sameShape(batch, b.shape.slice(0, -2)))
    throw shapeError(
      "matmul",
      "batch-differs",
      message`batch axes of a ${{ a: formatShape(a.shape) }} and b ${{ b: formatShape(b.shape) }} differ`,
    );
  const [m, k] = transposeA ? a.shape.slice(-2).toReversed() : a.shape.slice(-2);
  const [kb, n] = transposeB ? b.shape.slice(-2).toReversed() : b.shape.slice(-2);
  if (k !== kb)
    throw shapeError(
      "matmul",
      "inner-sizes",
      message`a is ${{ m }}×${{ k }} and b is ${{ kb }}×${{ n }}: the inner sizes ${{ aInner: k }} and ${{ bInner: kb }} differ`,
    );
  return { batch, m, k, n, transposeA, transposeB };
}

/** y[…, i, j] = Σ_k a[…, i, k] · b[…, k, j], a and b taken transposed where the flags say so. */
export const matmulOp: Op<MatmulParams> = {
  name: "matmul",
  infer([a, b], params) {
    const { batch, m, n } = matmulGeometry(a, b, params);
    return [spec([...batch, m, n])];
  },
  reference([a, b], params) {
    const { batch, m, k, n } = matmulGeometry(a, b, params);
    const y = hostArray(spec([...batch, m, n]));
    const [am, ak] = params.transposeA ? [1, m] : [k, 1];
    const [bk, bn] = params.transposeB ? [1, k] : [n, 1];
    for (let p = 0; p < sizeOf(batch); p++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++)
            sum += a.data[p * m * k + i * am + l * ak] * b.data[p * k * n + l * bk + j * bn];
          y.data[(p * m + i) * n + j] = sum;
        }
    return [y];
  },
  // With A, B the matrices after transposing: dA = ct·Bᵀ, dB = Aᵀ·ct; a stored transposed gets dAᵀ,
  // and so b.
  vjp({ inputs: [a, b], params: { transposeA, transposeB } }, [ct]) {
    return [
      transposeA
        ? matmul(b, ct, { transposeA: transposeB, transposeB: true })
        : matmul(ct, b, { transposeB: !transposeB }),
      transposeB
        ? matmul(ct, a, { transposeA: true, transposeB: transposeA })
        : matmul(a, ct, { transposeA: !transposeA }),
    ];
  },
  cost([a, b], params) {
    const { batch, m, k, n } = matmulGeometry(a, b, params);
    const macs = sizeOf(batch) * m * k * n;
    return {
      macs,
      flops: 2 * macs,
      bytesRead: bytesOf(a) + bytesOf(b),
      bytesWritten: sizeOf(batch) * m * n * 4,
    };
  },
};

/** Matrix product a (…b, m, k) · b (…b, k, n) → (…b, m, n); the leading axes are equal. */
export function matmul<T extends Arg>(a: T, b: T, options: Partial<MatmulParams> = {}): T {
  checkOptions("matmul", options, "transposeA transposeB");
  const { transposeA = false, transposeB = false } = options;
  return apply(matmulOp, { transposeA, transposeB }, [a, b])[0];
}

/** x·wᵀ + b: x (…, in), w (out, in), b (out) → (…, out), PyTorch's layout. */
export function linear<T extends Arg>(x: T, w: T, b?: T): T {
  const [out, features] = w.shape;
  if (w.shape.length !== 2)
    throw shapeError(
      "linear",
      "weight-rank",
      message`weight has ${{ axes: w.shape.length }} axes, must have 2`,
    );
  if (x.shape.at(-1) !== features)
    throw shapeError(
      "linear",
      "input-features",
      message`weight takes ${{ features }} features, input has shape ${{ shape: formatShape(x.shape) }}`,
    );
  if (b && !sameShape(b.shape, [out]))
    throw shapeError(
      "linear",
      "bias-shape",
      message`bias has shape ${{ shape: formatShape(b.shape) }}, weight gives ${{ features: out }} features`,
    );
  const lead = x.shape.slice(0, -1);
  return scope(() => {
    const rows = lead.length === 1 ? x : reshape(x, [sizeOf(lead), features]);
    const product = matmul(rows, w, { transposeB: true });
    const y = b ? add(product, b) : product;
    return lead.length === 1 ? y : reshape(y, [...lead, out]);
  });
}
