// The switch between CPU and GPU, with the name of the device, the progress of compilation, and
// notes on the choice.

import { useText, type Dictionary } from "../i18n/index.tsx";
import { setParams } from "../url.ts";
import type { Client, NetworkState } from "./client.ts";
import { DEVICE_NAMES, type NotGpu } from "./protocol.ts";

interface Props {
  client: Client;
  state: NetworkState;
}

export function DeviceSwitch({ client, state: { device, moving, compiling } }: Props) {
  const t = useText();
  const text = () => {
    if (moving) return t.startingDevice(t.deviceNames[moving]);
    if (!device) return t.starting;
    return device.name === "cpu" ? t.threads(device.threads) : device.adapter;
  };
  return (
    <div className="device">
      {compiling ? (
        <label className="note compiling" data-testid="compiling">
          <progress value={compiling.ready} max={compiling.total} />{" "}
          {t.compiling(compiling.ready, compiling.total)}
        </label>
      ) : (
        <span className="note" role="status" data-testid="device">
          {text()}
        </span>
      )}
      <div className="segments" role="group" aria-label={t.device}>
        {DEVICE_NAMES.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === (moving ?? device?.name)}
            disabled={!device || moving !== null}
            onClick={() => {
              client.setDevice(name);
              setParams({ device: name }, "replace");
            }}
          >
            {t.deviceNames[name]}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Why the GPU is not used. */
export const reasonText = (reason: NotGpu, t: Dictionary): string =>
  typeof reason === "string" ? t.gpuReasons[reason] : t.gpuReasons.failed;

/** Notes on the device: why it was chosen, and its limits. */
export function DeviceNotes({ state: { device, notGpu, notice } }: Pick<Props, "state">) {
  const t = useText();
  return (
    <>
      {device?.software && (
        <p className="notice" data-testid="software">
          {t.softwareGpu}
        </p>
      )}
      {notGpu !== null && !notice && (
        <p className="notice" data-testid="not-gpu">
          {t.onCpuBecause(reasonText(notGpu, t))}
        </p>
      )}
      {device?.threads === 1 && !crossOriginIsolated && (
        <p className="notice" data-testid="one-thread">
          {t.oneThread}
        </p>
      )}
    </>
  );
}
