// The readers of files, each with valid files to mutate and a judge. For any bytes a reader must
// return a correct value or throw an error of a documented class. A judge returns null, or a
// description of the fault.

import { rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { decodeIdx, decodeSafetensors, encodeSafetensors } from "@conv/layers";
import { FileError, ShapeError, UnsupportedError } from "@conv/tensor";
import { UserError } from "../../../packages/cli/src/errors.ts";
import { readDigit } from "../../../packages/cli/src/image.ts";

export interface Judged {
  readonly name: string;
  /** Valid files. */
  readonly seeds: () => Promise<readonly Uint8Array[]>;
  readonly judge: (bytes: Uint8Array, folder: string) => string | null | Promise<string | null>;
}

const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}]/u;

/** Runs a reader; `sound` checks its result. */
function answered<R>(work: () => R, sound: (result: R) => string | null): string | null {
  let result: R;
  try {
    result = work();
  } catch (error) {
    if (
      !(
        error instanceof FileError ||
        error instanceof ShapeError ||
        error instanceof UnsupportedError
      )
    )
      return `threw ${String(error)}`;
    if (error.message.length > 1000) return `threw a message of ${error.message.length} characters`;
    return CONTROL.test(error.message)
      ? `threw a message with control characters: ${JSON.stringify(error.message)}`
      : null;
  }
  return sound(result);
}

const state = new Map([
  ["a.weight", { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 1e-40) }],
  ["b", { shape: [], data: Float32Array.of(5) }],
  ["none", { shape: [0, 3], data: new Float32Array(0) }],
]);

const safetensors: Judged = {
  name: "safetensors",
  async seeds() {
    const long = new TextEncoder().encode(
      '{"n":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}',
    );
    const whole = new Uint8Array(8 + long.length + 16);
    whole[0] = long.length;
    whole.set(long, 8);
    whole[whole.length - 8] = 7;
    return [encodeSafetensors(state, { k: "v" }), encodeSafetensors(new Map()), whole];
  },
  judge: (bytes) =>
    answered(
      () => decodeSafetensors(bytes),
      // A second, simple reader: the values must be those at the offsets in the header.
      ({ state: found }) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const start = 8 + Number(view.getBigUint64(0, true));
        const header: Record<string, { dtype: string; shape: number[]; data_offsets: number[] }> =
          JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
        const names = Object.keys(header).filter((name) => name !== "__metadata__");
        if (names.join("\n") !== [...found.keys()].join("\n"))
          return "other names than in the header";
        let covered = 0;
        for (const name of names) {
          const { dtype, shape, data_offsets: offsets } = header[name];
          const tensor = found.get(name);
          const wide = dtype === "F32" ? 4 : 8;
          covered += offsets[1] - offsets[0];
          if (
            !tensor ||
            tensor.data.length !== shape.reduce((a, b) => a * b, 1) ||
            tensor.data.length * wide !== offsets[1] - offsets[0]
          )
            return `${JSON.stringify(name)} has a wrong size`;
          const value = (i: number) =>
            wide === 4
              ? view.getFloat32(start + offsets[0] + 4 * i, true)
              : Number(view.getBigInt64(start + offsets[0] + 8 * i, true));
          if (!tensor.data.every((v, i) => Object.is(v, value(i))))
            return `${JSON.stringify(name)} has wrong values`;
        }
        return start + covered === bytes.length ? null : "the tensors do not cover the file";
      },
    ),
};

const idx: Judged = {
  name: "idx",
  seeds: async () => [
    Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8),
    Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 4, 9, 8, 7, 6),
    Uint8Array.of(0, 0, 8, 0, 1),
  ],
  judge: (bytes) =>
    answered(
      () => decodeIdx(bytes),
      ({ shape, data }) => {
        const start = 4 + 4 * shape.length;
        const sizes = shape.map((_, axis) =>
          bytes.slice(4 + 4 * axis, 8 + 4 * axis).reduce((sum, b) => sum * 256 + b, 0),
        );
        if (
          bytes[0] ||
          bytes[1] ||
          bytes[2] !== 8 ||
          bytes[3] !== shape.length ||
          sizes.join() !== shape.join()
        )
          return "another shape than in the header";
        if (
          data.length !== shape.reduce((a, b) => a * b, 1) ||
          start + data.length !== bytes.length
        )
          return "a wrong size";
        return data.every((v, i) => v === bytes[start + i]) ? null : "wrong elements";
      },
    ),
};

let pictures = 0;

const picture: Judged = {
  name: "pictures",
  async seeds() {
    // sharp is a dependency of the command line.
    const { default: sharp } = await import(
      createRequire(new URL("../../../packages/cli/src/image.ts", import.meta.url)).resolve("sharp")
    );
    const pixels = new Uint8Array(40 * 30).fill(255);
    for (let y = 5; y < 25; y++) pixels.fill(10, y * 40 + 18, y * 40 + 22);
    const make = () => sharp(pixels, { raw: { width: 40, height: 30, channels: 1 } });
    return [
      await make().png().toBuffer(),
      await make().jpeg().toBuffer(),
      await make().png({ palette: true }).toBuffer(),
      await make().jpeg({ progressive: true }).toBuffer(),
    ];
  },
  async judge(bytes, folder) {
    const file = join(folder, `${process.pid}-${pictures++}`);
    await writeFile(file, bytes);
    try {
      const digit = await readDigit(file);
      return digit.length === 784 ? null : `${digit.length} pixels`;
    } catch (error) {
      if (!(error instanceof UserError)) return `threw ${String(error)}`;
      return error.message.startsWith(`${file}: `) && error.message.length < 1000
        ? null
        : `threw ${JSON.stringify(error.message.slice(0, 1000))}`;
    } finally {
      await rm(file);
    }
  },
};

export const judges: readonly Judged[] = [safetensors, idx, picture];
