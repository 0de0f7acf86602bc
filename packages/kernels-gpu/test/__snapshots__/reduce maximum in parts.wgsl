// 6 workgroups
// max of each of 2 parts
alias I0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn max_of4(a: vec4f, b: vec4f) -> vec4f {
  return select(select(max(a, b), b, is_nan4(b)), a, is_nan4(a));
}
fn is_nan4(x: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}
fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn load(base0: u32, term: u32) -> vec4f {
  let r0 = term;
  let v0 = vec4f(i0[base0 + r0]);
  return v0;
}

var<workgroup> totals: array<vec4f, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane;
  let item = group;
  let part = item / 3u;
  let k0 = item % 3u;
  let base0 = k0 * 16384u;
  let begin = part * 8192u;
  let end = min(begin + 8192u, 16384u);
  var total = load(base0, min(begin + row, end - 1u));
  for (var term = begin + row; term < end; term += 256) {
    total = max_of4(total, load(base0, term));
  }
  totals[lane] = total;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (row < half) { totals[lane] = max_of4(totals[lane], totals[lane + half]); }
    workgroupBarrier();
  }
  total = totals[lane];
  if (row == 0u) {
    y[item] = max_of(max_of(max_of(total.x, total.y), total.z), total.w);
  }
}

// 1 workgroups
// max
alias I0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<I0>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn load(base0: u32, term: u32) -> f32 {
  let r0 = term;
  let v0 = f32(i0[base0 + r0 * 3u]);
  return v0;
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = 0u;
  let item = group * 4u + lane;
  let k0 = min(item, 2u);
  let base0 = k0;
  var total = load(base0, min(row, 2u - 1u));
  for (var term = row; term < 2u; term += 1) {
    total = max_of(total, load(base0, term));
  }
  if (item < 3u) {
    let finished = total;
    y[item] = Y(finished);
  }
}
