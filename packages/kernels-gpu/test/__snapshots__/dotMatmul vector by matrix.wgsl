// 10 workgroups
// dotMatmul
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<vec4<A>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row_patch = 0u;
  let column_patch = group;
  let part = 0u;
  let row = row_patch;
  let a_first: u32 = part * 512 + row * 512;
  let column0 = column_patch;
  let j0 = column0;
  let x_first0: i32 = i32(part) * 5120 + i32(j0) * 512;
  var s0_0 = vec4f();
  for (var tap = lane * 4; tap < 512u; tap += 256) {
    let tap_i = tap;
    let a_tap = tap_i;
    let x_tap = i32(tap_i);
    let a0 = vec4f(a[u32(a_first + a_tap) / 4]);
    let x0 = vec4f(x[u32(x_first0 + x_tap) / 4]);
    s0_0 = fma(a0, x0, s0_0);
  }
  sums[lane * 1 + 0] = (s0_0.x + s0_0.y) + (s0_0.z + s0_0.w);
  workgroupBarrier();
  for (var half = 32u; half > 0; half /= 2) {
    if (lane < half) {
      for (var i = lane * 1; i < (lane + 1) * 1; i++) { sums[i] += sums[i + half * 1]; }
    }
    workgroupBarrier();
  }
  if (lane < 1) {
    let own_row = row + lane / 1;
    let own_column = column_patch * 1 + lane % 1;
    if (own_row < 1 && own_column < 10) {
      let own_j = own_column;
      let element = part * 10 + own_row * 10 + own_j;
      let out = sums[lane];
      y[element] = Y(out);
    }
  }
}
