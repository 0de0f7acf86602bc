// 1 workgroups
// float32 to int32
alias A = f32;
alias Y = i32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn float_to_int(v: f32) -> i32 {
  return select(select(i32(v), 2147483647, v >= 2147483648.0f), 0, is_nan(v));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 7u) { return; }
  y[index] = Y(float_to_int(f32(a[index])));
}
