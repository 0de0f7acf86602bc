// 1 workgroups
// sum
alias I0 = f32;
alias I1 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read> i1: array<I1>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn load(base0: u32, base1: u32, term: u32) -> vec4f {
  let r1 = term % 4u;
  let rest_r1 = term / 4u;
  let r0 = rest_r1;
  let v0 = vec4f(i0[base0 + r0 * 12u + r1]);
  let v1 = vec4f(f32(i1[base1]));
  let t0 = v0 - v1;
  let t1 = t0 * t0;
  return t1;
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = 0u;
  let item = group * 4u + lane;
  let k0 = min(item, 2u);
  let base0 = k0 * 4u;
  let base1 = k0;
  var total = vec4f();
  for (var term = row; term < 8u; term += 1) {
    total = total + load(base0, base1, term);
  }
  if (item < 3u) {
    let finished = total.x + total.y + total.z + total.w;
    y[item] = Y(finished);
  }
}
