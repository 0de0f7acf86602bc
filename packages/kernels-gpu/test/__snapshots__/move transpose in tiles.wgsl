// 130 workgroups
// transpose, in tiles
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
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

var<workgroup> tile: array<f32, 1056>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let b1 = group % 10u;
  let rest_b1 = group / 10u;
  let b0 = rest_b1;
  let column = lane % 32u;
  for (var row = lane / 32u; row < 32u; row += 8u) {
    let c0 = b0 * 32u + column;
    let c1 = b1 * 32u + row;
    if (c0 < 400u && c1 < 300u) {
      tile[row * 33u + column] = f32(x[c0 + c1 * 400u]);
    }
  }
  workgroupBarrier();
  for (var row = lane / 32u; row < 32u; row += 8u) {
    let c1 = b1 * 32u + column;
    let c0 = b0 * 32u + row;
    if (c0 < 400u && c1 < 300u) {
      let finished = finish(tile[column * 33u + row]);
      y[c0 * 300u + c1] = Y(finished);
    }
  }
}
