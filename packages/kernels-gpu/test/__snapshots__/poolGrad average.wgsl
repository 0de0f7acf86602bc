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
// gradient of an average pool
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
  let q0 = i0 + 0u;
  let least0 = u32(max(i32(q0) - 0, 0)) / 2u;
  let most0 = min(q0 / 2u, 1u);
  for (var o0 = least0; o0 <= most0; o0++) {
    let row0 = o0 * 3u;
    let q1 = i1 + 0u;
    let least1 = u32(max(i32(q1) - 0, 0)) / 2u;
    let most1 = min(q1 / 2u, 2u);
    for (var o1 = least1; o1 <= most1; o1++) {
      let at = row0 + o1;
      sum += f32(dy[first + at]);
    }
  }
  let finished = sum * 0.25f;
  y[index] = Y(finished);
}
