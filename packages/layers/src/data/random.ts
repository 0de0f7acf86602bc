// Random numbers from a key: the same key gives the same numbers on every machine, and streams of
// different keys are independent, so that the values of a parameter do not depend on other
// parameters. The key is hashed to four words (with the mixing of MurmurHash), which seed the
// generator sfc32 (Doty-Humphrey, PractRand).

/** A random number generator. */
export interface Random {
  /** 32 random bits, 0 ≤ n < 2³². */
  bits(): number;
  /** Uniform in [0, 1), a multiple of 2⁻³². */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** Creates the generator for a key, for example `${seed} c1.weight`. */
export function createRandom(key: string): Random {
  let [a, b, c, d] = hash(key);
  const bits = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) bits();
  const uniform = () => bits() / 2 ** 32;
  return {
    bits,
    uniform,
    // Box–Muller transform; 1 − u is never 0.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** A random permutation of 0 … count − 1 for a key (Fisher–Yates shuffle). */
export function shuffled(count: number, key: string): Uint32Array {
  const random = createRandom(key);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function hash(key: string): [number, number, number, number] {
  const multipliers = [597399067, 2869860233, 951274213, 2716044179];
  const words = [1779033703, 3144134277, 1013904242, 2773480762];
  for (let i = 0; i < key.length; i++)
    for (let w = 0; w < 4; w++)
      words[w] = words[(w + 1) % 4] ^ Math.imul(words[w] ^ key.charCodeAt(i), multipliers[w]);
  const mixed = words.map((word, w) =>
    Math.imul(words[(w + 2) % 4] ^ (word >>> 18), multipliers[w]),
  );
  const all = mixed[0] ^ mixed[1] ^ mixed[2] ^ mixed[3];
  return [all, mixed[1] ^ all, mixed[2] ^ all, mixed[3] ^ all];
}
