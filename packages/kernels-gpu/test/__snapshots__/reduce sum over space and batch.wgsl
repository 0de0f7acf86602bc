// 1 workgroups
// sum
alias I0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn load(base0: u32, term: u32) -> vec4f {
  let r1 = term % 6u;
  let rest_r1 = term / 6u;
  let r0 = rest_r1;
  let v0 = vec4f(i0[base0 + r0 * 18u + r1]);
  return v0;
}

var<workgroup> totals: array<vec4f, 8>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane % 2u;
  let item = group * 4u + lane / 2u;
  let k0 = min(item, 2u);
  let base0 = k0 * 6u;
  var total = vec4f();
  for (var term = row; term < 12u; term += 2) {
    total = total + load(base0, term);
  }
  totals[lane] = total;
  workgroupBarrier();
  for (var half = 1u; half > 0u; half /= 2u) {
    if (row < half) { totals[lane] = totals[lane] + totals[lane + half]; }
    workgroupBarrier();
  }
  total = totals[lane];
  if (row == 0u && item < 3u) {
    let finished = total.x + total.y + total.z + total.w;
    y[item] = Y(finished);
  }
}
