// 1 workgroups
// average pool
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 8u) { return; }
  let o0 = index % 4u;
  let rest_o0 = index / 4u;
  let p = rest_o0;
  let plane = i32(p) * 7;
  let begin0 = i32(o0) * 2 - 1;
  let from0 = max(begin0, 0);
  let to0 = min(begin0 + 3, 7);
  var sum = 0.0f;
  let row0_0 = clamp(begin0, 0, 6);
  let in0_0 = (begin0 >= from0) & (begin0 < to0);
  let row0_1 = clamp(begin0 + 1, 0, 6);
  let in0_1 = (begin0 + 1 >= from0) & (begin0 + 1 < to0);
  let row0_2 = clamp(begin0 + 2, 0, 6);
  let in0_2 = (begin0 + 2 >= from0) & (begin0 + 2 < to0);
  sum += select(0.0f, f32(x[plane + row0_0]), in0_0);
  sum += select(0.0f, f32(x[plane + row0_1]), in0_1);
  sum += select(0.0f, f32(x[plane + row0_2]), in0_2);
  let finished = sum / f32((to0 - from0));
  y[index] = Y(finished);
}
