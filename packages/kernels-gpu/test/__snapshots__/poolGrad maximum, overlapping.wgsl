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
// max pool gradient: maxima of the windows
alias X = f32;
alias Won = i32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> won: array<Won>;

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
// max pool gradient
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
  let top0 = q0 / 2u;
  let window0_0 = top0;
  let window0_1 = max(top0, 1u) - 1u;
  let sees0_1 = (top0 >= 1u) & (q0 % 2u + 2u <= 2u);
  let q1 = i1 + 1u;
  let top1 = q1 / 2u;
  let window1_0 = min(top1, 2u);
  let sees1_0 = top1 < 3u;
  let window1_1 = max(top1, 1u) - 1u;
  let sees1_1 = (top1 >= 1u) & (q1 % 2u + 2u <= 2u);
  {
    let o0 = window0_1;
    let o1 = window1_1;
    let at = o0 * 3u + o1;
    sum += select(0.0f, f32(dy[first + at]), (sees0_1 & sees1_1) & (won[first + at] == own));
  }
  {
    let o0 = window0_1;
    let o1 = window1_0;
    let at = o0 * 3u + o1;
    sum += select(0.0f, f32(dy[first + at]), (sees0_1 & sees1_0) & (won[first + at] == own));
  }
  {
    let o0 = window0_0;
    let o1 = window1_1;
    let at = o0 * 3u + o1;
    sum += select(0.0f, f32(dy[first + at]), (sees1_1) & (won[first + at] == own));
  }
  {
    let o0 = window0_0;
    let o1 = window1_0;
    let at = o0 * 3u + o1;
    sum += select(0.0f, f32(dy[first + at]), (sees1_0) & (won[first + at] == own));
  }
  let finished = sum;
  y[index] = Y(finished);
}
