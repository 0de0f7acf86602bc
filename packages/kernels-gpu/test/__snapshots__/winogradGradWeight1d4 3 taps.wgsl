// 1 workgroups
// Winograd: source
alias X = f32;
alias V = f32;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> v: array<V>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 9u) { return; }
  let column = index % 3u;
  let rest_column = index / 3u;
  let plain0 = 0u;
  let channel = rest_column;
  let tile = column;
  let tile0 = tile;
  let image = 0u;
  let at0 = tile0 * 2;
  let from0 = i32(at0);
  let base = i32((image * 3 + channel) * 8) + from0;
  let t0 = f32(x[base]);
  let t1 = f32(x[base + 1]);
  let t2 = f32(x[base + 2]);
  let t3 = f32(x[base + 3]);
  let t4 = t2 - t0;
  let t5 = t1 + t2;
  let t6 = t2 - t1;
  let t7 = t3 - t1;
  v[index] = V(t4);
  v[index + 9] = V(t5);
  v[index + 18] = V(t6);
  v[index + 27] = V(t7);
}

// 1 workgroups
// Winograd: gradients
alias Dy = f32;
alias D = f32;
@group(0) @binding(0) var<storage, read> dy: array<Dy>;
@group(0) @binding(1) var<storage, read_write> d: array<D>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 12u) { return; }
  let column = index % 3u;
  let rest_column = index / 3u;
  let channel = rest_column;
  let tile = column;
  let tile0 = tile;
  let image = 0u;
  let at0 = tile0 * 2;
  let base = (image * 4 + channel) * 6 + at0;
  let t0 = f32(dy[base]) * 2.0f;
  let t1 = f32(dy[base + 1]) * 2.0f;
  let t2 = -t0;
  let t3 = 0.5f * t0;
  let t4 = fma(0.5f, t1, t3);
  let t5 = 0.5f * t0;
  let t6 = fma(-0.5f, t1, t5);
  d[index] = D(t2);
  d[index + 12] = D(t4);
  d[index + 24] = D(t6);
  d[index + 36] = D(t1);
}

// 1 workgroups
// Winograd: products
alias A = f32;
alias X = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> a: array<A>;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64 + lane;
  let j = index % 3u;
  let rest_j = index / 3u;
  let i = 0u;
  let block = rest_j % 4u;
  let rest_block = rest_j / 4u;
  let part = rest_block;
  let row = block;
  let i0 = i;
  let j0 = j;
  let a_first = part * 12 + row * 3;
  let x_first = i32(part) * 9 + i32(j0) * 3;
  var s0_0 = 0.0;
  let x0 = f32(x[x_first]);
  let x1 = f32(x[x_first + 1]);
  let x2 = f32(x[x_first + 2]);
  let a0 = f32(a[a_first]);
  let s0_0_0 = fma(a0, x0, s0_0);
  let a1 = f32(a[a_first + 1]);
  let s0_0_1 = fma(a1, x1, s0_0_0);
  let a2 = f32(a[a_first + 2]);
  let s0_0_2 = fma(a2, x2, s0_0_1);
  s0_0 = s0_0_2;
  let y_first = part * 12 + row * 3 + j0;
  if (index < 48) {
    let y0_0 = s0_0;
    y[y_first] = Y(y0_0);
  }
}

// 1 workgroups
// Winograd: taps
alias P = f32;
alias Dy = f32;
alias X = f32;
alias Dw = f32;
@group(0) @binding(0) var<storage, read> p: array<P>;
@group(0) @binding(1) var<storage, read> dy: array<Dy>;
@group(0) @binding(2) var<storage, read> x: array<X>;
@group(0) @binding(3) var<storage, read_write> dw: array<Dw>;

fn plain(element: u32) -> f32 {
  let u_k0 = element % 3u;
  let rest_u_k0 = element / 3u;
  let u_icl = rest_u_k0 % 3u;
  let rest_u_icl = rest_u_k0 / 3u;
  let u_oc = rest_u_icl;
  let oc = i32(u_oc);
  let icl = i32(u_icl);
  let k0 = i32(u_k0);
  var sum = 0.0f;
  for (var n = 0; n < 1; n++) {
    let ic = oc / 4 * 3 + icl;
    for (var o0 = 0; o0 < 6; o0++) {
      let i0 = o0 + k0;
      if (u32(i0) < 8) {
        sum += f32(dy[(n * 4 + oc) * 6 + o0]) * f32(x[(n * 3 + ic) * 8 + i0]);
      }
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 12u) { return; }
  let plain0 = 0u;
  let channel = index % 3u;
  let rest_channel = index / 3u;
  let row = rest_channel;
  let problem = 0u;
  let base = problem * 36u + row * 9u + channel * 3u;
  let t0 = f32(p[index]);
  let t1 = f32(p[index + 12]);
  let t2 = f32(p[index + 24]);
  let t3 = f32(p[index + 36]);
  let t4 = t1 + t2;
  let t5 = t1 - t2;
  let t6 = t0 + t4;
  let t7 = t4 + t3;
  let t8 = t6 * 0.5f;
  let dw0_0 = t8;
  dw[base] = Dw(dw0_0);
  let t9 = t5 * 0.5f;
  let dw0_1 = t9;
  dw[base + 1] = Dw(dw0_1);
  let t10 = t7 * 0.5f;
  let dw0_2 = t10;
  dw[base + 2] = Dw(dw0_2);
  if ((bitcast<u32>(abs(t8) + abs(t9) + abs(t10)) & 0x7f800000u) == 0x7f800000u) {
    for (var tap = 0; tap < 3; tap++) {
      let element = base + u32(i32(tap) * 1);
      let r = plain(element);
      let out = r;
      dw[element] = Dw(out);
    }
  }
}
