// 1 workgroups
// full
alias Y = f32;
@group(0) @binding(0) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 18u) { return; }
  let finished = 1.0f;
  y[index] = Y(finished);
}

// 1 workgroups
// winners of the windows of a max pool
alias X = f32;
alias Won = i32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> won: array<Won>;

fn winner(plane: i32, o0: u32, o1: u32) -> i32 {
  var best = 0.0f;
  var won = -1;
  let begin0 = i32(o0) * 2 - 1;
  let from0 = max(begin0, 0);
  let to0 = min(begin0 + 3, 5);
  let begin1 = i32(o1) * 2 - 1;
  let from1 = max(begin1, 0);
  let to1 = begin1 + 3;
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
  if (index >= 18u) { return; }
  let o1 = index % 3u;
  let rest_o1 = index / 3u;
  let o0 = rest_o1 % 3u;
  let rest_o0 = rest_o1 / 3u;
  let p = rest_o0;
  won[index] = winner(i32(p) * 30, o0, o1);
}

// 1 workgroups
// gradient of a max pool
alias Won = i32;
alias Dy = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> won: array<Won>;
@group(0) @binding(1) var<storage, read> dy: array<Dy>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 60u) { return; }
  let i1 = index % 6u;
  let rest_i1 = index / 6u;
  let i0 = rest_i1 % 5u;
  let rest_i0 = rest_i1 / 5u;
  let p = rest_i0;
  let own = i32(index % 30u);
  let first = p * 9u;
  var sum = 0.0f;
  let q0 = i0 + 1u;
  let least0 = u32(max(i32(q0) - 1, 0)) / 2u;
  let most0 = min(q0 / 2u, 2u);
  for (var o0 = least0; o0 <= most0; o0++) {
    let row0 = o0 * 3u;
    let q1 = i1 + 1u;
    let least1 = u32(max(i32(q1) - 1, 0)) / 2u;
    let most1 = min(q1 / 2u, 2u);
    for (var o1 = least1; o1 <= most1; o1++) {
      let at = row0 + o1;
      if (won[first + at] == own) { sum += f32(dy[first + at]); }
    }
  }
  let finished = sum;
  y[index] = Y(finished);
}
