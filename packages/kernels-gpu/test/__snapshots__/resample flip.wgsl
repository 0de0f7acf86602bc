// 1 workgroups
// selection along an axis
alias X = f32;
alias Places = i32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> places: array<Places>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 10u) { return; }
  let i = index % 1u;
  let j = index / 1u % 5u;
  let first = index / 5u * 5u + i;
  let finished = f32(x[first + u32(places[j])]);
  y[index] = Y(finished);
}
