// The network on the page: the choice of the model, and its stages.

import { Card } from "../components/ui.tsx";
import { count } from "../format.ts";
import { useLanguage, useText } from "../i18n/index.tsx";
import { failureText } from "../i18n/words.ts";
import { setParams } from "../url.ts";
import type { Client, NetworkState } from "./client.ts";
import type { Explanation } from "./explain.ts";
import { MODEL_NAMES } from "./models.ts";
import { NetworkView, type Choice } from "./NetworkView.tsx";
import type { Stage } from "./stages.ts";

/** Parameters that belong to one model. */
const OF_MODEL = ["layer", "at", "own", "weights", "seed", "lr"];

/** Selects a value; by keyboard, the focus moves to its explanation. */
const choose = (stage: Stage, index: number, byKey: boolean): void => {
  setParams({ layer: stage.name, at: `${index}` });
  if (byKey) requestAnimationFrame(() => document.getElementById("inspector-title")?.focus());
};

interface Props {
  client: Client;
  state: NetworkState;
  choice: Choice | null;
  explanation: Explanation | null;
}

export function NetworkCard({ client, state: { seen, notice }, choice, explanation }: Props) {
  const t = useText();
  const language = useLanguage();
  const { network } = client;
  return (
    <Card
      title={t.networkTitle}
      className="network-card"
      aside={
        <span className="model">
          <ModelChoice client={client} />
          <span className="shape">{t.weightsCount(count(network.learned, language))}</span>
        </span>
      }
    >
      {seen ? (
        <NetworkView
          network={network}
          values={seen.values}
          choice={choice}
          explanation={explanation}
          onPick={choose}
        />
      ) : (
        <p className="note">
          {notice?.kind === "failed" ? t.workerFailed(failureText(notice.failure, t)) : t.starting}
        </p>
      )}
    </Card>
  );
}

function ModelChoice({ client }: { client: Client }) {
  const t = useText();
  const names: Readonly<Partial<Record<string, string>>> = t.modelNames;
  return (
    <label>
      <span className="visually-hidden">{t.model}</span>
      <select
        value={client.network.model.name}
        onChange={(e) => {
          client.send({ type: "pause" });
          client.dismiss();
          setParams({
            model: e.target.value === MODEL_NAMES[0] ? null : e.target.value,
            ...Object.fromEntries(OF_MODEL.map((name) => [name, null])),
          });
        }}
      >
        {MODEL_NAMES.map((name) => (
          <option key={name} value={name}>
            {names[name] ?? name}
          </option>
        ))}
      </select>
    </label>
  );
}
