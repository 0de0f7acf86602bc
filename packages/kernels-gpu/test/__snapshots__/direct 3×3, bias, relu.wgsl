// 2 workgroups
// direct
alias A = f32;
alias X = f32;
alias Operand_i0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> operand_i0: array<Operand_i0>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn finish(r: f32, i0: f32) -> f32 {
  let t0 = r + i0;
  let t1 = max_of(t0, 0.0f);
  return t1;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64 + lane;
  let k = index % 6u;
  let rest_k = index / 6u;
  let j = rest_k % 5u;
  let rest_j = rest_k / 5u;
  let i = 0u;
  let block = rest_j;
  let part = 0u;
  let row = block;
  let i0 = i;
  let j0 = j;
  let k0 = k;
  let a_first = part * 54 + row * 18;
  let x_first = i32(part) * 60 + i32(j0) * 6 + i32(k0) - 7;
  let j_first = i32(j0) - 1;
  let k_first = i32(k0) - 1;
  var s0_0 = 0.0;
  let in0 = u32(j_first) < 5;
  let in1 = u32(k_first) < 6;
  let x0 = select(0.0, f32(x[x_first]), in0 & in1);
  let in2 = u32(k_first + 1) < 6;
  let x1 = select(0.0, f32(x[x_first + 1]), in0 & in2);
  let in3 = u32(k_first + 2) < 6;
  let x2 = select(0.0, f32(x[x_first + 2]), in0 & in3);
  let in4 = u32(j_first + 1) < 5;
  let x3 = select(0.0, f32(x[x_first + 6]), in4 & in1);
  let x4 = select(0.0, f32(x[x_first + 7]), in4 & in2);
  let x5 = select(0.0, f32(x[x_first + 8]), in4 & in3);
  let in5 = u32(j_first + 2) < 5;
  let x6 = select(0.0, f32(x[x_first + 12]), in5 & in1);
  let x7 = select(0.0, f32(x[x_first + 13]), in5 & in2);
  let x8 = select(0.0, f32(x[x_first + 14]), in5 & in3);
  let x9 = select(0.0, f32(x[x_first + 30]), in0 & in1);
  let x10 = select(0.0, f32(x[x_first + 31]), in0 & in2);
  let x11 = select(0.0, f32(x[x_first + 32]), in0 & in3);
  let x12 = select(0.0, f32(x[x_first + 36]), in4 & in1);
  let x13 = select(0.0, f32(x[x_first + 37]), in4 & in2);
  let x14 = select(0.0, f32(x[x_first + 38]), in4 & in3);
  let x15 = select(0.0, f32(x[x_first + 42]), in5 & in1);
  let x16 = select(0.0, f32(x[x_first + 43]), in5 & in2);
  let x17 = select(0.0, f32(x[x_first + 44]), in5 & in3);
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
  let a7 = f32(a[a_first + 7]);
  let s0_0_7 = fma(a7, x7, s0_0_6);
  let a8 = f32(a[a_first + 8]);
  let s0_0_8 = fma(a8, x8, s0_0_7);
  let a9 = f32(a[a_first + 9]);
  let s0_0_9 = fma(a9, x9, s0_0_8);
  let a10 = f32(a[a_first + 10]);
  let s0_0_10 = fma(a10, x10, s0_0_9);
  let a11 = f32(a[a_first + 11]);
  let s0_0_11 = fma(a11, x11, s0_0_10);
  let a12 = f32(a[a_first + 12]);
  let s0_0_12 = fma(a12, x12, s0_0_11);
  let a13 = f32(a[a_first + 13]);
  let s0_0_13 = fma(a13, x13, s0_0_12);
  let a14 = f32(a[a_first + 14]);
  let s0_0_14 = fma(a14, x14, s0_0_13);
  let a15 = f32(a[a_first + 15]);
  let s0_0_15 = fma(a15, x15, s0_0_14);
  let a16 = f32(a[a_first + 16]);
  let s0_0_16 = fma(a16, x16, s0_0_15);
  let a17 = f32(a[a_first + 17]);
  let s0_0_17 = fma(a17, x17, s0_0_16);
  s0_0 = s0_0_17;
  let y_first = part * 90 + row * 30 + j0 * 6 + k0;
  if (index < 90) {
    let y0_0 = finish(s0_0, f32(operand_i0[row]));
    y[y_first] = Y(y0_0);
  }
}
