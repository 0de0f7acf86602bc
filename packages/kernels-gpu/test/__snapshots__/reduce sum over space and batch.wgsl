// 1 workgroups
// sum
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn load(base: u32, term: u32) -> vec4f {
  let r1 = term % 6u;
  let rest_r1 = term / 6u;
  let r0 = rest_r1;
  return vec4f(x[base + r0 * 18u + r1]);
}

var<workgroup> totals: array<vec4f, 8>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane % 2u;
  let output = group * 4u + lane / 2u;
  let k0 = min(output, 2u);
  let base = k0 * 6u;
  var total = vec4f();
  for (var term = row; term < 12u; term += 2u) { total = total + load(base, term); }
  totals[lane] = total;
  workgroupBarrier();
  for (var half = 1u; half > 0u; half /= 2u) {
    if (row < half) { totals[lane] = totals[lane] + totals[lane + half]; }
    workgroupBarrier();
  }
  total = totals[lane];
  if (row == 0u && output < 3u) {
    let finished = total.x + total.y + total.z + total.w;
    y[output] = Y(finished);
  }
}
