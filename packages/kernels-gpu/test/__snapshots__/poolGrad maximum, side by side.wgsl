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
// max pool gradient
alias X = f32;
alias Dy = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> dy: array<Dy>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn consider(plane: i32, at: i32, won: ptr<function, i32>, best: ptr<function, f32>) {
  let v = f32(x[plane + at]);
  let better = is_nan(v) | (!is_nan(*best) & (v > *best));
  *best = select(*best, v, better);
  *won = select(*won, at, better);
}

fn winner(plane: i32, o0: u32, o1: u32) -> i32 {
  let begin0 = i32(o0) * 2;
  let begin1 = i32(o1) * 2;
  let row0_0 = begin0 * 6;
  let row0_1 = (begin0 + 1) * 6;
  let row1_0 = begin1;
  let row1_1 = begin1 + 1;
  var won = row0_0 + row1_0;
  var best = f32(x[plane + won]);
  consider(plane, row0_0 + row1_1, &won, &best);
  consider(plane, row0_1 + row1_0, &won, &best);
  consider(plane, row0_1 + row1_1, &won, &best);
  return won;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 12u) { return; }
  let o1 = index % 3u;
  let rest_o1 = index / 3u;
  let o0 = rest_o1 % 2u;
  let rest_o0 = rest_o1 / 2u;
  let p = rest_o0;
  let begin0 = i32(o0) * 2;
  let begin1 = i32(o1) * 2;
  let won = winner(i32(p) * 24, o0, o1);
  let d = f32(dy[index]);
  let first = p * 24u;
  let row0_0 = begin0 * 6;
  let row0_1 = (begin0 + 1) * 6;
  let row1_0 = begin1;
  let row1_1 = begin1 + 1;
  {
    let finished = select(0.0f, d, won == row0_0 + row1_0);
    y[first + u32(row0_0 + row1_0)] = Y(finished);
  }
  {
    let finished = select(0.0f, d, won == row0_0 + row1_1);
    y[first + u32(row0_0 + row1_1)] = Y(finished);
  }
  {
    let finished = select(0.0f, d, won == row0_1 + row1_0);
    y[first + u32(row0_1 + row1_0)] = Y(finished);
  }
  {
    let finished = select(0.0f, d, won == row0_1 + row1_1);
    y[first + u32(row0_1 + row1_1)] = Y(finished);
  }
}
