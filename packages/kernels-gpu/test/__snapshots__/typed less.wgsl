// 1 workgroups
// less
alias A = f32;
alias B = f32;
alias Y = u32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> b: array<B>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  var word = 0u;
  for (var k = 0u; k < 4u; k++) {
    let i = index * 4u + k;
    if (i < 5u) { word |= (u32(!is_nan(f32(a[i])) && !is_nan(f32(b[i])) && f32(a[i]) < f32(b[i])) & 255u) << (k * 8u); }
  }
  y[index] = word;
}
