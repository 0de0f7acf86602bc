// 1 workgroups
// broadcast
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Y>>;

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
  y[c0 * 6u + c1 * 2u + c2] = vec4<Y>(Y(x[c1]));
}
