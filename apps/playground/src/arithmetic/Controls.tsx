// The parameters: one number where height and width agree, two where they do not.

import { useState } from "react";
import { Card, Stepper } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { RANGES, type CountName, type Pair, type PairName, type Setup } from "./setup.ts";

const SIZES: readonly PairName[] = ["input", "kernel", "stride", "dilation"];
const PAIRS: readonly PairName[] = [...SIZES, "padLo", "padHi", "outputPadding"];
const COUNTS: readonly CountName[] = ["ic", "oc", "groups"];

interface Props {
  setup: Setup;
  onChange(next: Setup): void;
}

export function Controls({ setup, onChange }: Props) {
  const t = useText();
  const uneven = PAIRS.some((name) => setup[name][0] !== setup[name][1]);
  const [apart, setApart] = useState(uneven);
  const both = !apart && !uneven;
  const square = () => {
    const squared = { ...setup };
    for (const name of PAIRS) squared[name] = [setup[name][0], setup[name][0]];
    onChange(squared);
  };
  const pair = (name: PairName, rows: readonly [string, string]) => (
    <PairStepper
      key={name}
      name={name}
      rows={both ? null : rows}
      value={setup[name]}
      onChange={(value) => onChange({ ...setup, [name]: value })}
    />
  );
  const sized = (name: PairName) =>
    pair(name, [`${t.parameters[name]}, ${t.height}`, `${t.parameters[name]}, ${t.width}`]);
  return (
    <Card title={t.parametersTitle} className="controls-card">
      <div className="controls">
        <Direction setup={setup} onChange={onChange} />
        <label className="check">
          <input
            type="checkbox"
            checked={both}
            onChange={(e) => {
              setApart(!e.target.checked);
              if (e.target.checked && uneven) square();
            }}
          />
          {t.squareOnly}
        </label>
        <div className={both ? "stepper-grid" : "stepper-grid two"}>
          {SIZES.map(sized)}
          {pair("padLo", [t.padTop, t.padLeft])}
          {pair("padHi", [t.padBottom, t.padRight])}
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

function Direction({ setup, onChange }: Props) {
  const t = useText();
  return (
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
  );
}

interface PairProps {
  name: PairName;
  /** Labels for height and width; null where one number is for both. */
  rows: readonly [string, string] | null;
  value: Pair;
  onChange(value: Pair): void;
}

function PairStepper({ name, rows, value: [h, w], onChange }: PairProps) {
  const t = useText();
  const range = RANGES[name];
  if (!rows)
    return (
      <Stepper
        label={t.parameters[name]}
        value={h}
        range={range}
        onChange={(v) => onChange([v, v])}
      />
    );
  return (
    <>
      <Stepper label={rows[0]} value={h} range={range} onChange={(v) => onChange([v, w])} />
      <Stepper label={rows[1]} value={w} range={range} onChange={(v) => onChange([h, v])} />
    </>
  );
}
