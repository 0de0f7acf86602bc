// Sizes in words.

/** `1234 bytes`, or from ten million on `12.3 MB` (10⁶ bytes). */
export const formatBytes = (bytes: number): string => (bytes < 1e7 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`);
