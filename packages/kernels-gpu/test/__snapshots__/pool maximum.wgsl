// 1 workgroups
// max pool
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

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
  let plane = i32(p) * 30;
  let won = winner(plane, o0, o1);
  let finished = f32(x[plane + won]);
  y[index] = Y(finished);
}
