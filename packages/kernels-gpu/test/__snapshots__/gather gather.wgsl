// 1 workgroups
// gather
alias X = f32;
alias Indices = i32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> indices: array<Indices>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 42u) { return; }
  let row = index / 7u;
  let i = bitcast<u32>(indices[row / 3u * 7u + index % 7u]);
  var v = 0.0f;
  if (i < 5u) { v = f32(x[row * 5u + i]); }
  let finished = v;
  y[index] = Y(finished);
}
