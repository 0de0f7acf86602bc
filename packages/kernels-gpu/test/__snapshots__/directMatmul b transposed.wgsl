// 1 workgroups
// directMatmul
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 32 + lane;
  let j = index % 6u;
  let rest_j = index / 6u;
  let i = 0u;
  let block = rest_j;
  let part = 0u;
  let row = block;
  let i0 = i;
  let j0 = j;
  let a_first = part * 15 + row * 5;
  let x_first = i32(part) * 30 + i32(j0) * 5;
  var s0_0 = 0.0;
  let x0 = f32(x[x_first]);
  let x1 = f32(x[x_first + 1]);
  let x2 = f32(x[x_first + 2]);
  let x3 = f32(x[x_first + 3]);
  let x4 = f32(x[x_first + 4]);
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
  s0_0 = s0_0_4;
  let y_first = part * 18 + row * 6 + j0;
  if (index < 18) {
    let y0_0 = s0_0;
    y[y_first] = Y(y0_0);
  }
}
