// 1 workgroups
// sparse matrix along an axis
alias X = f32;
alias Ends = i32;
alias Places = i32;
alias Weights = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> ends: array<Ends>;
@group(0) @binding(2) var<storage, read> places: array<Places>;
@group(0) @binding(3) var<storage, read> weights: array<Weights>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 10u) { return; }
  let i = index % 1u;
  let j = index / 1u % 5u;
  let first = index / 5u * 3u + i;
  var sum = 0.0f;
  let last = ends[j + 1u];
  for (var tap = ends[j]; tap < last; tap += 1) {
    sum += weights[tap] * f32(x[first + u32(places[tap])]);
  }
  let finished = sum;
  y[index] = Y(finished);
}
