// How one value is computed: window, weights, every product, their sum, bias and activation,
// compared with the value in the network.

import { memo, useEffect, useRef, useState } from "react";
import { useRestored } from "../canvas.ts";
import { cssColor, inkOn, limitOf } from "../color.ts";
import { Icon } from "../components/ui.tsx";
import { decimal, exact, short } from "../format.ts";
import { useText, type Dictionary } from "../i18n/index.tsx";
import { useTheme } from "../theme.ts";
import { describePlace, nameOf } from "./describe.ts";
import type { Step } from "./elementwise.ts";
import { agrees, type Explanation, type Group, type Kind, type Term } from "./explain.ts";
import type { Choice } from "./NetworkView.tsx";
import { mapsOf, type Network } from "./stages.ts";

interface Props {
  network: Network;
  choice: Choice | null;
  explanation: Explanation | null;
  /** Whether there are values to explain yet. */
  ready: boolean;
  onClose(): void;
}

export const Inspector = memo(function Inspector({
  network,
  choice,
  explanation,
  ready,
  onClose,
}: Props) {
  const t = useText();
  return (
    <section className={`card inspector${choice ? " open" : ""}`} aria-labelledby="inspector-title">
      <header className="card-head">
        <h2 id="inspector-title" tabIndex={-1}>
          {t.inspectorTitle}
        </h2>
        {choice && (
          <button
            type="button"
            className="button quiet round"
            aria-label={t.close}
            onClick={onClose}
          >
            <Icon name="close" />
          </button>
        )}
      </header>
      {choice && explanation ? (
        <Taken key={choice.stage.name} network={network} choice={choice} e={explanation} />
      ) : (
        <p className="note">{!choice ? t.inspectorEmpty : ready ? t.notExplained : t.starting}</p>
      )}
    </section>
  );
});

function Taken({
  network,
  choice: { stage, index },
  e,
}: {
  network: Network;
  choice: Choice;
  e: Explanation;
}) {
  const t = useText();
  const place = describePlace(stage.maps, index, t);
  const difference = Math.abs(e.result - e.shown);
  const isEqual = agrees(e);
  return (
    <div className="taken" data-testid="inspector" data-stage={stage.name} data-index={index}>
      <p className="taken-place" aria-live="polite">
        <span className="stage-name">{stage.name}</span> {place}
      </p>
      <Derivation stage={stage} e={e} />
      <div className={`verdict ${isEqual ? "good" : "bad"}`}>
        <dl>
          <div>
            <dt>{t.computed}</dt>
            <dd data-testid="computed" data-value={e.result}>
              {exact(e.result)}
            </dd>
          </div>
          <div>
            <dt>{t.shownValue}</dt>
            <dd data-testid="shown" data-value={e.shown}>
              {exact(e.shown)}
            </dd>
          </div>
        </dl>
        <p data-testid="verdict">
          <b>
            <Icon name={isEqual ? "check" : "close"} />{" "}
            {isEqual
              ? t.matches(scientific(difference))
              : t.differs(scientific(difference), scientific(e.tolerance))}
          </b>
        </p>
      </div>
      {e.kind === "join" ? <Joined network={network} groups={e.groups} /> : <Products e={e} />}
    </div>
  );
}

/** `3.1e−8`. */
const scientific = (value: number): string =>
  value === 0 ? "0" : value.toExponential(1).replace("e-", "e\u2212");

/** The operation on the window, in words. */
function headOf(kind: Kind, n: number, steps: Choice["stage"]["steps"], t: Dictionary): string {
  switch (kind) {
    case "products":
      return t.sumOfProducts(n);
    case "mean":
      return t.meanOf(n);
    case "maximum":
      return t.largestOf(n);
    case "squares":
      return t.sumOfSquares(n);
    case "values":
      return t.sumOfValues(n);
    case "softmax":
      return t.exponential;
    case "join":
      return steps[0]?.kind === "sum" ? t.sumOfValues(n) : t.functionOf(n);
  }
}

