import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import { expect, test } from "vitest";
import { convModel } from "../src/onnx.ts";

const g = convGeometry(spec([1, 2, 5, 4]), spec([4, 1, 2, 3]), {
  groups: 2,
  stride: [2, 1],
  padding: [
    [1, 0],
    [0, 2],
  ],
});

test("the bytes of a Conv model", () => {
  const bytes = convModel("forward", g, [
    new Float32Array(40).fill(1),
    Float32Array.from({ length: 24 }, (_, i) => i),
  ]);
  expect(dump(bytes)).toMatchSnapshot();
});

test("the gradient to the input is a ConvTranspose that gives the input's size back", () => {
  const bytes = convModel("gradInput", g, [new Float32Array(4 * 3 * 4), new Float32Array(24)]);
  const text = new TextDecoder("latin1").decode(bytes);
  expect(text).toContain("ConvTranspose");
  expect(text).toContain("output_padding");
});

test("there is none for the weight", () => {
  expect(() => convModel("gradWeight", g, [])).toThrow(
    new Error("ONNX has no operator for the gradient to the weight"),
  );
});

/** Sixteen bytes a line, in hexadecimal and as text. */
function dump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.subarray(at, at + 16)];
    const hex = line.map((b) => b.toString(16).padStart(2, "0")).join(" ");
    lines.push(
      `${hex.padEnd(48)} ${line.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : ".")).join("")}`,
    );
  }
  return lines.join("\n");
}
