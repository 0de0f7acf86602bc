// 1 workgroups
// clear
alias Y = u32;
@group(0) @binding(0) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  y[index] = 0u;
}

// 1 workgroups
// move uint8
alias X = u32;
alias Y = u32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<atomic<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 3u) { return; }
  let c0 = index;
  let into = c0 + 0u;
  atomicOr(&y[into / 4u], extractBits(x[(c0 + 0u) / 4u], (c0 + 0u) % 4u * 8u, 8u) << (into % 4u * 8u));
}

// 1 workgroups
// move uint8
alias X = u32;
alias Y = u32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<atomic<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  let c0 = index;
  let into = c0 + 3u;
  atomicOr(&y[into / 4u], extractBits(x[(c0 + 0u) / 4u], (c0 + 0u) % 4u * 8u, 8u) << (into % 4u * 8u));
}
