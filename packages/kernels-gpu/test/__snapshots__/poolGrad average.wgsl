// 1 workgroups
// full
alias Y = f32;
@group(0) @binding(0) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 12u) { return; }
  let finished = 1.0f;
  y[index] = Y(finished);
}

// 1 workgroups
// average pool gradient
alias Dy = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> dy: array<Dy>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 48u) { return; }
  let i1 = index % 6u;
  let rest_i1 = index / 6u;
  let i0 = rest_i1 % 4u;
  let rest_i0 = rest_i1 / 4u;
  let p = rest_i0;
  let first = p * 6u;
  var sum = 0.0f;
  let q0 = i0;
  let top0 = q0 / 2u;
  let window0_0 = top0;
  let q1 = i1;
  let top1 = q1 / 2u;
  let window1_0 = top1;
  {
    let o0 = window0_0;
    let o1 = window1_0;
    let at = o0 * 3u + o1;
    sum += f32(dy[first + at]);
  }
  let finished = sum * 0.25f;
  y[index] = Y(finished);
}
