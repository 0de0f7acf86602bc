// The name of an adapter.

/** Model, or else vendor and architecture, as browsers tell them; then the driver. */
export function adapterName({
  vendor,
  architecture,
  device,
  description,
}: Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description">): string {
  const model = device.startsWith("0x") ? "" : device;
  const name = (model || `${vendor} ${architecture}`).replaceAll("-", " ").trim();
  return [name, description].filter(Boolean).join(", ") || "an adapter without a name";
}
