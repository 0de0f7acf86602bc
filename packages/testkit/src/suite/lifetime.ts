// The states of a back end, and whose buffers are whose: it is disposed of once, says so after, and
// takes nothing of another.

import { add, mul, relu } from "@conv/ops";
import { jit, scope, tensor, type Backend, type Buffer } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { failEach } from "../failing.ts";
import { graphOfShapes, type Device } from "./device.ts";

const DISPOSED = /the back end is disposed/;

/** Registers the tests of states, ownership and allocation. */
export function lifetimeSuite(device: Device): void {
  describe("lifetime", () => {
    const graph = graphOfShapes([[4]], (x) => relu(x));

    it("a back end that is disposed of says so, and what it made can still be disposed of", async () => {
      const backend = await device.fresh();
      const x = tensor(backend, [1, -2, 3, -4]);
      const twice = jit((v) => add(v, v));
      const [y, z] = [relu(x), twice(x)];
      const program = backend.compile(graph);
      expect([...(await y.read())]).toEqual([1, 0, 3, 0]);
      backend.dispose();
      backend.dispose();
      const [from, to] = [x.buffer, y.buffer];
      for (const call of [
        () => backend.alloc(4),
        () => backend.write(from, new Float32Array(4)),
        () => backend.compile(graph),
        () => program.run([from], [to]),
        () => relu(x),
        () => mul(x, 3),
        () => twice(x),
        () => tensor(backend, [1]),
        () => x.write([1, 2, 3, 4]),
      ])
        expect(call).toThrow(DISPOSED);
      await expect(backend.read(from)).rejects.toThrow(DISPOSED);
      await expect(x.read()).rejects.toThrow(DISPOSED);
      for (const made of [x, y, z, program, twice, program]) made.dispose();
      backend.free(to);
      expect(backend.memory()).toEqual({ buffers: 0, bytes: 0, programs: 0, programBytes: 0 });
    });

    it("using ends it with its block", async () => {
      let ended: Backend;
      {
        using backend = await device.fresh();
        ended = backend;
        expect([...(await tensor(backend, [7]).read())]).toEqual([7]);
      }
      expect(() => ended.alloc(4)).toThrow(DISPOSED);
    });

    it("what waits to be read is read, or says that the back end is disposed", async () => {
      const backend = await device.fresh();
      const x = tensor(backend, [1, 2]);
      const reading = relu(x).read();
      backend.dispose();
      await reading.then(
        (values) => expect([...values]).toEqual([1, 2]),
        (error: unknown) => expect(String(error)).toMatch(DISPOSED),
      );
    });

    it("buffers of another back end are refused", async () => {
      const { backend } = device;
      using other = await device.fresh();
      const program = backend.compile(graph);
      const [own, strange] = [backend.alloc(16), other.alloc(16)];
      backend.write(own, Float32Array.of(1, 2, 3, 4));
      other.write(strange, Float32Array.of(5, 6, 7, 8));
      const made: Buffer = { bytes: 16 };
      for (const buffer of [strange, made]) {
        const refused = /the buffer belongs to another back end/;
        expect(() => program.run([buffer], [own])).toThrow(refused);
        expect(() => program.run([own], [buffer])).toThrow(refused);
        expect(() => backend.write(buffer, new Float32Array(4))).toThrow(refused);
        expect(() => backend.free(buffer)).toThrow(refused);
        await expect(backend.read(buffer)).rejects.toThrow(refused);
      }
      expect([...new Float32Array(await backend.read(own))]).toEqual([1, 2, 3, 4]);
      expect([...new Float32Array(await other.read(strange))]).toEqual([5, 6, 7, 8]);
      backend.free(own);
      backend.free(own);
      program.dispose();
    });

    it.each([NaN, -1, -4, 0.5, Infinity, -Infinity, 2 ** 53])(
      "a buffer of %d bytes is refused",
      (bytes) => {
        const before = device.backend.memory();
        expect(() => device.backend.alloc(bytes)).toThrow(
          expect.objectContaining({
            name: "RangeError",
            message: `${device.backend.name}: a buffer of ${bytes} bytes; it must be a whole number ≥ 0`,
          }),
        );
        expect(device.backend.memory()).toEqual(before);
      },
    );

    it("a value beyond 2³¹ − 1 bytes is refused when it is compiled, by its name", () => {
      const before = device.backend.memory();
      expect(() =>
        device.backend.compile(graphOfShapes([[2 ** 15, 2 ** 14]], (x) => relu(x))),
      ).toThrow(
        expect.objectContaining({
          name: "RangeError",
          message: `${device.backend.name}: an input is 32768×16384, 2147483648 bytes; a value may take 2147483647`,
        }),
      );
      expect(device.backend.memory()).toEqual(before);
    });

    it("whatever takes memory more than once leaves nothing when one of the times fails", async () => {
      const { backend } = device;
      const x = (on: Backend) => tensor(on, [1, 2, 3, 4]);
      expect(await failEach(backend, (on) => x(on).dispose())).toBe(1);
      expect(await failEach(backend, (on) => scope(() => void relu(x(on))))).toBe(3);
      const three = jit((v) => [relu(v), mul(v, 2), add(v, 1)]);
      expect(await failEach(backend, (on) => scope(() => void three(x(on))))).toBe(5);
      three.dispose();
    });
  });
}
