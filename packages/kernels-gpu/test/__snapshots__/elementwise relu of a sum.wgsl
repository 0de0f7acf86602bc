// 1 workgroups
// elementwise
alias I0 = f32;
alias I1 = f32;
alias Y0 = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read> i1: array<I1>;
@group(0) @binding(2) var<storage, read_write> y0: array<vec4<Y0>>;

fn max_of4(a: vec4f, b: vec4f) -> vec4f {
  return select(select(max(a, b), b, is_nan4(b)), a, is_nan4(a));
}
fn is_nan4(x: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 12u) { return; }
  let c2 = index % 2u;
  let rest_c2 = index / 2u;
  let c1 = rest_c2 % 3u;
  let rest_c1 = rest_c2 / 3u;
  let c0 = rest_c1;
  let v0 = vec4f(i0[c0 * 6u + c1 * 2u + c2]);
  let v1 = vec4f(f32(i1[c1]));
  let t0 = v0 + v1;
  let t1 = max_of4(t0, vec4f(0.0f));
  y0[index] = vec4<Y0>(t1);
}
