// Where a digit is drawn with mouse, pen or finger. Shows the digit at hand until the first stroke
// begins a new one. The canvas holds black ink on nothing; the style sheet turns it light in the
// dark theme.

import { useEffect, useRef, type PointerEvent } from "react";
import { useRestored } from "../canvas.ts";
import { useText } from "../i18n/index.tsx";
import { SIDE } from "./data.ts";
import { asDigit } from "./drawing.ts";

const SIZE = 224; // pixels of the drawing, eight for each of the digit's
const STROKE = 18; // about as thick as MNIST's pens once scaled down

interface Props {
  /** The digit to show; null while one is being drawn here. */
  pixels: Float32Array | null;
  /** While drawing, and (`done`) at the end of each stroke. */
  onDraw(pixels: Float32Array, done: boolean): void;
  hint: boolean;
}

export function DrawPad({ pixels, onDraw, hint }: Props) {
  const t = useText();
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useRef(false); // whether what is on the canvas are strokes
  const last = useRef<readonly [number, number] | null>(null);
  const frame = useRef(0);

  const restored = useRestored();

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !pixels) return;
    drawing.current = false;
    const small = new OffscreenCanvas(SIDE, SIDE);
    const image = new ImageData(SIDE, SIDE);
    pixels.forEach((v, i) => (image.data[i * 4 + 3] = Math.round(v * 255)));
    small.getContext("2d")?.putImageData(image, 0, 0);
    context.clearRect(0, 0, SIZE, SIZE);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, SIZE, SIZE);
  }, [pixels, restored]);

  const digit = (): Float32Array => {
    const data = canvas.current?.getContext("2d")?.getImageData(0, 0, SIZE, SIZE).data ?? [];
    return asDigit(
      Float32Array.from({ length: SIZE * SIZE }, (_, i) => data[i * 4 + 3] / 255),
      SIZE,
    );
  };
  const place = (e: PointerEvent<HTMLCanvasElement>): readonly [number, number] => {
    const rect = e.currentTarget.getBoundingClientRect();
    return [
      ((e.clientX - rect.left) / rect.width) * SIZE,
      ((e.clientY - rect.top) / rect.height) * SIZE,
    ];
  };
  const stroke = (to: readonly [number, number]) => {
    const context = canvas.current?.getContext("2d");
    if (!context || !last.current) return;
    context.lineWidth = STROKE;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...last.current);
    context.lineTo(...to);
    context.stroke();
    last.current = to;
    frame.current ||= requestAnimationFrame(() => {
      frame.current = 0;
      onDraw(digit(), false);
    });
  };

  return (
    <div className="pad">
      <canvas
        ref={canvas}
        width={SIZE}
        height={SIZE}
        role="img"
        aria-label={t.drawHere}
        onPointerDown={(e) => {
          if (e.button !== 0) return;
          e.currentTarget.setPointerCapture(e.pointerId);
          if (!drawing.current) e.currentTarget.getContext("2d")?.clearRect(0, 0, SIZE, SIZE);
          drawing.current = true;
          last.current = place(e);
          stroke(last.current);
        }}
        onPointerMove={(e) => {
          if (!last.current) return;
          // All places since the last event, where the browser tells them.
          for (const moved of e.nativeEvent.getCoalescedEvents?.() ?? []) {
            const rect = e.currentTarget.getBoundingClientRect();
            stroke([
              ((moved.clientX - rect.left) / rect.width) * SIZE,
              ((moved.clientY - rect.top) / rect.height) * SIZE,
            ]);
          }
          stroke(place(e));
        }}
        onPointerUp={() => {
          if (!last.current) return;
          last.current = null;
          onDraw(digit(), true);
        }}
        onPointerCancel={() => (last.current = null)}
      />
      {hint && (
        <span className="pad-hint" aria-hidden="true">
          {t.drawHint}
        </span>
      )}
    </div>
  );
}
