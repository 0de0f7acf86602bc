// 1 workgroups
// sum
alias I0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn load(base0: u32, term: u32) -> vec4f {
  let r0 = term;
  let v0 = vec4f(i0[base0 + r0]);
  return v0;
}

@compute @workgroup_size(2)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = 0u;
  let item = group * 2u + lane;
  let k0 = item;
  let base0 = k0 * 6u;
  var total = vec4f();
  for (var term = row; term < 6u; term += 1) {
    total = total + load(base0, term);
  }
  let finished = (total.x + total.y + total.z + total.w) * 0.0416666679084301f;
  y[item] = Y(finished);
}
