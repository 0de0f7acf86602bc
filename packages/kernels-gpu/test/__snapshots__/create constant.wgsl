// 1 workgroups
// full
alias Y = f32;
@group(0) @binding(0) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 7u) { return; }
  let finished = 0.10000000149011612f;
  y[index] = Y(finished);
}
