// 1 workgroups
// concat: input 0
alias X = i32;
alias Y = i32;
@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 3u) { return; }
  let c0 = index;
  y[c0] = vec4<Y>(x[c0]);
}

// 1 workgroups
// concat: input 1
alias X = i32;
alias Y = i32;
@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  let c0 = index;
  y[c0 + 3u] = vec4<Y>(x[c0]);
}
