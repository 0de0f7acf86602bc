// The parameters: one number where height and width agree, two where they do not.

import { useState } from "react";
import { Card, Stepper } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { RANGES, type CountName, type PairName, type Setup } from "./setup.ts";

const SIZES: readonly PairName[] = ["input", "kernel", "stride", "dilation"];
const COUNTS: readonly CountName[] = ["ic", "oc", "groups"];

export function Controls({ setup, onChange }: { setup: Setup; onChange(next: Setup): void }) {
  const t = useText();
  const uneven = [...SIZES, "padLo" as const, "padHi" as const, "outputPadding" as const].some(
    (name) => setup[name][0] !== setup[name][1],
  );
  const [apart, setApart] = useState(uneven);
  const both = !apart && !uneven;

  const pair = (name: PairName, label: string, rows: readonly [string, string]) => {
    const set = (axis: 0 | 1, value: number) =>
      onChange({
        ...setup,
        [name]: both
          ? [value, value]
          : axis === 0
            ? [value, setup[name][1]]
            : [setup[name][0], value],
      });
    if (both)
      return (
        <Stepper
          key={name}
          label={label}
          value={setup[name][0]}
          range={RANGES[name]}
          onChange={(v) => set(0, v)}
        />
      );
    return [0, 1].map((axis) => (
      <Stepper
        key={`${name}${axis}`}
        label={rows[axis]}
        value={setup[name][axis]}
        range={RANGES[name]}
        onChange={(v) => set(axis === 0 ? 0 : 1, v)}
      />
    ));
  };
  const sized = (name: PairName) =>
    pair(name, t.parameters[name], [
      `${t.parameters[name]}, ${t.height}`,
      `${t.parameters[name]}, ${t.width}`,
    ]);

  return (
    <Card title={t.parametersTitle} className="controls-card">
      <div className="controls">
        <div className="segments wide" role="group" aria-label={t.direction}>
          {[false, true].map((transposed) => (
            <button
              key={`${transposed}`}
              type="button"
              aria-pressed={setup.transposed === transposed}
              onClick={() => onChange({ ...setup, transposed })}
            >
              {transposed ? t.transposed : t.plain}
            </button>
          ))}
        </div>
        <label className="check">
          <input
            type="checkbox"
            checked={both}
            onChange={(e) => {
              setApart(!e.target.checked);
              if (!e.target.checked) return;
              const squared = { ...setup };
              for (const name of [
                ...SIZES,
                "padLo" as const,
                "padHi" as const,
                "outputPadding" as const,
              ])
                squared[name] = [setup[name][0], setup[name][0]];
              if (uneven) onChange(squared);
            }}
          />
          {t.squareOnly}
        </label>
        <div className={both ? "stepper-grid" : "stepper-grid two"}>
          {SIZES.map(sized)}
          {pair("padLo", t.parameters.padLo, [t.padTop, t.padLeft])}
          {pair("padHi", t.parameters.padHi, [t.padBottom, t.padRight])}
          {setup.transposed && sized("outputPadding")}
        </div>
        <div className="stepper-grid">
          {COUNTS.map((name) => (
            <Stepper
              key={name}
              label={t.parameters[name]}
              value={setup[name]}
              range={RANGES[name]}
              onChange={(v) => onChange({ ...setup, [name]: v })}
            />
          ))}
        </div>
      </div>
    </Card>
  );
}
