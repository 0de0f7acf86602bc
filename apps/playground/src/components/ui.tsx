// Controls that both pages use.

import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { useText } from "../i18n/index.tsx";
import type { Unused } from "../parameters.ts";

const PATHS = {
  play: "M6 4.5v11l9-5.5z",
  pause: "M6 4.5h3v11H6zM11.5 4.5h3v11h-3z",
  back: "M12.5 4.5 7 10l5.5 5.5z",
  forward: "M7.5 4.5 13 10l-5.5 5.5z",
  reset:
    "M10 4a6 6 0 1 0 5.9 7h-1.7A4.3 4.3 0 1 1 10 5.7c1.2 0 2.2.5 3 1.3L10.7 9.3H16V4l-1.8 1.8A6 6 0 0 0 10 4z",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM9.3 2h1.4v2.5H9.3zM9.3 15.5h1.4V18H9.3zM2 9.3h2.5v1.4H2zM15.5 9.3H18v1.4h-2.5zM3.9 4.9l1-1 1.7 1.7-1 1zM13.4 14.4l1-1 1.7 1.7-1 1zM3.9 15.1l1.7-1.7 1 1-1.7 1.7zM13.4 5.6l1.7-1.7 1 1-1.7 1.7z",
  moon: "M8 3a7 7 0 1 0 9 9 6 6 0 0 1-9-9z",
  download: "M9.2 3h1.6v7.2l2.6-2.6 1.1 1.1L10 13.2 5.5 8.7l1.1-1.1 2.6 2.6zM4 15h12v1.6H4z",
  upload: "M9.2 13.2V6L6.6 8.6 5.5 7.5 10 3l4.5 4.5-1.1 1.1L10.8 6v7.2zM4 15h12v1.6H4z",
  shuffle:
    "M13 4h4v4l-1.5-1.5-3.3 3.3-1-1 3.3-3.3zM3 5.6 4.1 4.5l4 4-1.1 1.1zM17 12v4h-4l1.5-1.5-3.3-3.3 1-1 3.3 3.3zM3 14.4l8-8 1.1 1.1-8 8z",
  close:
    "M5.4 4.3 10 8.9l4.6-4.6 1.1 1.1L11.1 10l4.6 4.6-1.1 1.1L10 11.1l-4.6 4.6-1.1-1.1L8.9 10 4.3 5.4z",
  check: "m8.3 14.8-4.5-4.5 1.2-1.2 3.3 3.3 7-7 1.2 1.2z",
  copy: "M7 3h9v11h-2.5v3H4V6h3zm1.6 3h4.9v6.4h.9V4.6H8.6zM5.6 7.6v7.8h6.3V7.6z",
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { name: IconName }) => (
  <svg className="icon" viewBox="0 0 20 20" aria-hidden="true">
    <path d={PATHS[name]} fillRule="evenodd" />
  </svg>
);

/** Lists the parameters of the address that are not valid. */
export function UnusedParameters({ unused }: { unused: readonly Unused[] }) {
  const t = useText();
  const labels: Readonly<Partial<Record<string, string>>> = t.parameters;
  return unused.map(({ name, given, used }) => (
    <p key={name} className="notice bad" role="alert">
      {t.unusedParameter(labels[name] ?? name, given.slice(0, 40), used)}
    </p>
  ));
}

interface StepperProps {
  label: string;
  value: number;
  range: readonly [number, number];
  onChange(value: number): void;
}

/** A whole number: typed, stepped by arrow keys, or by the buttons next to it. */
export function Stepper({ label, value, range: [min, max], onChange }: StepperProps) {
  const id = useId();
  const t = useText();
  const [text, setText] = useState<string | null>(null);
  const typed = text === null ? value : /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  const wrong = !(typed >= min && typed <= max);
  const change = (next: number) => {
    if (Number.isInteger(next) && next >= min && next <= max && next !== value) onChange(next);
  };
  return (
    <div className="stepper">
      <label htmlFor={id}>{label}</label>
      <div className="stepper-box">
        <button
          type="button"
          tabIndex={-1}
          aria-hidden="true"
          disabled={value <= min}
          onClick={() => change(value - 1)}
        >
          −
        </button>
        <input
          id={id}
          type="number"
          inputMode="numeric"
          min={min}
          max={max}
          value={text ?? value}
          size={5}
          aria-invalid={wrong}
          aria-describedby={wrong ? `${id}-note` : undefined}
          onChange={(e) => {
            setText(e.target.value);
            change(Number.parseInt(e.target.value, 10));
          }}
          onBlur={() => setText(null)}
        />
        <button
          type="button"
          tabIndex={-1}
          aria-hidden="true"
          disabled={value >= max}
          onClick={() => change(value + 1)}
        >
          +
        </button>
      </div>
      {wrong && (
        <p id={`${id}-note`} className="stepper-note" role="alert">
          {t.outOfRange(min, max, value)}
        </p>
      )}
    </div>
  );
}

/** Copies `text`, and confirms it for a moment. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const t = useText();
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setDone(false), 1500);
  };
  return (
    <button
      type="button"
      className="button quiet small"
      aria-label={label}
      onClick={() => void copy()}
    >
      <Icon name={done ? "check" : "copy"} />
      <span aria-live="polite">{done ? t.copied : t.copy}</span>
    </button>
  );
}

/** A titled part of a page. */
export function Card({
  title,
  aside,
  className = "",
  children,
}: {
  title: string;
  aside?: ReactNode;
  className?: string;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={`card ${className}`} aria-labelledby={id}>
      <header className="card-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}
