// The prediction of the network: a probability for each digit.

import { useEffect, useState } from "react";
import { Card } from "../components/ui.tsx";
import { percent } from "../format.ts";
import { useText } from "../i18n/index.tsx";

/** Softmax in float64. */
export function probabilities(scores: Float32Array): number[] {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = Array.from(scores, (v) => Math.exp(v - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((v) => v / total);
}

interface Props {
  /** Null where there is no prediction: no digit yet, or an empty one. */
  scores: Float32Array | null;
  /** Whether the digit is empty. */
  empty: boolean;
  /** Whether the weights are trained. */
  trained: boolean;
  /** During training the prediction changes too often for screen readers. */
  quiet: boolean;
  label: number | null;
}

export function Answer({ scores: outputs, empty, trained, quiet, label }: Props) {
  const t = useText();
  const scores = outputs?.every(Number.isFinite) ? outputs : null;
  const none = empty ? t.answerEmpty : outputs && !scores ? t.answerNotFinite : "";
  const chances = scores ? probabilities(scores) : Array.from({ length: 10 }, () => 0);
  const told = (chance: number) => (scores ? percent(chance) : "–");
  const best = chances.reduce((b, v, i) => (v > chances[b] ? i : b), 0);
  const text = scores
    ? `${t.answer(best, percent(chances[best]))}${trained ? "" : `. ${t.answerUntrained}`}`
    : none;
  const spoken = useCalm(quiet ? "" : text);
  return (
    <Card title={t.answerTitle} className="answer-card">
      <p className="answer" aria-hidden="true">
        <span className={`answer-digit${trained ? "" : " pale"}`} data-testid="answer">
          {scores ? best : "\u00a0"}
        </span>
        <span className="answer-side">
          <b>{scores ? percent(chances[best]) : "\u00a0"}</b>
          {scores && !trained && <span className="note">{t.answerUntrained}</span>}
          {none && <span className="note">{none}</span>}
          {scores && label !== null && trained && (
            <span className={label === best ? "right" : "wrong"}>{t.isReally(label)}</span>
          )}
        </span>
      </p>
      <ul className="chances" data-testid="chances">
        {chances.map((chance, digit) => (
          <li key={digit} className={digit === best && scores ? "best" : ""}>
            <span className="visually-hidden">{t.probabilityOf(digit, told(chance))}</span>
            <span aria-hidden="true">{digit}</span>
            <span aria-hidden="true" className="chance-bar">
              <span style={{ width: `${chance * 100}%` }} />
            </span>
            <span aria-hidden="true" className="chance-number">
              {told(chance)}
            </span>
          </li>
        ))}
      </ul>
      <p className="visually-hidden" role="status" data-testid="spoken">
        {spoken}
      </p>
    </Card>
  );
}

/** The text, once it has not changed for half a second. */
function useCalm(text: string): string {
  const [calm, setCalm] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setCalm(text), 500);
    return () => clearTimeout(timer);
  }, [text]);
  return calm;
}
