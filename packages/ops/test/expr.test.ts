// The algebra: derivatives against differences, folding, formatting.

import { describe, expect, test } from "vitest";
import {
  add,
  countFns,
  differentiate,
  div,
  evaluator,
  fold,
  formatExpr,
  mul,
  neg,
  sub,
  substitute,
  variable,
  variables,
  type Expr,
} from "../src/expr.ts";

const at = (e: Expr, ...values: number[]) => evaluator(e, ["a", "b", "c"])(values);

describe("differentiate", () => {
  const smooth: [string, Expr][] = [
    ["add", ["add", "a", ["mul", 2, "b"]]],
    ["sub", ["sub", "b", "a"]],
    ["mul", ["mul", "a", "a"]],
    ["div", ["div", "a", ["add", "b", "a"]]],
    ["neg", ["neg", ["mul", "a", "b"]]],
    ["abs", ["abs", ["sub", "a", 3]]],
    ["sqrt", ["sqrt", ["mul", "a", 3]]],
    ["exp", ["exp", ["mul", -2, "a"]]],
    ["log", ["log", ["mul", "a", "b"]]],
    ["tanh", ["tanh", ["mul", 0.5, "a"]]],
    ["max", ["max", ["mul", "a", 2], "b"]],
    ["min", ["min", ["mul", "a", 2], "b"]],
    ["select", ["select", ["gt", "a", "b"], ["mul", "a", "a"], ["mul", 3, "a"]]],
  ];
  test.each(smooth)("%s", (_, e) => {
    for (const [a, b] of [
      [0.7, 1.9],
      [2.3, 0.4],
    ]) {
      const h = 1e-6;
      for (const [v, da, db] of [
        ["a", h, 0],
        ["b", 0, h],
      ] as const)
        expect(at(differentiate(e, v), a, b)).toBeCloseTo(
          (at(e, a + da, b + db) - at(e, a - da, b - db)) / (2 * h),
          6,
        );
    }
  });

  test("corners: 0 at abs(0), halves at ties of max and min, 0 through gt", () => {
    expect(at(differentiate(["abs", "a"], "a"), 0)).toBe(0);
    for (const fn of ["max", "min"] as const) {
      expect(at(differentiate([fn, "a", "b"], "a"), 2, 2)).toBe(0.5);
      expect(at(differentiate([fn, "a", "b"], "b"), 2, 2)).toBe(0.5);
    }
    expect(differentiate(["gt", "a", "b"], "a")).toBe(0);
    expect(differentiate(["select", "a", "b", 1], "a")).toBe(0);
  });

  test("derivatives stay small", () => {
    expect(differentiate(["add", ["mul", 3, "a"], 4], "a")).toBe(3);
    expect(differentiate(["mul", "a", "b"], "a")).toBe("b");
    expect(differentiate("b", "a")).toBe(0);
    expect(differentiate(7, "a")).toBe(0);
  });
});

test("constructors drop what is neutral", () => {
  expect([
    add(0, "a"),
    add("a", 0),
    sub("a", 0),
    sub(0, "a"),
    mul(1, "a"),
    mul("a", 1),
    mul(-1, "a"),
    mul("a", -1),
    mul(0, "a"),
    div("a", 1),
    div(0, "a"),
    neg(2),
  ]).toEqual(["a", "a", "a", ["neg", "a"], "a", "a", ["neg", "a"], ["neg", "a"], 0, "a", 0, -2]);
});

test("fold keeps the value for NaN and infinities too", () => {
  expect(fold(["add", ["mul", 2, 3], ["mul", "a", ["sub", 2, 1]]])).toEqual(["add", 6, "a"]);
  expect([
    fold(["add", "a", 0]),
    fold(["add", 0, "a"]),
    fold(["sub", "a", 0]),
    fold(["mul", 1, "a"]),
    fold(["div", "a", 1]),
  ]).toEqual(["a", "a", "a", "a", "a"]);
  expect(fold(["mul", 0, "a"])).toEqual(["mul", 0, "a"]);
  expect(fold(["sub", 0, "a"])).toEqual(["sub", 0, "a"]);
  expect(fold(["div", 1, 0])).toEqual(["div", 1, 0]);
  expect(fold(["select", ["gt", 2, 1], 5, 6])).toBe(5);
  expect(fold("a")).toBe("a");
});

const e = (fn: Expr) => at(fn, 4, -2, 0.5);

test("every function as numbers", () => {
  expect(e(["add", "a", "b"])).toBe(2);
  expect(e(["sub", "a", "b"])).toBe(6);
  expect(e(["mul", "a", "b"])).toBe(-8);
  expect(e(["div", "a", "b"])).toBe(-2);
  expect(e(["min", "a", "b"])).toBe(-2);
  expect(e(["max", "a", "b"])).toBe(4);
  expect(e(["neg", "a"])).toBe(-4);
  expect(e(["abs", "b"])).toBe(2);
  expect(e(["sqrt", "a"])).toBe(2);
  expect(e(["exp", 0])).toBe(1);
  expect(e(["log", 1])).toBe(0);
  expect(e(["tanh", 0])).toBe(0);
  expect([e(["gt", "a", "b"]), e(["gt", "b", "a"]), e(["gt", NaN, "a"])]).toEqual([1, 0, 0]);
  expect([e(["select", "c", "a", "b"]), e(["select", 0, "a", "b"])]).toEqual([4, -2]);
  expect(() => evaluator("q", ["a"])).toThrow("expr: unknown variable q");
});

test("variables, counts, substitution", () => {
  const e: Expr = ["add", ["mul", 2, "a"], ["exp", ["sub", "b", "y"]]];
  expect([...variables(e)]).toEqual(["a", "b", "y"]);
  expect(countFns(e)).toBe(4);
  expect(countFns("a")).toBe(0);
  expect(substitute(e, { a: 5, b: ["neg", "c"] })).toEqual([
    "add",
    ["mul", 2, 5],
    ["exp", ["sub", ["neg", "c"], "y"]],
  ]);
  const names = Array.from({ length: 40 }, (_, i) => variable(i));
  expect(names.slice(0, 3)).toEqual(["a", "b", "c"]);
  expect(new Set([...names, "y"]).size).toBe(41);
});

test("as people write it", () => {
  expect(formatExpr(["max", "a", 0])).toBe("max(a, 0)");
  expect(formatExpr(["sub", 1, ["mul", "y", "y"]])).toBe("1 − (y · y)");
  expect(formatExpr(["div", 1, ["add", 1, ["exp", ["neg", "a"]]]])).toBe("1 / (1 + exp(−a))");
  expect(formatExpr(["neg", ["gt", "a", "b"]])).toBe("−(a > b)");
});
