// The one typed array of which the compiler must know what lies behind it, in a form that compilers
// before TypeScript 5.7 know too.

/**
 * Bytes over an ArrayBuffer, as files, messages and WebAssembly take them:
 * `Uint8Array<ArrayBuffer>`, where that is generic.
 */
export type Bytes = ReturnType<Uint8ArrayConstructor["from"]>;
