// 1 workgroups
// pad
alias X = f32;
alias Operand_i0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> operand_i0: array<Operand_i0>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

fn finish(r: f32, i0: f32) -> f32 {
  let t0 = r * i0;
  return t0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 28u) { return; }
  let c2 = index % 7u;
  let rest_c2 = index / 7u;
  let c1 = rest_c2;
  let c0 = 0u;
  let within = (c1 < 3u) & (c2 >= 1u) & (c2 < 5u);
  let finished = finish(select(0.0f, f32(x[select(0u, c0 * 12u + c1 * 4u + c2 - 1u, within)]), within), f32(operand_i0[index]));
  y[index] = Y(finished);
}
