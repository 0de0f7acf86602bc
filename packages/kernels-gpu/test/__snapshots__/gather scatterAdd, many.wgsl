// 2 workgroups
// scatterAdd: empty lists
alias First_of = i32;
@group(0) @binding(0) var<storage, read_write> first_of: array<First_of>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 100u) { return; }
  first_of[index] = -1;
}

// 3 workgroups
// scatterAdd: lists of elements
alias Indices = i32;
alias First_of = i32;
alias Next_of = i32;
@group(0) @binding(0) var<storage, read> indices: array<Indices>;
@group(0) @binding(1) var<storage, read_write> first_of: array<atomic<First_of>>;
@group(0) @binding(2) var<storage, read_write> next_of: array<Next_of>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 140u) { return; }
  let i = bitcast<u32>(indices[index]);
  if (i >= 50u) { return; }
  next_of[index] = atomicExchange(&first_of[index / 70u * 50u + i], i32(index % 70u));
}

// 2 workgroups
// scatterAdd: lists in order
alias First_of = i32;
alias Next_of = i32;
@group(0) @binding(0) var<storage, read_write> first_of: array<First_of>;
@group(0) @binding(1) var<storage, read_write> next_of: array<Next_of>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 100u) { return; }
  let batch = i32(index / 50u) * 70;
  var rest = first_of[index];
  if (rest < 0) { return; }
  var head = -1;
  while (rest >= 0) {
    let j = rest;
    rest = next_of[batch + j];
    var before = -1;
    var after = head;
    while (after >= 0 && after < j) {
      before = after;
      after = next_of[batch + after];
    }
    next_of[batch + j] = after;
    if (before < 0) { head = j; } else { next_of[batch + before] = j; }
  }
  first_of[index] = head;
}

// 5 workgroups
// scatterAdd
alias X = f32;
alias First_of = i32;
alias Next_of = i32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> first_of: array<First_of>;
@group(0) @binding(2) var<storage, read> next_of: array<Next_of>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 300u) { return; }
  let row = index / 50u;
  let i = i32(index % 50u);
  let batch = row / 3u;
  var sum = 0.0f;
  var block0 = 0.0f;
  var left0 = 32;
  for (var j = first_of[batch * 50u + u32(i)]; j >= 0; j = next_of[i32(batch) * 70 + j]) {
    block0 += f32(x[i32(row) * 70 + j]);
    left0--;
    if (left0 == 0) {
      sum += block0;
      block0 = 0.0f;
      left0 = 32;
    }
  }
  sum += block0;
  let finished = sum;
  y[index] = Y(finished);
}
