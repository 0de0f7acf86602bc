// The output size: the formula in letters, then with the numbers, one line for each axis.

import type { ReactNode } from "react";
import { count } from "../format.ts";
import { useLanguage, useText } from "../i18n/index.tsx";
import type { Figures } from "./picture.ts";
import type { Setup } from "./setup.ts";

const Floor = ({ top, bottom }: { top: ReactNode; bottom: ReactNode }) => (
  <span className="floored">
    <span className="fraction">
      <span>{top}</span>
      <span>{bottom}</span>
    </span>
  </span>
);

const letter = (name: string) => <i>{name}</i>;

const LETTERS = {
  plain: {
    text: "o = ⌊(i + p0 + p1 − (k − 1)·d − 1) / s⌋ + 1",
    body: (
      <>
        <Floor
          top={
            <>
              {letter("i")} + {letter("p")}
              <sub>0</sub> + {letter("p")}
              <sub>1</sub> − ({letter("k")} − 1)·{letter("d")} − 1
            </>
          }
          bottom={letter("s")}
        />{" "}
        + 1
      </>
    ),
  },
  transposed: {
    text: "o = (i − 1)·s − p0 − p1 + (k − 1)·d + 1 + q",
    body: (
      <>
        ({letter("i")} − 1)·{letter("s")} − {letter("p")}
        <sub>0</sub> − {letter("p")}
        <sub>1</sub> + ({letter("k")} − 1)·{letter("d")} + 1 + {letter("q")}
      </>
    ),
  },
};

/** The formula of one axis with its numbers. */
function axisOf({ input, outputPadding, transposed }: Setup, { geometry: g }: Figures, a: number) {
  const [i, k, s, d] = [input[a], g.kernel[a], g.stride[a], g.dilation[a]];
  const [lo, hi] = [g.padLo[a], g.padHi[a]];
  if (transposed) {
    const text = `(${i} − 1)·${s} − ${lo} − ${hi} + (${k} − 1)·${d} + 1 + ${outputPadding[a]}`;
    return { size: g.input[a], text, body: text };
  }
  const top = `${i} + ${lo} + ${hi} − (${k} − 1)·${d} − 1`;
  const body = (
    <>
      <Floor top={top} bottom={s} /> + 1
    </>
  );
  return { size: g.output[a], text: `⌊(${top}) / ${s}⌋ + 1`, body };
}

export function Formula({ setup, figures }: { setup: Setup; figures: Figures }) {
  const t = useText();
  const letters = LETTERS[setup.transposed ? "transposed" : "plain"];
  const [h, w] = [axisOf(setup, figures, 0), axisOf(setup, figures, 1)];
  const shown =
    h.text === w.text
      ? [{ ...h, name: t.bothAxes }]
      : [
          { ...h, name: t.height },
          { ...w, name: t.width },
        ];
  return (
    <div className="formula">
      <p className="formula-line" role="math" aria-label={letters.text}>
        <span className="formula-name" />
        <span className="formula-body">
          {letter("o")} = {letters.body}
        </span>
      </p>
      {shown.map(({ name, size, text, body }) => (
        <p
          key={name}
          className="formula-line"
          role="math"
          aria-label={`${name}: ${text} = ${size}`}
          data-testid="size"
        >
          <span className="formula-name">{name}</span>
          <span className="formula-body">
            {body} = <b>{size}</b>
          </span>
        </p>
      ))}
      <Totals figures={figures} />
      <p className="note">{setup.transposed ? t.formulaNoteTransposed : t.formulaNote}</p>
    </div>
  );
}

/** Shapes, parameters and multiply-accumulates. */
function Totals({ figures: { x, w, y, weights, macs } }: { figures: Figures }) {
  const t = useText();
  const language = useLanguage();
  const rows = [
    [t.shapesOf, `${x.join("×")} ∗ ${w.join("×")} → ${y.join("×")}`],
    [t.weightsAndBias, t.withBias(count(weights, language), count(y[1], language))],
    [t.macs, count(macs, language)],
  ];
  return (
    <dl className="numbers" data-testid="numbers">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