const SIGNS = { add: "+", sub: "−", mul: "×", div: "÷", apply: "" } as const;

function stepName(what: Step["what"], t: Dictionary): string {
  if (typeof what === "object") return what.text;
  return what in t.activations
    ? t.activations[what as keyof typeof t.activations]
    : t.operands[what as keyof typeof t.operands];
}

/** Sum or maximum, then the steps after it, one line each. */
function Derivation({ stage, e }: { stage: Choice["stage"]; e: Explanation }) {
  const t = useText();
  const n = e.groups.reduce((sum, g) => sum + g.terms.length, 0);
  return (
    <table className="derivation">
      <tbody>
        <tr>
          <th scope="row">{headOf(e.kind, n, stage.steps, t)}</th>
          <td data-testid="total" data-value={e.total}>
            {decimal(e.total, 5)}
          </td>
        </tr>
        {e.steps.map(({ sign, what, operand, result }, i) => (
          <tr key={i} data-step={typeof what === "object" ? "expression" : what}>
            <th scope="row">
              {SIGNS[sign]} {stepName(what, t)}{" "}
              {operand !== null && <span className="mono">{decimal(operand, 5)}</span>}
            </th>
            <td data-value={result}>{decimal(result, 5)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Values at the same position in several stages. */
function Joined({ network, groups }: { network: Network; groups: readonly Group[] }) {
  const t = useText();
  return (
    <>
      <h3>{t.valuesAtPlace}</h3>
      <table className="derivation">
        <tbody>
          {groups.map(({ source, terms: [{ at, x }] }, i) => (
            <tr key={i}>
              <th scope="row">
                <span className="stage-name">{nameOf(source, network)}</span>{" "}
                {at !== null && describePlace(mapsOf(source.shape), at, t)}
              </th>
              <td data-product={x}>{decimal(x, 5)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Products({ e }: { e: Explanation }) {
  const t = useText();
  const [chosen, setChosen] = useState(0);
  const [bySize, setBySize] = useState(false);
  const group = e.groups[Math.min(chosen, e.groups.length - 1)];
  if (!group) return null;
  const isMax = e.kind === "maximum";
  const marksOne = isMax || e.kind === "softmax";
  const limit = limitOf(e.groups.flatMap((g) => g.terms.map((term) => term.product)));
  const sorted = bySize
    ? group.terms.toSorted((a, b) => Math.abs(b.product) - Math.abs(a.product))
    : group.terms;
  const name = e.kind === "squares" ? t.squares : e.kind === "products" ? t.products : t.windowOf;
  const columns = group.columns && !bySize ? group.columns : 5;
  return (
    <>
      {e.groups.length > 1 && <ChannelSums groups={e.groups} chosen={group} onChoose={setChosen} />}
      {group.columns > 1 && e.kind === "products" && <Thumbnails group={group} />}
      <div className="products-head">
        <h3>{name}</h3>
        {!isMax && group.terms.length > 30 && (
          <div className="segments" role="group" aria-label={t.sortBy}>
            <button type="button" aria-pressed={!bySize} onClick={() => setBySize(false)}>
              {t.byPosition}
            </button>
            <button type="button" aria-pressed={bySize} onClick={() => setBySize(true)}>
              {t.bySize}
            </button>
          </div>
        )}
      </div>
      <ul
        className="products"
        style={{
          gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
          maxWidth: columns * 84,
        }}
        tabIndex={0}
        aria-label={name}
      >
        {sorted.map((term, i) => (
          <Product
            key={i}
            term={term}
            limit={limit}
            kind={e.kind}
            wins={marksOne && term === e.groups[0].terms[e.winner ?? -1]}
          />
        ))}
      </ul>
    </>
  );
}

function Product({
  term: { at, x, weight, product },
  limit,
  kind,
  wins,
}: {
  term: Term;
  limit: number;
  kind: Kind;
  wins: boolean;
}) {
  const t = useText();
  const theme = useTheme();
  const style = {
    background: cssColor(product, limit, theme),
    color: inkOn(product, limit, theme),
  };
  const isSquare = kind === "squares";
  const label =
    termLabel({ x, weight, product }, kind, t) +
    (wins && kind === "maximum" ? `, ${t.winner}` : "");
  return (
    <li
      className={`product${at === null ? " outside" : ""}${wins ? " wins" : ""}`}
      style={style}
      title={label}
      data-product={product}
    >
      <span className="visually-hidden">{at === null ? `${t.paddingTerm}: ${label}` : label}</span>
      <span aria-hidden="true">{short(x)}</span>
      {weight !== null && (
        <span aria-hidden="true">{isSquare ? `−(${short(weight)})` : `×${short(weight)}`}</span>
      )}
      {(weight !== null || kind === "softmax") && <b aria-hidden="true">{short(product)}</b>}
      {wins && kind === "maximum" && <b aria-hidden="true">{t.winner}</b>}
    </li>
  );
}

function termLabel(
  { x, weight, product }: Pick<Term, "x" | "weight" | "product">,
  kind: Kind,
  t: Dictionary,
): string {
  if (kind === "softmax") return t.exponentialLabel(decimal(x, 5), decimal(product, 6));
  if (weight === null) return decimal(x, 5);
  return (kind === "squares" ? t.squareLabel : t.termLabel)(
    decimal(x, 5),
    decimal(weight, 5),
    decimal(product, 6),
  );
}

/** Bars of the sums of each input channel; one channel is shown below. */
function ChannelSums({
  groups,
  chosen,
  onChoose,
}: {
  groups: readonly Group[];
  chosen: Group;
  onChoose(index: number): void;
}) {
  const t = useText();
  const theme = useTheme();
  const limit = limitOf(groups.map((g) => g.sum));
  return (
    <div className="channel-sums">
      <h3>{t.channelSums}</h3>
      <div role="group" aria-label={t.channelSums} className="channel-bars">
        {groups.map((g, i) => (
          <button
            key={g.channel}
            type="button"
            aria-pressed={g === chosen}
            aria-label={t.channelSum(g.channel, decimal(g.sum, 4))}
            title={t.channelSum(g.channel, decimal(g.sum, 4))}
            onClick={() => onChoose(i)}
          >
            <span className="bar-field" aria-hidden="true">
              <span
                className={g.sum < 0 ? "bar below" : "bar"}
                style={{
                  height: `${limit ? (Math.abs(g.sum) / limit) * 50 : 0}%`,
                  background: cssColor(Math.sign(g.sum) * 0.66, 1, theme),
                }}
              />
            </span>
            <span aria-hidden="true">{g.channel}</span>
          </button>
        ))}
      </div>
    </div>
  );
}

/** Window, weights and products as three small pictures. */
function Thumbnails({ group }: { group: Group }) {
  const t = useText();
  const pictures: [string, number[]][] = [
    [t.windowOf, group.terms.map((term) => term.x)],
    [t.weights, group.terms.map((term) => term.weight ?? 0)],
    [t.products, group.terms.map((term) => term.product)],
  ];
  return (
    <div className="thumbnails">
      {pictures.map(([name, values], i) => (
        <figure key={name}>
          {i > 0 && (
            <span className="thumb-sign" aria-hidden="true">
              {i === 1 ? "×" : "="}
            </span>
          )}
          <Thumbnail values={values} columns={group.columns} />
          <figcaption>{name}</figcaption>
        </figure>
      ))}
    </div>
  );
}

function Thumbnail({ values, columns }: { values: readonly number[]; columns: number }) {
  const theme = useTheme();
  const restored = useRestored();
  const canvas = useRef<HTMLCanvasElement>(null);
  const limit = limitOf(values);
  const rows = Math.ceil(values.length / columns);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    values.forEach((v, i) => {
      context.fillStyle = cssColor(v, limit, theme);
      context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
    });
  }, [values, columns, limit, theme, restored]);
  return <canvas ref={canvas} width={columns} height={rows} aria-hidden="true" />;
}
