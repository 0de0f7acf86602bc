// 1 workgroups
// scatterAdd
alias X = f32;
alias Indices = i32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> indices: array<Indices>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 30u) { return; }
  let row = index / 5u;
  let i = i32(index % 5u);
  let batch = row / 3u;
  var sum = 0.0f;
  for (var j = 0u; j < 7u; j++) {
    if (indices[batch * 7u + j] == i) { sum += f32(x[row * 7u + j]); }
  }
  let finished = sum;
  y[index] = Y(finished);
}
