// 1 workgroups
// indices of maxima
alias X = f32;
alias Y = i32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn consider(plane: i32, at: i32, won: ptr<function, i32>, best: ptr<function, f32>) {
  let v = f32(x[plane + at]);
  let better = (*won < 0) | is_nan(v) | (!is_nan(*best) & (v > *best));
  *best = select(*best, v, better);
  *won = select(*won, at, better);
}

fn winner(plane: i32, o0: u32) -> i32 {
  let begin0 = i32(o0) - 2;
  let from0 = begin0 + max(0, 1 - begin0) / 2 * 2;
  let to0 = min(begin0 + 5, 9);
  var won = -1;
  var best = 0.0f;
  let row0_0 = clamp(begin0, 0, 8);
  let in0_0 = (begin0 >= from0) & (begin0 < to0);
  let row0_1 = clamp(begin0 + 2, 0, 8);
  let in0_1 = (begin0 + 2 >= from0) & (begin0 + 2 < to0);
  let row0_2 = clamp(begin0 + 4, 0, 8);
  let in0_2 = (begin0 + 4 >= from0) & (begin0 + 4 < to0);
  if (in0_0) { consider(plane, row0_0, &won, &best); }
  if (in0_1) { consider(plane, row0_1, &won, &best); }
  if (in0_2) { consider(plane, row0_2, &won, &best); }
  return won;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 18u) { return; }
  let o0 = index % 9u;
  let rest_o0 = index / 9u;
  let p = rest_o0;
  let plane = i32(p) * 9;
  let won = winner(plane, o0);
  y[index] = Y(won);
}
