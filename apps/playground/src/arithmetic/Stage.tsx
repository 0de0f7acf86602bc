// Input, kernel and output side by side. For the current cell (pointed at, focused, or of the
// current step) the related cells show the products that join them, in the colors of their weights.

import { useMemo, type ReactNode } from "react";
import { limitOf } from "../color.ts";
import { useText } from "../i18n/index.tsx";
import { isPadding, nameOf, placeOf, type Picture, type Term } from "./picture.ts";
import { KernelPlane, Plane, signed, SIZE, type Product } from "./Planes.tsx";

export interface Cell {
  readonly side: "wide" | "narrow";
  readonly cell: number;
}

interface Props {
  picture: Picture;
  step: number;
  playing: boolean;
  pointed: Cell | null;
  onPoint(cell: Cell | null): void;
  /** Makes a window the current step. */
  onPick(step: number): void;
}

/** The size of a cell in pixels: smaller where there are many cells. */
const pixelsOf = ({ wide, narrow }: Picture): number => {
  const planes = Math.max(wide.channels, narrow.channels);
  const longest = Math.max(...wide.size, ...narrow.size);
  return planes > 2 ? 22 : planes > 1 ? (longest > 9 ? 22 : 27) : longest > 13 ? 28 : SIZE;
};

export function Stage({ picture, step, playing, pointed, onPoint, onPick }: Props) {
  const t = useText();
  const active = pointed ?? { side: "narrow", cell: step };
  const terms = (active.side === "narrow" ? picture.byNarrow : picture.byWide)[active.cell] ?? [];
  const related = useMemo(
    () =>
      new Map(
        terms.map((term): [number, Product] => {
          const { inputIs, weights } = picture;
          const product = { x: picture[inputIs].values[term[inputIs]], w: weights[term.w] };
          return [active.side === "narrow" ? term.wide : term.narrow, product];
        }),
      ),
    [terms, active.side, picture],
  );
  const { geometry: g } = picture;
  const limit = limitOf(picture.weights);
  const scale = pixelsOf(picture) / SIZE;
  const side = (which: "wide" | "narrow") => {
    const s = picture[which];
    const isInput = picture.inputIs === which;
    const name = isInput ? t.input : t.output;
    const size = s.size.map((v, a) => v - s.padLo[a] - s.padHi[a]);
    return (
      <Planes side={which} name={name} shape={[s.channels, ...size]} many={s.channels > 1}>
        {Array.from({ length: s.channels }, (_, c) => (
          <Plane
            key={c}
            name={name}
            side={s}
            channel={c}
            group={g.groups > 1 ? Math.floor(c / (s.channels / g.groups)) : null}
            active={active.side === which ? active.cell : null}
            related={active.side === which ? null : related}
            limit={limit}
            scale={scale}
            pending={playing && !isInput && which === "narrow" ? step : null}
            onPoint={(cell) => onPoint(cell === null ? null : { side: which, cell })}
            onPick={(cell) => which === "narrow" && onPick(cell)}
          />
        ))}
      </Planes>
    );
  };
  return (
    <div className="stage">
      <div className="stage-sides">
        {side(picture.inputIs)}
        <span className="operator" aria-hidden="true">
          ∗
        </span>
        <Kernel picture={picture} active={active} terms={terms} limit={limit} scale={scale} />
        <span className="operator" aria-hidden="true">
          =
        </span>
        {side(picture.inputIs === "wide" ? "narrow" : "wide")}
      </div>
      <p className="equation" data-testid="equation" aria-live={playing ? "off" : "polite"}>
        <Equation picture={picture} active={active} terms={terms} />
      </p>
    </div>
  );
}

interface PlanesProps {
  side: "wide" | "narrow" | "kernel";
  name: string;
  shape: readonly number[];
  many: boolean;
  children: ReactNode;
}

/** The channels of input, kernel or output, under its name and shape. */
const Planes = ({ side, name, shape, many, children }: PlanesProps) => (
  <div className="planes" data-side={side} role="group" aria-label={name}>
    <h3>
      {name} <span className="shape">{shape.join("×")}</span>
    </h3>
    <div className={`plane-list${many ? " many" : ""}`}>{children}</div>
  </div>
);

interface KernelProps {
  picture: Picture;
  active: Cell;
  terms: readonly Term[];
  limit: number;
  scale: number;
}

/** The kernel of the current output channel; the weights in use are highlighted. */
function Kernel({ picture, active, terms, limit, scale }: KernelProps) {
  const t = useText();
  const { geometry: g, narrow } = picture;
  const per = g.ic / g.groups; // channels of the wide side in a group
  const cell = active.side === "narrow" ? active.cell : (terms[0]?.narrow ?? 0);
  const used = new Set(terms.map((term) => term.w));
  return (
    <Planes side="kernel" name={t.kernel} shape={[g.oc, per, ...g.kernel]} many={per > 1}>
      {Array.from({ length: per }, (_, c) => (
        <KernelPlane
          key={c}
          picture={picture}
          outChannel={placeOf(narrow, cell)[0]}
          channel={c}
          used={used}
          limit={limit}
          scale={scale}
          showName={g.oc > 1 || per > 1}
        />
      ))}
    </Planes>
  );
}

/** The sum of an output, or the products of an input. */
function Equation({
  picture,
  active,
  terms,
}: {
  picture: Picture;
  active: Cell;
  terms: readonly Term[];
}): ReactNode {
  const t = useText();
  const { wide, narrow, weights } = picture;
  const isInput = active.side === picture.inputIs;
  const side = picture[active.side];
  const value = side.values[active.cell];
  const factor = (v: number) => (v < 0 ? `(${signed(v)})` : signed(v));
  if (isPadding(side, active.cell)) return <>{isInput ? t.isPadding : t.isCropped}</>;
  if (isInput) {
    const [from, to] = [nameOf(side, active.cell), active.side === "wide" ? narrow : wide];
    const targets = terms
      .map((term) => ({
        cell: active.side === "wide" ? term.narrow : term.wide,
        w: weights[term.w],
      }))
      .filter(({ cell }) => !isPadding(to, cell));
    return (
      <>
        <b>
          {t.inputSymbol}[{from}] = {signed(value)}
        </b>{" "}
        {t.isUsedBy(targets.length)}{" "}
        {targets
          .map(
            ({ cell, w }) =>
              `${factor(value)}·${factor(w)} = ${signed(value * w)} → ` +
              `${t.outputSymbol}[${nameOf(to, cell)}]`,
          )
          .join(", ")}
      </>
    );
  }
  const sum = terms.map((term) => {
    const x = active.side === "narrow" ? wide.values[term.wide] : narrow.values[term.narrow];
    return `${factor(x)}·${factor(weights[term.w])}`;
  });
  return (
    <>
      <b>
        {t.outputSymbol}[{nameOf(side, active.cell)}]
      </b>{" "}
      = {sum.join(" + ") || "0"} = <b>{signed(value)}</b>
    </>
  );
}
