// The digit that the network looks at: drawn on the pad, or one of the test digits.

import { useEffect, useRef, useState } from "react";
import { useRestored } from "../canvas.ts";
import { Card } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { setParams } from "../url.ts";
import type { Client, NetworkState } from "./client.ts";
import { PIXELS } from "./data.ts";
import { encodeDigit } from "./drawing.ts";
import { DrawPad } from "./DrawPad.tsx";
import type { Sample } from "./protocol.ts";
import { Samples } from "./Samples.tsx";

const STRIP = 10; // samples shown at once

/** The test digit that is shown first: a 3. */
export const FIRST = 2;

/** The digit in the address. */
interface Asked {
  /** `draw=…`; null where it is absent. */
  readonly text: string | null;
  readonly drawn: Float32Array | null;
  readonly sample: number;
}

/** The current digit, and the actions that change it. */
export interface Digit {
  /** The selected sample, once it is loaded. */
  readonly chosen: Sample | undefined;
  /** Null until the sample is loaded. */
  readonly pixels: Float32Array | null;
  readonly empty: boolean;
  /** Whether the pad shows strokes that were drawn on it. */
  readonly drawing: boolean;
  draw(digit: Float32Array, done: boolean): void;
  pick(index: number): void;
  clear(): void;
  more(): void;
}

const startOf = (sample: number): number => Math.floor(sample / STRIP) * STRIP;

/** The digit of the address and the samples around it; the worker gets every change. */
export function useDigit(client: Client, { ready, samples }: NetworkState, asked: Asked): Digit {
  const { text, drawn, sample } = asked;
  const [strip, setStrip] = useState(startOf(sample));
  // While the pad shows strokes drawn on it, the address holds `strokes`.
  const [drawing, setDrawing] = useState(false);
  const strokes = useRef<string | null>(null);
  useEffect(() => {
    if (text !== strokes.current) setDrawing(false);
  }, [text]);
  // A cleared canvas has lost the strokes; the address still has them.
  const restored = useRestored();
  useEffect(() => setDrawing(false), [restored]);
  useEffect(() => {
    if (!ready) return;
    const indices = Array.from({ length: STRIP }, (_, i) => (strip + i) % ready.testCount);
    client.send({ type: "samples", indices });
  }, [client, ready, strip]);
  useEffect(() => {
    if (drawn) return;
    setStrip((now) => (sample >= now && sample < now + STRIP ? now : startOf(sample)));
  }, [sample, drawn]);

  const chosen = drawn ? undefined : samples.find((s) => s.index === sample);
  const pixels = drawn ?? chosen?.pixels ?? null;
  const look = (digit: Float32Array) => client.send({ type: "look", pixels: digit });
  useEffect(() => {
    if (ready && pixels) look(pixels);
  }, [client, ready, pixels]);
  return {
    chosen,
    pixels,
    empty: pixels !== null && pixels.every((v) => v === 0) && !drawing,
    drawing,
    draw(digit, done) {
      setDrawing(true);
      look(digit);
      if (!done) return;
      strokes.current = encodeDigit(digit);
      setParams({ draw: strokes.current, sample: null });
    },
    pick(index) {
      setDrawing(false);
      setParams({ sample: index === FIRST ? null : `${index}`, draw: null });
    },
    clear() {
      setDrawing(false);
      setParams({ draw: encodeDigit(new Float32Array(PIXELS)), sample: null });
    },
    more: () => setStrip((strip + STRIP) % (ready?.testCount ?? STRIP)),
  };
}

export function DigitInput({ digit, samples }: { digit: Digit; samples: readonly Sample[] }) {
  const t = useText();
  return (
    <Card
      title={t.inputTitle}
      className="input-card"
      aside={
        <button type="button" className="button quiet small" onClick={digit.clear}>
          {t.clear}
        </button>
      }
    >
      <DrawPad
        pixels={digit.drawing ? null : digit.pixels}
        hint={digit.empty}
        onDraw={digit.draw}
      />
      <Samples
        samples={samples}
        chosen={digit.chosen?.index ?? null}
        onPick={digit.pick}
        onMore={digit.more}
      />
    </Card>
  );
}
