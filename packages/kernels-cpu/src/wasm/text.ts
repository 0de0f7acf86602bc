// Generated code as readable text: operations as calls, assignments with =, indented blocks.
// Snapshots contain it.

import type { OpName } from "./asm.ts";
import type { Func, Module } from "./module.ts";
import { OPCODES, type Opcode } from "./opcodes.ts";

/** All functions of a module, one statement a line. */
export const moduleText = (m: Module): string => m.funcs.map(functionText).join("\n\n");

/** Operands that an instruction takes from the stack. */
function operands(op: OpName): number {
  if (/\.const$|^local\.get$/.test(op)) return 0;
  if (/(select|madd|wait32|fill)$/.test(op)) return 3;
  if (/(load32_lane|notify|rmw\.add)$/.test(op)) return 2;
  return /load|splat$|extract_lane$|eqz$|neg$|abs$|sqrt$|nearest$|not$|any_true$|trunc|convert|local\.set$|^if$|br_if$|^drop$/.test(
    op,
  )
    ? 1
    : 2;
}

/** Statements, one a line: operations as calls, assignments with =, addresses with their offset. */
function functionText(f: Func): string {
  const lines = [`func ${f.name}(${f.params.map((p) => p.name).join(", ")})`];
  const stack: string[] = [];
  // Locals of the same name have numbers.
  const seen = new Map<string, number>();
  const names = [...f.params, ...f.locals].map(({ name }) => {
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return seen.get(name) === 1 ? name : `${name}.${seen.get(name)}`;
  });
  let depth = 1;
  const line = (text: string) => lines.push("  ".repeat(depth) + text);
  for (const { op, imm, note } of f.code) {
    if (op === "block" || op === "loop" || op === "if") {
      line(op === "if" ? `if ${stack.pop()}` : op);
      depth++;
    } else if (op === "else" || op === "end") {
      depth--;
      if (op === "else") lines.push("  ".repeat(depth++) + op);
    } else if (op === "br") line(`br ${imm[0]}`);
    else if (op === "br_if") line(`br ${imm[0]} if ${stack.pop()}`);
    else if (op === "local.get") stack.push(names[imm[0]]);
    else if (op === "local.set") line(`${names[imm[0]]} = ${stack.pop()}`);
    else if (op === "call") line(`${note}(${stack.splice(0).join(", ")})`);
    else if (op === "drop") line(stack.pop()!);
    else if (op === "v128.const") stack.push(constText(imm));
    else if (op.endsWith(".const")) stack.push(`${imm[0]}`);
    else {
      const args = stack.splice(-operands(op));
      const [, kind]: Opcode = OPCODES[op];
      if ((kind === "mem" || kind === "memLane") && imm[0]) args[0] = `${args[0]} + ${imm[0]}`;
      if (kind === "memLane" || kind === "lane") args.push(`lane ${imm.at(-1)}`);
      if (op === "i8x16.shuffle")
        args.push(
          imm
            .filter((_, i) => i % 4 === 0)
            .map((b) => b / 4)
            .join(" "),
        );
      const text = `${op}(${args.join(", ")})`;
      if (/store|fill/.test(op)) line(text);
      else stack.push(text);
    }
  }
  return lines.join("\n");
}

/** One number for four equal lanes that are a number, else the four words. */
function constText(bytes: readonly number[]): string {
  const { buffer } = Uint8Array.from(bytes);
  const [first, ...rest] = new Float32Array(buffer);
  if (rest.every((v) => Object.is(v, first)) && (first === 0 || Math.abs(first) > 1e-37))
    return Object.is(first, -0) ? "-0" : `${first}`;
  return `[${[...new Int32Array(buffer)].map((v) => (Math.abs(v) < 65536 ? `${v}` : `0x${(v >>> 0).toString(16)}`)).join(" ")}]`;
}
