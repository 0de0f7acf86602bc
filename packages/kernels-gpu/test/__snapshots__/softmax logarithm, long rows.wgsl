// 3 workgroups
// logSoftmax
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

var<private> infinite_bits: u32 = 0x7f800000u;
fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}
fn exp_of(x: f32) -> f32 {
  return select(exp(x), x, is_nan(x));
}
fn log_of(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let e = bitcast<i32>(bits - u32(0x3f3504f3u)) >> u32(23u);
  let m = bitcast<f32>(bits - (bitcast<u32>(e) << u32(23u)));
  let y = log_near(m - 1.0f) + f32(e) * -2.12194440e-4f + f32(e) * 0.693359375f;
  let above = select(select(y, x, bits >= u32(0x7f800000u)), f32(not_a_number()), bits > u32(0x80000000u));
  return select(above, f32(-infinity()), (bits & u32(0x7fffffffu)) < u32(0x00800000u));
}
fn log_near(f: f32) -> f32 {
  return f + ((((((((((7.0376836292e-2f) * f + -1.1514610310e-1f) * f + 1.1676998740e-1f) * f + -1.2420140846e-1f) * f + 1.4249322787e-1f) * f + -1.6668057665e-1f) * f + 2.0000714765e-1f) * f + -2.4999993993e-1f) * f + 3.3333331174e-1f) * f - 0.5f) * (f * f);
}
fn not_a_number() -> f32 {
  return bitcast<f32>(infinite_bits | 0x400000u);
}
fn infinity() -> f32 {
  return bitcast<f32>(infinite_bits);
}

var<workgroup> shared_values: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane % 128u;
  let output = group * 1u + lane / 128u;
  let first = output / 1u * 1000u + output % 1u;
  let end = first + 1000u;
  var own_largest = f32(x[first]);
  for (var at = first + row * 1u; at < end; at += 128) {
    own_largest = max_of(own_largest, f32(x[at]));
  }
  shared_values[lane] = own_largest;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = max_of(shared_values[lane], shared_values[lane + half]); }
    workgroupBarrier();
  }
  let largest = shared_values[lane - row];
  workgroupBarrier();
  var own_total = 0.0f;
  for (var at = first + row * 1u; at < end; at += 128) {
    own_total += exp_of(f32(x[at]) - largest);
  }
  shared_values[lane] = own_total;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = shared_values[lane] + shared_values[lane + half]; }
    workgroupBarrier();
  }
  let total = shared_values[lane - row];
  workgroupBarrier();
  let log_total = log_of(total);
  for (var at = first + row * 1u; at < end; at += 128) {
    let finished = (f32(x[at]) - largest) - log_total;
    y[at] = Y(finished);
  }
}
