// The pad on which a digit is drawn with mouse, pen or finger. It shows the current digit until the
// first stroke starts a new one. The canvas has black ink on a transparent ground; the style sheet
// inverts it in the dark theme.

import { useEffect, useRef, type PointerEvent } from "react";
import { useRestored } from "../canvas.ts";
import { useText } from "../i18n/index.tsx";
import { SIDE } from "./data.ts";
import { asDigit } from "./drawing.ts";

const SIZE = 224; // pixels of the drawing, eight for each of the digit's
const STROKE = 18; // about the stroke width of MNIST after scaling

interface Props {
  /** The digit to show; null while one is being drawn here. */
  pixels: Float32Array | null;
  /** While drawing, and (`done`) at the end of each stroke. */
  onDraw(pixels: Float32Array, done: boolean): void;
  hint: boolean;
}

type Point = readonly [x: number, y: number];

/** A place on the page in pixels of the drawing. */
function pointOf(canvas: HTMLCanvasElement, e: { clientX: number; clientY: number }): Point {
  const rect = canvas.getBoundingClientRect();
  return [
    ((e.clientX - rect.left) / rect.width) * SIZE,
    ((e.clientY - rect.top) / rect.height) * SIZE,
  ];
}

function drawLine(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  context.lineWidth = STROKE;
  context.lineCap = "round";
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

/** Draws 28×28 pixels over the whole canvas. */
function drawDigit(context: CanvasRenderingContext2D, pixels: Float32Array): void {
  const small = new OffscreenCanvas(SIDE, SIDE);
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((v, i) => (image.data[i * 4 + 3] = Math.round(v * 255)));
  small.getContext("2d")?.putImageData(image, 0, 0);
  context.clearRect(0, 0, SIZE, SIZE);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, SIZE, SIZE);
}

/** The drawing as a digit of 28×28 pixels. */
function digitOf(canvas: HTMLCanvasElement | null): Float32Array {
  const data = canvas?.getContext("2d")?.getImageData(0, 0, SIZE, SIZE).data ?? [];
  return asDigit(
    Float32Array.from({ length: SIZE * SIZE }, (_, i) => data[i * 4 + 3] / 255),
    SIZE,
  );
}

export function DrawPad({ pixels, onDraw, hint }: Props) {
  const t = useText();
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useRef(false); // whether the canvas shows strokes
  const last = useRef<Point | null>(null);
  const frame = useRef(0);
  const restored = useRestored();
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !pixels) return;
    drawing.current = false;
    drawDigit(context, pixels);
  }, [pixels, restored]);

  const stroke = (to: Point) => {
    const context = canvas.current?.getContext("2d");
    if (!context || !last.current) return;
    drawLine(context, last.current, to);
    last.current = to;
    frame.current ||= requestAnimationFrame(() => {
      frame.current = 0;
      onDraw(digitOf(canvas.current), false);
    });
  };
  const begin = (e: PointerEvent<HTMLCanvasElement>) => {
    if (e.button !== 0) return;
    e.currentTarget.setPointerCapture(e.pointerId);
    if (!drawing.current) e.currentTarget.getContext("2d")?.clearRect(0, 0, SIZE, SIZE);
    drawing.current = true;
    last.current = pointOf(e.currentTarget, e);
    stroke(last.current);
  };
  const move = (e: PointerEvent<HTMLCanvasElement>) => {
    if (!last.current) return;
    // All positions since the last event, where the browser reports them.
    for (const moved of e.nativeEvent.getCoalescedEvents?.() ?? [])
      stroke(pointOf(e.currentTarget, moved));
    stroke(pointOf(e.currentTarget, e));
  };
  const end = () => {
    if (!last.current) return;
    last.current = null;
    onDraw(digitOf(canvas.current), true);
  };
  return (
    <div className="pad">
      <canvas
        ref={canvas}
        width={SIZE}
        height={SIZE}
        role="img"
        aria-label={t.drawHere}
        onPointerDown={begin}
        onPointerMove={move}
        onPointerUp={end}
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
