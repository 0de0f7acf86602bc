// 1 workgroups
// directGradWeight
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64 + lane;
  let j = index % 3u;
  let rest_j = index / 3u;
  let i = rest_j % 3u;
  let rest_i = rest_j / 3u;
  let block = rest_i;
  let part = 0u;
  let row = block;
  let i0 = i;
  let j0 = j;
  let a_first = part * 28 + row * 7;
  let x_first = i32(part) * 27 + i32(i0) * 9 + i32(j0);
  var s0_0 = 0.0;
  let x0 = f32(x[x_first]);
  let x1 = f32(x[x_first + 1]);
  let x2 = f32(x[x_first + 2]);
  let x3 = f32(x[x_first + 3]);
  let x4 = f32(x[x_first + 4]);
  let x5 = f32(x[x_first + 5]);
  let x6 = f32(x[x_first + 6]);
  let a0 = f32(a[a_first]);
  let s0_0_0 = fma(a0, x0, s0_0);
  let a1 = f32(a[a_first + 1]);
  let s0_0_1 = fma(a1, x1, s0_0_0);
  let a2 = f32(a[a_first + 2]);
  let s0_0_2 = fma(a2, x2, s0_0_1);
  let a3 = f32(a[a_first + 3]);
  let s0_0_3 = fma(a3, x3, s0_0_2);
  let a4 = f32(a[a_first + 4]);
  let s0_0_4 = fma(a4, x4, s0_0_3);
  let a5 = f32(a[a_first + 5]);
  let s0_0_5 = fma(a5, x5, s0_0_4);
  let a6 = f32(a[a_first + 6]);
  let s0_0_6 = fma(a6, x6, s0_0_5);
  s0_0 = s0_0_6;
  let y_first = part * 36 + row * 9 + i0 * 3 + j0;
  if (index < 36) {
    let y0_0 = s0_0;
    y[y_first] = Y(y0_0);
  }
}
