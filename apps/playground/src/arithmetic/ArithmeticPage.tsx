// Convolution arithmetic: one input, one kernel, every parameter, one step at a time. All state is in the address.

import { ShapeError } from "@conv/tensor";
import { useEffect, useMemo, useState } from "react";
import { Card, CopyButton } from "../components/ui.tsx";
import { useText } from "../i18n/index.tsx";
import { setParams, useAddress } from "../url.ts";
import { convCode, torchCode } from "./code.ts";
import { Controls } from "./Controls.tsx";
import { Formula } from "./Formula.tsx";
import { pictureOf, type Picture } from "./picture.ts";
import { Player } from "./Player.tsx";
import { PRESETS, readSetup, writeSetup, type PresetName, type Setup } from "./setup.ts";
import { Stage, type Cell } from "./Stage.tsx";

const attempt = (setup: Setup): Picture | ShapeError => {
  try {
    return pictureOf(setup);
  } catch (error) {
    if (error instanceof ShapeError) return error;
    throw error;
  }
};

export function ArithmeticPage() {
  const t = useText();
  const address = useAddress();
  const setup = useMemo(() => readSetup(address), [address]);
  const key = JSON.stringify(setup);
  const picture = useMemo(() => attempt(setup), [key]);
  const [pointed, setPointed] = useState<Cell | null>(null);
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    setPointed(null);
    setPlaying(false);
  }, [key]);

  const change = (next: Setup) => setParams({ ...writeSetup(next), step: null });
  const steps = picture instanceof Error ? 0 : picture.narrow.values.length;
  const step = Math.min(Math.max(0, Number.parseInt(address.params.get("step") ?? "0", 10) || 0), Math.max(0, steps - 1));
  const setStep = (next: number) => {
    setPointed(null);
    setParams({ step: next === 0 ? null : `${next}` }, "replace");
  };

  return (
    <div className="arithmetic">
      <div className="presets" role="group" aria-label={t.presets}>
        {Object.entries(PRESETS).map(([name, preset]) => (
          <button key={name} type="button" className="chip" aria-pressed={key === JSON.stringify(preset)} onClick={() => change(preset)}>
            {t.presetNames[name as PresetName]}
          </button>
        ))}
      </div>
      <Controls setup={setup} onChange={change} />
      {picture instanceof Error ? (
        <section className="card error-card" role="alert">
          <h2>{t.noGeometry}</h2>
          <p className="mono">{picture.message}</p>
        </section>
      ) : (
        <>
          <Card title={t.picture} className="stage-card">
            <Stage picture={picture} step={step} playing={playing} pointed={pointed} onPoint={setPointed} onPick={setStep} />
            <Player steps={steps} step={step} playing={playing} onStep={setStep} onPlaying={setPlaying} />
          </Card>
          <Card title={t.outputSize} className="formula-card">
            <Formula setup={setup} geometry={picture.geometry} />
          </Card>
          <Card title={t.code} className="code-card">
            <div className="codes">
              <CodeBlock title="Conv" language="ts" text={convCode(setup, picture.geometry)} />
              <CodeBlock title="PyTorch" language="python" text={torchCode(setup, picture.geometry)} />
            </div>
          </Card>
        </>
      )}
    </div>
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
