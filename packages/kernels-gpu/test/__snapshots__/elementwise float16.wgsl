// 1 workgroups
enable f16;
// elementwise
alias I0 = f32;
alias I1 = f32;
alias Y0 = f16;
@group(0) @binding(0) var<storage, read> i0: array<vec4<I0>>;
@group(0) @binding(1) var<storage, read> i1: array<vec4<I1>>;
@group(0) @binding(2) var<storage, read_write> y0: array<vec4<Y0>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  let c0 = index;
  let v0 = vec4f(i0[c0]);
  let v1 = vec4f(i1[c0]);
  let t0 = v0 + v1;
  y0[index] = vec4<Y0>(t0);
}

// 1 workgroups
enable f16;
// concat: input 0
alias X = f16;
alias Y = f16;
@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 2u) { return; }
  let c0 = index;
  y[c0] = vec4<Y>(x[c0]);
}

// 1 workgroups
enable f16;
// concat: input 1
alias X = f32;
alias Y = f16;
@group(0) @binding(0) var<storage, read> x: array<vec4<X>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<Y>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 4u) { return; }
  let c0 = index;
  y[c0 + 2u] = vec4<Y>(x[c0]);
}

// 1 workgroups
enable f16;
// slice
alias X = f16;
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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 8u) { return; }
  let c0 = index;
  let finished = finish(f32(x[c0 + 4u]));
  y[c0] = Y(finished);
}
