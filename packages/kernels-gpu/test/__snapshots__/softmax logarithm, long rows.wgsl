// 3 workgroups
// logSoftmax
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

var<workgroup> shared_values: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane % 128u;
  let output = group * 1u + lane / 128u;
  let first = output / 1u * 1000u + output % 1u;
  let end = first + 1000u;
  var own_largest = f32(x[first]);
  for (var at = first + row * 1u; at < end; at += 128u) {
    own_largest = max(own_largest, f32(x[at]));
  }
  shared_values[lane] = own_largest;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = max(shared_values[lane], shared_values[lane + half]); }
    workgroupBarrier();
  }
  let largest = shared_values[lane - row];
  workgroupBarrier();
  var own_total = 0.0f;
  for (var at = first + row * 1u; at < end; at += 128u) {
    own_total += exp(f32(x[at]) - largest);
  }
  shared_values[lane] = own_total;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (row < half) { shared_values[lane] = shared_values[lane] + shared_values[lane + half]; }
    workgroupBarrier();
  }
  let total = shared_values[lane - row];
  workgroupBarrier();
  let log_total = log(total);
  for (var at = first + row * 1u; at < end; at += 128u) {
    let finished = (f32(x[at]) - largest) - log_total;
    y[at] = Y(finished);
  }
}
