// 1 workgroups
// max pool
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn consider(plane: i32, at: i32, won: ptr<function, i32>, best: ptr<function, f32>) {
  let v = f32(x[plane + at]);
  let better = is_nan(v) | (!is_nan(*best) & (v > *best));
  *best = select(*best, v, better);
  *won = select(*won, at, better);
}

fn winner(plane: i32, o0: u32, o1: u32) -> f32 {
  let begin0 = i32(o0) * 2 - 1;
  let from0 = max(begin0, 0);
  let to0 = min(begin0 + 3, 5);
  let begin1 = i32(o1) * 2 - 1;
  let from1 = max(begin1, 0);
  let to1 = min(begin1 + 3, 6);
  let row0_0 = clamp(begin0, 0, 4) * 6;
  let row0_1 = clamp(begin0 + 1, 0, 4) * 6;
  let row0_2 = clamp(begin0 + 2, 0, 4) * 6;
  let row1_0 = clamp(begin1, 0, 5);
  let row1_1 = clamp(begin1 + 1, 0, 5);
  let row1_2 = clamp(begin1 + 2, 0, 5);
  var won = row0_0 + row1_0;
  var best = f32(x[plane + won]);
  consider(plane, row0_0 + row1_1, &won, &best);
  consider(plane, row0_0 + row1_2, &won, &best);
  consider(plane, row0_1 + row1_0, &won, &best);
  consider(plane, row0_1 + row1_1, &won, &best);
  consider(plane, row0_1 + row1_2, &won, &best);
  consider(plane, row0_2 + row1_0, &won, &best);
  consider(plane, row0_2 + row1_1, &won, &best);
  consider(plane, row0_2 + row1_2, &won, &best);
  return best;
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
  let best = winner(plane, o0, o1);
  let finished = best;
  y[index] = Y(finished);
}
