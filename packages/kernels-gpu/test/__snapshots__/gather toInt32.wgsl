// 1 workgroups
// to int32
alias X = f32;
alias Y = i32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 7u) { return; }
  let v = f32(x[index]);
  let whole = select(i32(v), 2147483647, v >= 2147483648.0f);
  let is_number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
  y[index] = Y(select(0, whole, is_number));
}
