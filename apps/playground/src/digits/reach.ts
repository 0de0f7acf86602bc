// The devices of a session: each is opened on first use, with the network compiled for it. Where
// the GPU cannot be used, the CPU takes its place, with the reason.

import { failureOf } from "../failure.ts";
import { whyNot, type Device, type Devices, type Opened } from "./device.ts";
import { createEye, type Eye } from "./looker.ts";
import type { DeviceChoice } from "./protocol.ts";
import type { Network } from "./stages.ts";

export interface Reach {
  /** The device of that choice. Throws where not even the CPU can be used. */
  open(wanted: DeviceChoice): Promise<Opened>;
  /** The network on a device that was opened. */
  eyeOf(device: Device): Eye;
  forget(device: Device): void;
}

/** `onLost` is called once for each lost device, with the reason of the browser. */
export function createReach(
  devices: Devices,
  network: Network,
  onLost: (device: Device, reason: string) => void,
): Reach {
  const eyes = new Map<Device, Eye>();
  const open = async (wanted: DeviceChoice): Promise<Opened> => {
    try {
      const opened = await devices.open(wanted);
      const { device } = opened;
      if (!eyes.has(device)) {
        eyes.set(device, createEye(device.backend, network));
        void device.lost.then((reason) => onLost(device, /\((.*)\)/.exec(reason)?.[1] ?? reason));
      }
      return opened;
    } catch (error) {
      if (wanted === "cpu") throw error;
      return { ...(await open("cpu")), notGpu: await whyNot(failureOf(error)) };
    }
  };
  return {
    open,
    eyeOf(device) {
      const eye = eyes.get(device);
      if (!eye) throw new Error("reach: the device was not opened here");
      return eye;
    },
    forget(device) {
      eyes.delete(device);
      devices.forget(device);
    },
  };
}
