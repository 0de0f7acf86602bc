// 1 workgroups
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// igemm by matrices of subgroups
alias A = f32;
alias X = f32;
alias Operand_i0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(2) var<storage, read> operand_i0: array<Operand_i0>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

var<workgroup> a_tile: array<f16, 2304>;
var<workgroup> x_tile: array<f16, 2304>;

fn finish(r: f32, i0: f32) -> f32 {
  let t0 = r + i0;
  return t0;
}

var<workgroup> y_patch: array<f32, 1024>;

fn store_patch(lane: u32, split: u32, part: u32, first_row: u32, first_column: u32) {
  for (var at = lane; at < 1024; at += 128) {
    let row = first_row + at / 512 * 32 + at % 256 / 16;
    let column = first_column + at / 256 % 2 * 32 + at % 16;
    if (row >= 16 || column >= 16) { continue; }
    let j = column;
    let element: u32 = part * 256 + row * 16 + j;
    let out = finish(y_patch[at], f32(operand_i0[row]));
    y[element] = Y(out);
  }
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32) {
  let group = at.x;
  let row_tile = 0u;
  let column_tile = 0u;
  let part = 0u;
  let split = 0u;
  let a_first: u32 = part * 256 + row_tile * 1024;
  let q0j0 = (column_tile * 64 + lane % 16 * 4);
  let q0x0: i32 = i32(part) * 256 + i32(q0j0);
  let sub_row = subgroup / 2 * 32;
  let sub_column = subgroup % 2 * 32;
  var s0_0: subgroup_matrix_result<f32, 16, 16>;
  var s0_1: subgroup_matrix_result<f32, 16, 16>;
  var s1_0: subgroup_matrix_result<f32, 16, 16>;
  var s1_1: subgroup_matrix_result<f32, 16, 16>;
  var next_a0: vec4f; var next_a1: vec4f; var next_x0: vec4f; var next_x1: vec4f;
  let first = split * 1;
  let end = min(first + 1, 1);
  {
    let slice = first;
    let ak0 = slice * 16 + lane % 16;
    let at0 = a_first + lane / 16 * 64 + ak0;
    next_a0 = vec4f(f32(a[at0]), f32(a[at0 + 16]), f32(a[at0 + 32]), f32(a[at0 + 48]));
    let ak1 = slice * 16 + (lane + 128) % 16;
    let at1 = a_first + (lane + 128) / 16 * 64 + ak1;
    next_a1 = vec4f(f32(a[at1]), f32(a[at1 + 16]), f32(a[at1 + 32]), f32(a[at1 + 48]));
    let xk0 = slice * 16 + lane / 16;
    let x0i = xk0;
    next_x0 = vec4f(x[u32(q0x0 + i32(x0i) * 16) / 4]);
    let xk1 = slice * 16 + (lane + 128) / 16;
    let x1i = xk1;
    next_x1 = vec4f(x[u32(q0x0 + i32(x1i) * 16) / 4]);
  }
  var half = 0u;
  a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4] = f16(next_a0.x); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 1] = f16(next_a0.y); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 2] = f16(next_a0.z); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 3] = f16(next_a0.w);
  a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4] = f16(next_a1.x); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 1] = f16(next_a1.y); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 2] = f16(next_a1.z); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 3] = f16(next_a1.w);
  x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4] = f16(next_x0.x); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 1] = f16(next_x0.y); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 2] = f16(next_x0.z); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 3] = f16(next_x0.w);
  x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4] = f16(next_x1.x); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 1] = f16(next_x1.y); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 2] = f16(next_x1.z); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 3] = f16(next_x1.w);
  workgroupBarrier();
  for (var now = first; now < end; now += 1) {
    let slice = min(now + 1, 0);
    let ak0 = slice * 16 + lane % 16;
    let at0 = a_first + lane / 16 * 64 + ak0;
    next_a0 = vec4f(f32(a[at0]), f32(a[at0 + 16]), f32(a[at0 + 32]), f32(a[at0 + 48]));
    let ak1 = slice * 16 + (lane + 128) % 16;
    let at1 = a_first + (lane + 128) / 16 * 64 + ak1;
    next_a1 = vec4f(f32(a[at1]), f32(a[at1 + 16]), f32(a[at1 + 32]), f32(a[at1 + 48]));
    let xk0 = slice * 16 + lane / 16;
    let x0i = xk0;
    next_x0 = vec4f(x[u32(q0x0 + i32(x0i) * 16) / 4]);
    let xk1 = slice * 16 + (lane + 128) / 16;
    let x1i = xk1;
    next_x1 = vec4f(x[u32(q0x0 + i32(x1i) * 16) / 4]);
    let a_from = half * 288 + 0u;
    let x_from = half * 288 + 0u;
    if (subgroup < 4) {
      let a0_0 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, col_major>(&a_tile, a_from * 4 + sub_row, 72);
      let a0_1 = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, col_major>(&a_tile, a_from * 4 + sub_row + 16, 72);
      let x0_0 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&x_tile, x_from * 4 + sub_column, 72);
      let x0_1 = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&x_tile, x_from * 4 + sub_column + 16, 72);
      s0_0 = subgroupMatrixMultiplyAccumulate(a0_0, x0_0, s0_0);
      s0_1 = subgroupMatrixMultiplyAccumulate(a0_0, x0_1, s0_1);
      s1_0 = subgroupMatrixMultiplyAccumulate(a0_1, x0_0, s1_0);
      s1_1 = subgroupMatrixMultiplyAccumulate(a0_1, x0_1, s1_1);
    }
    half = 1 - half;
    a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4] = f16(next_a0.x); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 1] = f16(next_a0.y); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 2] = f16(next_a0.z); a_tile[(half * 288 + lane % 16 * 18 + lane / 16) * 4 + 3] = f16(next_a0.w);
    a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4] = f16(next_a1.x); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 1] = f16(next_a1.y); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 2] = f16(next_a1.z); a_tile[(half * 288 + (lane + 128) % 16 * 18 + (lane + 128) / 16) * 4 + 3] = f16(next_a1.w);
    x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4] = f16(next_x0.x); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 1] = f16(next_x0.y); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 2] = f16(next_x0.z); x_tile[(half * 288 + lane / 16 * 18 + lane % 16) * 4 + 3] = f16(next_x0.w);
    x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4] = f16(next_x1.x); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 1] = f16(next_x1.y); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 2] = f16(next_x1.z); x_tile[(half * 288 + (lane + 128) / 16 * 18 + (lane + 128) % 16) * 4 + 3] = f16(next_x1.w);
    workgroupBarrier();
  }
  if (subgroup < 4) {
    subgroupMatrixStore<row_major>(&y_patch, subgroup * 256, s0_0, 16);
  }
  workgroupBarrier();
  store_patch(lane, split, part, row_tile * 64, column_tile * 64);
  workgroupBarrier();
  if (subgroup < 4) {
    subgroupMatrixStore<row_major>(&y_patch, subgroup * 256, s0_1, 16);
  }
  workgroupBarrier();
  store_patch(lane, split, part, row_tile * 64, column_tile * 64 + 16);
  workgroupBarrier();
  if (subgroup < 4) {
    subgroupMatrixStore<row_major>(&y_patch, subgroup * 256, s1_0, 16);
  }
  workgroupBarrier();
  store_patch(lane, split, part, row_tile * 64 + 16, column_tile * 64);
  workgroupBarrier();
  if (subgroup < 4) {
    subgroupMatrixStore<row_major>(&y_patch, subgroup * 256, s1_1, 16);
  }
  workgroupBarrier();
  store_patch(lane, split, part, row_tile * 64 + 16, column_tile * 64 + 16);
  workgroupBarrier();
}
