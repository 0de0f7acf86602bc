// Convolution arithmetic: one input, one kernel, every parameter, one step at a time. The address
// holds all state.

import { useEffect, useMemo, useRef, useState } from "react";
import { Share } from "../components/Share.tsx";
import { Card, CopyButton, UnusedParameters } from "../components/ui.tsx";
import type { Failure } from "../failure.ts";
import { useText, type Dictionary } from "../i18n/index.tsx";
import { failureText } from "../i18n/words.ts";
import { reader, wholeBelow } from "../parameters.ts";
import { setParams, useAddress } from "../url.ts";
import { convCode, torchCode } from "./code.ts";
import { Controls } from "./Controls.tsx";
import { Formula } from "./Formula.tsx";
import { figuresOf, pictureOf, type Figures, type Picture } from "./picture.ts";
import { Player } from "./Player.tsx";
import { problemOf, repairsOf } from "./problem.ts";
import {
  PICTURE,
  PICTURE_CELLS,
  PRESETS,
  readSetup,
  tooLarge,
  writeSetup,
  type PresetName,
  type Setup,
} from "./setup.ts";
import { Stage, type Cell } from "./Stage.tsx";

/**
 * A valid setup with its numbers, and its picture where it is small enough.
 */
interface Drawn {
  readonly setup: Setup;
  readonly figures: Figures;
  readonly picture: Picture | null;
}

function draw(setup: Setup): Drawn {
  const figures = figuresOf(setup);
  return { setup, figures, picture: figures.drawable ? pictureOf(setup) : null };
}

export function ArithmeticPage() {
  const t = useText();
  const address = useAddress();
  const { setup, unused } = useMemo(() => readSetup(address), [address]);
  const key = JSON.stringify(setup);
  const problem = useMemo(() => problemOf(setup), [key]);
  const fresh = useMemo(() => (problem ? null : draw(setup)), [key]);
  // While the parameters are not valid, the last valid picture stays, marked as such.
  const last = useRef<Drawn | null>(null);
  if (fresh) last.current = fresh;
  const shown = fresh ?? last.current;
  const [pointed, setPointed] = useState<Cell | null>(null);
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    setPointed(null);
    setPlaying(false);
  }, [key]);

  const change = (next: Setup) => setParams({ ...writeSetup(next), step: null });
  const steps = shown?.picture?.narrow.values.length ?? 0;
  const inStep = reader(address.params);
  const step = inStep.read("step", wholeBelow(Math.max(1, steps)), 0, "0");
  const setStep = (next: number) => {
    setPointed(null);
    setParams({ step: next === 0 ? null : `${next}` }, "replace");
  };
  const stale = problem ? " stale" : "";

  return (
    <div className="arithmetic">
      <Presets chosen={key} onChange={change} />
      <div className="page-bar">
        <Share carries={t.linkCarriesAll} />
      </div>
      <Controls setup={setup} onChange={change} />
      <div className="arithmetic-stage">
        <UnusedParameters unused={[...unused, ...inStep.unused]} />
        {problem && (
          <Mend
            problem={problem}
            setup={setup}
            last={last.current?.setup ?? null}
            onChange={change}
          />
        )}
        {shown?.picture ? (
          <Card title={problem ? t.lastPicture : t.picture} className={`stage-card${stale}`}>
            <Stage
              picture={shown.picture}
              step={step}
              playing={playing}
              pointed={pointed}
              onPoint={setPointed}
              onPick={setStep}
            />
            <Player
              steps={steps}
              step={step}
              playing={playing}
              onStep={setStep}
              onPlaying={setPlaying}
            />
          </Card>
        ) : (
          shown && (
            <Card title={t.numbersOnly} className={`stage-card${stale}`}>
              <p data-testid="too-large">{tooLargeText(shown.setup, t)}</p>
            </Card>
          )
        )}
      </div>
      {shown && <Numbers shown={shown} stale={stale} />}
    </div>
  );
}

interface PresetProps {
  /** The current setup, as JSON. */
  chosen: string;
  onChange(next: Setup): void;
}

function Presets({ chosen, onChange }: PresetProps) {
  const t = useText();
  return (
    <div className="presets" role="group" aria-label={t.presets}>
      {Object.entries(PRESETS).map(([name, preset]) => (
        <button
          key={name}
          type="button"
          className="chip"
          aria-pressed={chosen === JSON.stringify(preset)}
          onClick={() => onChange(preset)}
        >
          {t.presetNames[name as PresetName]}
        </button>
      ))}
    </div>
  );
}

/** The output size, and the same convolution as code. */
function Numbers({ shown: { setup, figures }, stale }: { shown: Drawn; stale: string }) {
  const t = useText();
  const { geometry } = figures;
  return (
    <>
      <Card title={t.outputSize} className={`formula-card${stale}`}>
        <Formula setup={setup} figures={figures} />
      </Card>
      <Card title={t.code} className={`code-card${stale}`}>
        <div className="codes">
          <CodeBlock title="Conv" language="ts" text={convCode(setup, geometry)} />
          <CodeBlock title="PyTorch" language="python" text={torchCode(setup, geometry)} />
        </div>
      </Card>
    </>
  );
}

/** The parameters that are too large for the picture, and their limits. */
function tooLargeText(setup: Setup, t: Dictionary): string {
  const names = tooLarge(setup);
  if (names.length === 0) return t.tooManyCells(PICTURE_CELLS);
  return t.tooLarge(names.map((name) => t.upTo(t.parameters[name], PICTURE[name])).join(t.comma));
}

/** Why a setup has no output, and buttons that fix it. */
function Mend({
  problem,
  setup,
  last,
  onChange,
}: {
  problem: Failure;
  setup: Setup;
  last: Setup | null;
  onChange(next: Setup): void;
}) {
  const t = useText();
  return (
    <section className="card error-card" role="alert">
      <h2>{t.noGeometry}</h2>
      <p>{failureText(problem, t)}</p>
      <div className="buttons">
        {repairsOf(setup).map(({ names, text, setup: mended }) => (
          <button
            key={names.join() + text}
            type="button"
            className="button small"
            onClick={() => onChange(mended)}
          >
            {names.length
              ? t.setTo(names.map((name) => t.parameters[name]).join(t.and), text)
              : t.mendAll}
          </button>
        ))}
        {last && (
          <button type="button" className="button small" onClick={() => onChange(last)}>
            {t.backToLast}
          </button>
        )}
      </div>
    </section>
  );
}

function CodeBlock({ title, language, text }: { title: string; language: string; text: string }) {
  const t = useText();
  return (
    <figure className="code">
      <figcaption>
        {title} <CopyButton text={text} label={t.copyCode(title)} />
      </figcaption>
      <pre tabIndex={0} aria-label={title} data-language={language}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}
