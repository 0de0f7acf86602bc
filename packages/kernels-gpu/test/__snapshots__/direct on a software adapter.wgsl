// 2 workgroups
enable subgroups;
// direct
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) sub: u32) {
  let group = at.x;
  let block = group;
  let tiles = 0u;
  let part = 0u;
  let index = tiles * 32 + lane;
  let j = index;
  let i = 0u;
  let row = block * 2;
  let i0 = i;
  let j0 = j;
  let a_first = part * 32 + row * 8;
  let x_first = i32(part) * 256 + i32(j0);
  var s0_0 = 0.0;
  var s1_0 = 0.0;
  let lane_of_four = sub & 3;
  let lanes0 = select(select(0u, 8u, lane_of_four == 1), select(8u, 8u, lane_of_four == 3), lane_of_four > 1);
  for (var ki = 0u; ki < 8u; ki += 1) {
    let a_i = a_first + ki;
    let x_i = x_first + i32(ki) * 32;
    let x0 = f32(x[x_i]);
    let four0 = f32(a[a_i + lanes0]);
    let a0 = subgroupBroadcast(four0, 0u);
    let s0_0_0 = fma(a0, x0, s0_0);
    s0_0 = s0_0_0;
    let a1 = subgroupBroadcast(four0, 1u);
    let s1_0_0 = fma(a1, x0, s1_0);
    s1_0 = s1_0_0;
  }
  let y_first = part * 128 + row * 32 + j0;
  let y0_0 = s0_0;
  y[y_first] = Y(y0_0);
  let y1_0 = s1_0;
  y[y_first + 32] = Y(y1_0);
}
