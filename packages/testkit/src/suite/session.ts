// A mirror: every call goes to the back end and, on plain arrays, to the references; what the back
// end holds is judged at each look. A test that keeps buffers over several runs is written against
// it as if it were a back end.

import {
  bytesOf,
  type Backend,
  type Buffer,
  type Graph,
  type HostArray,
  type Spec,
} from "@conv/tensor";
import { difference, get, judge, packed, put } from "../check.ts";
import { evaluateBounded } from "../roundoff.ts";

/**
 * A buffer of the back end with what it should hold, in the numbers that the back end made of it at
 * the last look.
 */
export interface Held {
  readonly spec: Spec;
  readonly buffer: Buffer;
  value: HostArray;
}

export interface Session {
  hold(value: HostArray): Held;
  write(to: Held, value: HostArray): void;
  /** Compiles a graph; the result runs it and judges all outputs. */
  program(graph: Graph): {
    run(inputs: readonly Held[], outputs: readonly Held[]): Promise<void>;
    dispose(): void;
  };
  free(held: Held): void;
  /** Frees all that is left. */
  end(): void;
}

export function session(backend: Backend): Session {
  const held = new Set<Held>();
  const programs = new Set<{ dispose(): void }>();
  return {
    hold(value) {
      const made: Held = {
        spec: { shape: value.shape, dtype: value.dtype },
        buffer: put(backend, value),
        value,
      };
      held.add(made);
      return made;
    },
    write(to, value) {
      if (bytesOf(value) !== bytesOf(to.spec))
        throw new Error("session: values do not fill the buffer");
      backend.write(to.buffer, packed(value));
      to.value = value;
    },
    program(graph) {
      const program = backend.compile(graph);
      programs.add(program);
      return {
        async run(inputs, outputs) {
          const want = evaluateBounded(
            graph,
            inputs.map((h) => h.value),
            program.steps,
          );
          const bystanders = [...held].filter(
            (h) => !outputs.some((out) => out.buffer === h.buffer),
          );
          program.run(
            inputs.map((h) => h.buffer),
            outputs.map((h) => h.buffer),
          );
          for (const out of outputs) out.value = await get(backend, out.buffer, out.spec);
          judge(
            graph,
            outputs.map((h) => h.value),
            want,
          );
          for (const h of bystanders) {
            const wrong = difference(await get(backend, h.buffer, h.spec), {
              value: h.value,
              error: null,
            });
            if (wrong) throw new Error(`a buffer that is no output has changed: ${wrong}`);
          }
        },
        dispose() {
          programs.delete(program);
          program.dispose();
        },
      };
    },
    free(h) {
      held.delete(h);
      backend.free(h.buffer);
    },
    end() {
      for (const h of held) backend.free(h.buffer);
      for (const p of programs) p.dispose();
      held.clear();
      programs.clear();
    },
  };
}
