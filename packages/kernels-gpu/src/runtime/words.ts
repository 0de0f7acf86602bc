// Sizes and adapters in words.

/**
 * What an adapter is: its model where it tells it, else vendor and architecture, as browsers do;
 * then the driver.
 */
export function adapterWords({
  vendor,
  architecture,
  device,
  description,
}: Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description">): string {
  const model = device.startsWith("0x") ? "" : device;
  const name = (model || `${vendor} ${architecture}`).replaceAll("-", " ").trim();
  return [name, description].filter(Boolean).join(", ") || "an adapter without a name";
}

/** `1234 bytes`, or from ten million on `12.3 MB` (10⁶ bytes). */
export const formatBytes = (bytes: number): string =>
  bytes < 1e7 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`;
