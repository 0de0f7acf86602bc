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
// gradient of a max pool
alias X = f32;
alias Dy = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> dy: array<Dy>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn winner(plane: i32, o0: u32, o1: u32) -> i32 {
  var best = 0.0f;
  var won = -1;
  let begin0 = i32(o0) * 2;
  let from0 = begin0;
  let to0 = begin0 + 2;
  let begin1 = i32(o1) * 2;
  let from1 = begin1;
  let to1 = begin1 + 2;
  for (var k0 = from0; k0 < to0; k0 += 1) {
    let row0 = k0 * 6;
    for (var k1 = from1; k1 < to1; k1 += 1) {
      let at = row0 + k1;
      let v = f32(x[plane + at]);
      if (won < 0 || v > best) {
        best = v;
        won = at;
      }
    }
  }
  return won;
}

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
  let own = i32(index % 24u);
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
      if (winner(i32(p) * 24, o0, o1) == own) { sum += f32(dy[first + at]); }
    }
  }
  let finished = sum;
  y[index] = Y(finished);
}
