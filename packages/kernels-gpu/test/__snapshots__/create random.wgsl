// 1 workgroups
// random
alias Seed = i32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> seed: array<Seed>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn mixed(v: u32) -> u32 {
  var x = v;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 15u) { return; }
  let k0 = mixed(bitcast<u32>(seed[0]) + 0x9e3779b9u);
  let k1 = mixed(mixed(k0) ^ bitcast<u32>(seed[1]));
  let finished = f32(mixed(mixed(index ^ k0) ^ k1) >> 8u) * 5.960464477539063e-8f;
  y[index] = Y(finished);
}
