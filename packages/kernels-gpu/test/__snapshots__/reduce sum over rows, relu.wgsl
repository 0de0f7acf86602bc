// 1 workgroups
// sum
alias I0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn finish(r: f32) -> f32 {
  let t0 = max_of(r, 0.0f);
  return t0;
}

fn load(base0: u32, term: u32) -> vec4f {
  let r0 = term;
  let v0 = vec4f(i0[base0 + r0 * 2u]);
  return v0;
}

var<workgroup> totals: array<vec4f, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let row = lane / 2u;
  let item = group * 2u + lane % 2u;
  let k0 = item;
  let base0 = k0;
  var total = vec4f();
  for (var term = row; term < 300u; term += 64) {
    total = total + load(base0, term);
  }
  totals[lane] = total;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (row < half) { totals[lane] = totals[lane] + totals[lane + half * 2u]; }
    workgroupBarrier();
  }
  total = totals[lane];
  if (row == 0u) {
    {
      let finished = finish(total.x);
      y[item * 4u + 0u] = Y(finished);
    }
    {
      let finished = finish(total.y);
      y[item * 4u + 1u] = Y(finished);
    }
    {
      let finished = finish(total.z);
      y[item * 4u + 2u] = Y(finished);
    }
    {
      let finished = finish(total.w);
      y[item * 4u + 3u] = Y(finished);
    }
  }
}
