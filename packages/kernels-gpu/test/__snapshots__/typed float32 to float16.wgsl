// 1 workgroups
// float32 to float16
alias A = f32;
alias Y = u32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn float_to_half(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let u = bits & 0x7fffffffu;
  let normal = (u + 0xc8000fffu + ((u >> 13u) & 1u)) >> 13u;
  let subnormal = bitcast<u32>(bitcast<f32>(u) + 0.5f) - 0x3f000000u;
  let finite = select(normal, subnormal, u < 0x38800000u);
  let special = select(0x7c00u, 0x7e00u, u > 0x7f800000u);
  return select(finite, special, u >= 0x47800000u) | ((bits >> 16u) & 0x8000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 4u) { return; }
  var word = 0u;
  for (var k = 0u; k < 2u; k++) {
    let i = index * 2u + k;
    if (i < 7u) { word |= (float_to_half(f32(a[i])) & 65535u) << (k * 16u); }
  }
  y[index] = word;
}
