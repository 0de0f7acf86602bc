// 1 workgroups
// slice
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 10u) { return; }
  let c1 = index % 5u;
  let rest_c1 = index / 5u;
  let c0 = rest_c1;
  let finished = f32(x[c0 * 9u + c1 + 11u]);
  y[c0 * 5u + c1] = Y(finished);
}
