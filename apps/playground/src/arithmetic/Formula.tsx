// The output size, first in letters and then in the numbers at hand, an axis a line.

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

export function Formula({ setup, figures }: { setup: Setup; figures: Figures }) {
  const t = useText();
  const language = useLanguage();
  const { geometry: g } = figures;
  const v = (name: string) => <i>{name}</i>;
  const letters = setup.transposed ? (
    <>
      ({v("i")} − 1)·{v("s")} − {v("p")}
      <sub>0</sub> − {v("p")}
      <sub>1</sub> + ({v("k")} − 1)·{v("d")} + 1 + {v("q")}
    </>
  ) : (
    <>
      <Floor
        top={
          <>
            {v("i")} + {v("p")}
            <sub>0</sub> + {v("p")}
            <sub>1</sub> − ({v("k")} − 1)·{v("d")} − 1
          </>
        }
        bottom={v("s")}
      />{" "}
      + 1
    </>
  );
  const axes = setup.input.map((i, a) => {
    const [k, s, d, lo, hi, q] = [
      g.kernel[a],
      g.stride[a],
      g.dilation[a],
      g.padLo[a],
      g.padHi[a],
      setup.outputPadding[a],
    ];
    const size = setup.transposed ? g.input[a] : g.output[a];
    const text = setup.transposed
      ? `(${i} − 1)·${s} − ${lo} − ${hi} + (${k} − 1)·${d} + 1 + ${q}`
      : `⌊(${i} + ${lo} + ${hi} − (${k} − 1)·${d} − 1) / ${s}⌋ + 1`;
    const body = setup.transposed ? (
      text
    ) : (
      <>
        <Floor top={`${i} + ${lo} + ${hi} − (${k} − 1)·${d} − 1`} bottom={s} /> + 1
      </>
    );
    return { size, text, body };
  });
  const equal = axes[0].text === axes[1].text;
  const shown = equal
    ? [{ ...axes[0], name: t.bothAxes }]
    : axes.map((axis, a) => ({ ...axis, name: a === 0 ? t.height : t.width }));
  return (
    <div className="formula">
      <p
        className="formula-line"
        role="math"
        aria-label={
          setup.transposed
            ? "o = (i − 1)·s − p0 − p1 + (k − 1)·d + 1 + q"
            : "o = ⌊(i + p0 + p1 − (k − 1)·d − 1) / s⌋ + 1"
        }
      >
        <span className="formula-name" />
        <span className="formula-body">
          {v("o")} = {letters}
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
      <dl className="numbers" data-testid="numbers">
        {[
          [t.shapesOf, `${figures.x.join("×")} ∗ ${figures.w.join("×")} → ${figures.y.join("×")}`],
          [
            t.weightsAndBias,
            t.withBias(count(figures.weights, language), count(figures.y[1], language)),
          ],
          [t.macs, count(figures.macs, language)],
        ].map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="note">{setup.transposed ? t.formulaNoteTransposed : t.formulaNote}</p>
    </div>
  );
}
