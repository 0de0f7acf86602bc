// Test digits to choose from, also by keyboard.

import { useEffect, useRef } from "react";
import { useRestored } from "../canvas.ts";
import { Icon } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { SIDE } from "./data.ts";
import type { Sample } from "./protocol.ts";

interface Props {
  samples: readonly Sample[];
  chosen: number | null;
  onPick(index: number): void;
  onMore(): void;
}

export function Samples({ samples, chosen, onPick, onMore }: Props) {
  const t = useText();
  return (
    <div className="samples">
      <div className="samples-head">
        <h3>{t.samples}</h3>
        <button
          type="button"
          className="button quiet round small"
          aria-label={t.moreSamples}
          title={t.moreSamples}
          onClick={onMore}
        >
          <Icon name="shuffle" />
        </button>
      </div>
      <div className="sample-strip" role="group" aria-label={t.samples}>
        {samples.map((s) => (
          <button
            key={s.index}
            type="button"
            aria-label={t.sample(s.label)}
            aria-pressed={s.index === chosen}
            data-label={s.label}
            onClick={() => onPick(s.index)}
          >
            <Picture pixels={s.pixels} />
          </button>
        ))}
      </div>
    </div>
  );
}

function Picture({ pixels }: { pixels: Float32Array }) {
  const restored = useRestored();
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const image = new ImageData(SIDE, SIDE);
    pixels.forEach((v, i) => (image.data[i * 4 + 3] = Math.round(v * 255)));
    canvas.current?.getContext("2d")?.putImageData(image, 0, 0);
  }, [pixels, restored]);
  return <canvas ref={canvas} width={SIDE} height={SIDE} aria-hidden="true" />;
}
