// Steps through the windows: play, one step back or forward, a slider, and the left and right arrow
// keys anywhere on the page where they have no other use.

import { useEffect, useEffectEvent, useState } from "react";
import { Icon } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";

interface Props {
  steps: number;
  step: number;
  playing: boolean;
  onStep(step: number): void;
  onPlaying(playing: boolean): void;
}

const SPEEDS = [1, 2, 4, 8, 16]; // steps a second

export function Player({ steps, step, playing, onStep, onPlaying }: Props) {
  const t = useText();
  const [speed, setSpeed] = useState(1);
  const go = (by: number) => {
    onPlaying(false);
    onStep((step + by + steps) % steps);
  };
  const tick = useEffectEvent(() => {
    if (step + 1 < steps) onStep(step + 1);
    else onPlaying(false);
  });
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(tick, 1000 / SPEEDS[speed]);
    return () => clearInterval(timer);
  }, [playing, speed]);

  const onKey = useEffectEvent((e: KeyboardEvent) => {
    if (e.defaultPrevented || e.altKey || e.ctrlKey || e.metaKey) return;
    if (
      e.target instanceof Element &&
      e.target.closest("input, select, textarea, pre, [role=gridcell]")
    )
      return;
    if (e.key === "ArrowLeft" || e.key === "ArrowRight") {
      e.preventDefault();
      go(e.key === "ArrowLeft" ? -1 : 1);
    }
  });
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  const play = () => {
    if (!playing && step + 1 >= steps) onStep(0);
    onPlaying(!playing);
  };
  return (
    <div className="player" role="group" aria-label={t.player}>
      <button
        type="button"
        className="button primary round"
        aria-label={playing ? t.pause : t.play}
        onClick={play}
      >
        <Icon name={playing ? "pause" : "play"} />
      </button>
      <button type="button" className="button round" aria-label={t.stepBack} onClick={() => go(-1)}>
        <Icon name="back" />
      </button>
      <button
        type="button"
        className="button round"
        aria-label={t.stepForward}
        onClick={() => go(1)}
      >
        <Icon name="forward" />
      </button>
      <label className="player-position">
        <span>{t.step(step + 1, steps)}</span>
        <input
          type="range"
          min={0}
          max={steps - 1}
          value={step}
          onChange={(e) => (onPlaying(false), onStep(Number(e.target.value)))}
        />
      </label>
      <label className="player-speed">
        <span>{t.speed(SPEEDS[speed])}</span>
        <input
          type="range"
          min={0}
          max={SPEEDS.length - 1}
          value={speed}
          onChange={(e) => setSpeed(Number(e.target.value))}
        />
      </label>
    </div>
  );
}
