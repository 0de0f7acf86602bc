// 4 workgroups
// matmul, in 2 parts
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<Y>>;

var<workgroup> a_tile: array<vec4f, 144>;
var<workgroup> x_tile: array<vec4f, 272>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row_tile = group % 2u;
  let rest_row_tile = group / 2u;
  let column_tile = 0u;
  let part = 0u;
  let split = rest_row_tile;
  let tx = lane % 16;
  let ty = lane / 16;
  let a_first: u32 = part * 2560 + row_tile * 1280;
  let q0j0 = (column_tile * 64 + lane % 16 * 4);
  let q0x0: i32 = i32(part) * 2560 + i32(q0j0);
  var s0_0 = vec4f(); var s1_0 = vec4f(); var s2_0 = vec4f(); var s3_0 = vec4f();
  var next_a0: vec4f; var next_x0: vec4f;
  let first = split * 3;
  let end = min(first + 3, 5);
  {
    let slice = first;
    let ak0 = slice * 8 + lane % 8;
    let at0 = a_first + lane / 8 * 160 + ak0;
    next_a0 = vec4f(f32(a[at0]), f32(a[at0 + 40]), f32(a[at0 + 80]), f32(a[at0 + 120]));
    let xk0 = slice * 8 + lane / 16;
    let x0i = xk0;
    next_x0 = vec4f(x[u32(q0x0 + i32(x0i) * 64) / 4]);
  }
  var half = 0u;
  if (lane < 64) { a_tile[half * 72 + lane % 8 * 9 + lane / 8] = next_a0; }
  x_tile[half * 136 + lane / 16 * 17 + lane % 16] = next_x0;
  workgroupBarrier();
  for (var now = first; now < end; now += 1) {
    let slice = min(now + 1, 4);
    let ak0 = slice * 8 + lane % 8;
    let at0 = a_first + lane / 8 * 160 + ak0;
    next_a0 = vec4f(f32(a[at0]), f32(a[at0 + 40]), f32(a[at0 + 80]), f32(a[at0 + 120]));
    let xk0 = slice * 8 + lane / 16;
    let x0i = xk0;
    next_x0 = vec4f(x[u32(q0x0 + i32(x0i) * 64) / 4]);
    let a_from = half * 72 + ty;
    let x_from = half * 136 + tx;
    let a0_0 = a_tile[a_from + 0];
    let x0_0 = x_tile[x_from + 0];
    s0_0 = fma(vec4f(a0_0.x), x0_0, s0_0);
    s1_0 = fma(vec4f(a0_0.y), x0_0, s1_0);
    s2_0 = fma(vec4f(a0_0.z), x0_0, s2_0);
    s3_0 = fma(vec4f(a0_0.w), x0_0, s3_0);
    let a1_0 = a_tile[a_from + 9];
    let x1_0 = x_tile[x_from + 17];
    s0_0 = fma(vec4f(a1_0.x), x1_0, s0_0);
    s1_0 = fma(vec4f(a1_0.y), x1_0, s1_0);
    s2_0 = fma(vec4f(a1_0.z), x1_0, s2_0);
    s3_0 = fma(vec4f(a1_0.w), x1_0, s3_0);
    let a2_0 = a_tile[a_from + 18];
    let x2_0 = x_tile[x_from + 34];
    s0_0 = fma(vec4f(a2_0.x), x2_0, s0_0);
    s1_0 = fma(vec4f(a2_0.y), x2_0, s1_0);
    s2_0 = fma(vec4f(a2_0.z), x2_0, s2_0);
    s3_0 = fma(vec4f(a2_0.w), x2_0, s3_0);
    let a3_0 = a_tile[a_from + 27];
    let x3_0 = x_tile[x_from + 51];
    s0_0 = fma(vec4f(a3_0.x), x3_0, s0_0);
    s1_0 = fma(vec4f(a3_0.y), x3_0, s1_0);
    s2_0 = fma(vec4f(a3_0.z), x3_0, s2_0);
    s3_0 = fma(vec4f(a3_0.w), x3_0, s3_0);
    let a4_0 = a_tile[a_from + 36];
    let x4_0 = x_tile[x_from + 68];
    s0_0 = fma(vec4f(a4_0.x), x4_0, s0_0);
    s1_0 = fma(vec4f(a4_0.y), x4_0, s1_0);
    s2_0 = fma(vec4f(a4_0.z), x4_0, s2_0);
    s3_0 = fma(vec4f(a4_0.w), x4_0, s3_0);
    let a5_0 = a_tile[a_from + 45];
    let x5_0 = x_tile[x_from + 85];
    s0_0 = fma(vec4f(a5_0.x), x5_0, s0_0);
    s1_0 = fma(vec4f(a5_0.y), x5_0, s1_0);
    s2_0 = fma(vec4f(a5_0.z), x5_0, s2_0);
    s3_0 = fma(vec4f(a5_0.w), x5_0, s3_0);
    let a6_0 = a_tile[a_from + 54];
    let x6_0 = x_tile[x_from + 102];
    s0_0 = fma(vec4f(a6_0.x), x6_0, s0_0);
    s1_0 = fma(vec4f(a6_0.y), x6_0, s1_0);
    s2_0 = fma(vec4f(a6_0.z), x6_0, s2_0);
    s3_0 = fma(vec4f(a6_0.w), x6_0, s3_0);
    let a7_0 = a_tile[a_from + 63];
    let x7_0 = x_tile[x_from + 119];
    s0_0 = fma(vec4f(a7_0.x), x7_0, s0_0);
    s1_0 = fma(vec4f(a7_0.y), x7_0, s1_0);
    s2_0 = fma(vec4f(a7_0.z), x7_0, s2_0);
    s3_0 = fma(vec4f(a7_0.w), x7_0, s3_0);
    half = 1 - half;
    if (lane < 64) { a_tile[half * 72 + lane % 8 * 9 + lane / 8] = next_a0; }
    x_tile[half * 136 + lane / 16 * 17 + lane % 16] = next_x0;
    workgroupBarrier();
  }
  let column0 = column_tile * 64 + tx * 4;
  let y0j0 = (column0);
  let y0y0: u32 = y0j0;
  {
    let start: u32 = split * 4096 + part * 4096 + (row_tile * 32 + ty * 4) * 64;
    let out0 = s0_0.x;
    let out1 = s0_0.y;
    let out2 = s0_0.z;
    let out3 = s0_0.w;
    y[(start + y0y0) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));
  }
  {
    let start: u32 = split * 4096 + part * 4096 + (row_tile * 32 + ty * 4 + 1) * 64;
    let out0 = s1_0.x;
    let out1 = s1_0.y;
    let out2 = s1_0.z;
    let out3 = s1_0.w;
    y[(start + y0y0) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));
  }
  {
    let start: u32 = split * 4096 + part * 4096 + (row_tile * 32 + ty * 4 + 2) * 64;
    let out0 = s2_0.x;
    let out1 = s2_0.y;
    let out2 = s2_0.z;
    let out3 = s2_0.w;
    y[(start + y0y0) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));
  }
  {
    let start: u32 = split * 4096 + part * 4096 + (row_tile * 32 + ty * 4 + 3) * 64;
    let out0 = s3_0.x;
    let out1 = s3_0.y;
    let out2 = s3_0.z;
    let out3 = s3_0.w;
    y[(start + y0y0) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));
  }
}

// 64 workgroups
// matmul, parts added
alias Parts = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> parts: array<Parts>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64 + lane;
  var r = 0.0;
  for (var part = 0u; part < 2u; part += 1) {
    r += parts[part * 4096 + index];
  }
  let out = r;
  y[index] = Y(out);
}
