// 1 workgroups
// softmax
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}
fn exp_of(x: f32) -> f32 {
  return select(exp(x), x, is_nan(x));
}

var<workgroup> shared_values: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane / 32u;
  let output = group * 32u + lane % 32u;
  let first = output / 9u * 630u + output % 9u;
  let end = select(0u, first + 630u, output < 18u);
  var own_largest = f32(x[first]);
  for (var at = first + row * 9u; at < end; at += 72) {
    own_largest = max_of(own_largest, f32(x[at]));
  }
  shared_values[lane] = own_largest;
  workgroupBarrier();
  for (var half = 4u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = max_of(shared_values[lane], shared_values[lane + half * 32u]); }
    workgroupBarrier();
  }
  let largest = shared_values[lane % 32u];
  workgroupBarrier();
  var own_total = 0.0f;
  for (var at = first + row * 9u; at < end; at += 72) {
    own_total += exp_of(f32(x[at]) - largest);
  }
  shared_values[lane] = own_total;
  workgroupBarrier();
  for (var half = 4u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = shared_values[lane] + shared_values[lane + half * 32u]; }
    workgroupBarrier();
  }
  let total = shared_values[lane % 32u];
  workgroupBarrier();
  let scale = 1.0f / total;
  for (var at = first + row * 9u; at < end; at += 72) {
    let finished = exp_of(f32(x[at]) - largest) * scale;
    y[at] = Y(finished);
  }
}
