// Buffers that values share: never two at a time in one, no more memory than all at once take, no
// less than the most that live at once.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { shareSlots } from "../src/compile/slots.ts";

const lifetimes = fc.array(
  fc
    .record({ bytes: fc.integer({ min: 16, max: 1000 }), from: fc.nat(20), length: fc.nat(6) })
    .map(({ bytes, from, length }) => ({ bytes, from, to: from + length })),
  { maxLength: 30 },
);

test("values that live at the same time never share a buffer, and each fits", () =>
  fc.assert(
    fc.property(lifetimes, (values) => {
      const { slotOf, bytes } = shareSlots(values);
      values.forEach((v, i) => {
        expect(bytes[slotOf[i]]).toBeGreaterThanOrEqual(v.bytes);
        for (let j = 0; j < i; j++)
          if (slotOf[j] === slotOf[i])
            expect(values[j].to < v.from || v.to < values[j].from).toBe(true);
      });
      const total = bytes.reduce((a, b) => a + b, 0);
      const alive = Array.from({ length: 30 }, (_, t) =>
        values.reduce((sum, v) => (v.from <= t && t <= v.to ? sum + v.bytes : sum), 0),
      );
      expect(total).toBeGreaterThanOrEqual(Math.max(0, ...alive));
      expect(total).toBeLessThanOrEqual(values.reduce((sum, v) => sum + v.bytes, 0));
    }),
  ));

test("a chain of equal values takes two buffers", () => {
  const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 64, from: i, to: i + 1 }));
  expect(shareSlots(chain).bytes).toEqual([64, 64]);
});
