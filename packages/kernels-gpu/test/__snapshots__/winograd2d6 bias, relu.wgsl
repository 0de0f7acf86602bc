// 1 workgroups
// Winograd: weights
alias W = f32;
alias U = f32;
@group(0) @binding(0) var<storage, read> w: array<W>;
@group(0) @binding(1) var<storage, read_write> u: array<U>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 6u) { return; }
  let plain1 = 0u;
  let plain0 = 0u;
  let channel = index % 3u;
  let rest_channel = index / 3u;
  let row = rest_channel;
  let problem = 0u;
  let base = i32(problem * 54u + row * 27u + channel * 9u);
  let t0 = f32(w[base]) * 1024.0f;
  let t1 = f32(w[base + 3]) * 1024.0f;
  let t2 = f32(w[base + 6]) * 1024.0f;
  let t3 = 0.25f * t0;
  let t4 = -0.1666666716337204f * t0;
  let t5 = fma(-0.1666666716337204f, t2, t4);
  let t6 = -0.1666666716337204f * t1;
  let t7 = t5 + t6;
  let t8 = t5 - t6;
  let t9 = 0.0416666679084301f * t0;
  let t10 = fma(0.1666666716337204f, t2, t9);
  let t11 = 0.0833333358168602f * t1;
  let t12 = t10 + t11;
  let t13 = t10 - t11;
  let t14 = f32(w[base + 1]) * 1024.0f;
  let t15 = f32(w[base + 3 + 1]) * 1024.0f;
  let t16 = f32(w[base + 6 + 1]) * 1024.0f;
  let t17 = 0.25f * t14;
  let t18 = -0.1666666716337204f * t14;
  let t19 = fma(-0.1666666716337204f, t16, t18);
  let t20 = -0.1666666716337204f * t15;
  let t21 = t19 + t20;
  let t22 = t19 - t20;
  let t23 = 0.0416666679084301f * t14;
  let t24 = fma(0.1666666716337204f, t16, t23);
  let t25 = 0.0833333358168602f * t15;
  let t26 = t24 + t25;
  let t27 = t24 - t25;
  let t28 = f32(w[base + 2]) * 1024.0f;
  let t29 = f32(w[base + 3 + 2]) * 1024.0f;
  let t30 = f32(w[base + 6 + 2]) * 1024.0f;
  let t31 = 0.25f * t28;
  let t32 = -0.1666666716337204f * t28;
  let t33 = fma(-0.1666666716337204f, t30, t32);
  let t34 = -0.1666666716337204f * t29;
  let t35 = t33 + t34;
  let t36 = t33 - t34;
  let t37 = 0.0416666679084301f * t28;
  let t38 = fma(0.1666666716337204f, t30, t37);
  let t39 = 0.0833333358168602f * t29;
  let t40 = t38 + t39;
  let t41 = t38 - t39;
  let t42 = 0.25f * t3;
  let t43 = -0.1666666716337204f * t3;
  let t44 = fma(-0.1666666716337204f, t31, t43);
  let t45 = -0.1666666716337204f * t17;
  let t46 = t44 + t45;
  let t47 = t44 - t45;
  let t48 = 0.0416666679084301f * t3;
  let t49 = fma(0.1666666716337204f, t31, t48);
  let t50 = 0.0833333358168602f * t17;
  let t51 = t49 + t50;
  let t52 = t49 - t50;
  u[index] = U(t42);
  u[index + 6] = U(t46);
  u[index + 12] = U(t47);
  u[index + 18] = U(t51);
  u[index + 24] = U(t52);
  u[index + 30] = U(t31);
  let t53 = 0.25f * t7;
  let t54 = -0.1666666716337204f * t7;
  let t55 = fma(-0.1666666716337204f, t35, t54);
  let t56 = -0.1666666716337204f * t21;
  let t57 = t55 + t56;
  let t58 = t55 - t56;
  let t59 = 0.0416666679084301f * t7;
  let t60 = fma(0.1666666716337204f, t35, t59);
  let t61 = 0.0833333358168602f * t21;
  let t62 = t60 + t61;
  let t63 = t60 - t61;
  u[index + 36] = U(t53);
  u[index + 42] = U(t57);
  u[index + 48] = U(t58);
  u[index + 54] = U(t62);
  u[index + 60] = U(t63);
  u[index + 66] = U(t35);
  let t64 = 0.25f * t8;
  let t65 = -0.1666666716337204f * t8;
  let t66 = fma(-0.1666666716337204f, t36, t65);
  let t67 = -0.1666666716337204f * t22;
  let t68 = t66 + t67;
  let t69 = t66 - t67;
  let t70 = 0.0416666679084301f * t8;
  let t71 = fma(0.1666666716337204f, t36, t70);
  let t72 = 0.0833333358168602f * t22;
  let t73 = t71 + t72;
  let t74 = t71 - t72;
  u[index + 72] = U(t64);
  u[index + 78] = U(t68);
  u[index + 84] = U(t69);
  u[index + 90] = U(t73);
  u[index + 96] = U(t74);
  u[index + 102] = U(t36);
  let t75 = 0.25f * t12;
  let t76 = -0.1666666716337204f * t12;
  let t77 = fma(-0.1666666716337204f, t40, t76);
  let t78 = -0.1666666716337204f * t26;
  let t79 = t77 + t78;
  let t80 = t77 - t78;
  let t81 = 0.0416666679084301f * t12;
  let t82 = fma(0.1666666716337204f, t40, t81);
  let t83 = 0.0833333358168602f * t26;
  let t84 = t82 + t83;
  let t85 = t82 - t83;
  u[index + 108] = U(t75);
  u[index + 114] = U(t79);
  u[index + 120] = U(t80);
  u[index + 126] = U(t84);
  u[index + 132] = U(t85);
  u[index + 138] = U(t40);
  let t86 = 0.25f * t13;
  let t87 = -0.1666666716337204f * t13;
  let t88 = fma(-0.1666666716337204f, t41, t87);
  let t89 = -0.1666666716337204f * t27;
  let t90 = t88 + t89;
  let t91 = t88 - t89;
  let t92 = 0.0416666679084301f * t13;
  let t93 = fma(0.1666666716337204f, t41, t92);
  let t94 = 0.0833333358168602f * t27;
  let t95 = t93 + t94;
  let t96 = t93 - t94;
  u[index + 144] = U(t86);
  u[index + 150] = U(t90);
  u[index + 156] = U(t91);
  u[index + 162] = U(t95);
  u[index + 168] = U(t96);
  u[index + 174] = U(t41);
  let t97 = 0.25f * t2;
  let t98 = -0.1666666716337204f * t2;
  let t99 = fma(-0.1666666716337204f, t30, t98);
  let t100 = -0.1666666716337204f * t16;
  let t101 = t99 + t100;
  let t102 = t99 - t100;
  let t103 = 0.0416666679084301f * t2;
  let t104 = fma(0.1666666716337204f, t30, t103);
  let t105 = 0.0833333358168602f * t16;
  let t106 = t104 + t105;
  let t107 = t104 - t105;
  u[index + 180] = U(t97);
  u[index + 186] = U(t101);
  u[index + 192] = U(t102);
  u[index + 198] = U(t106);
  u[index + 204] = U(t107);
  u[index + 210] = U(t30);
}

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
  if (index >= 12u) { return; }
  let column = index % 4u;
  let rest_column = index / 4u;
  let plain1 = 0u;
  let plain0 = 0u;
  let channel = rest_column;
  let tile = column;
  let tile1 = tile % 2u;
  let rest_tile1 = tile / 2u;
  let tile0 = rest_tile1;
  let image = 0u;
  let at0 = tile0 * 4;
  let at1 = tile1 * 4;
  let from0 = i32(at0) - 1;
  let from1 = i32(at1) - 1;
  let base = i32((image * 3 + channel) * 36) + from0 * 6 + from1;
  let t0 = u32(from0) < 6;
  let t1 = u32(from0 + 1) < 6;
  let t2 = u32(from0 + 2) < 6;
  let t3 = u32(from0 + 3) < 6;
  let t4 = u32(from0 + 4) < 6;
  let t5 = u32(from0 + 5) < 6;
  let t6 = u32(from1) < 6;
  let t7 = u32(from1 + 1) < 6;
  let t8 = u32(from1 + 2) < 6;
  let t9 = u32(from1 + 3) < 6;
  let t10 = u32(from1 + 4) < 6;
  let t11 = u32(from1 + 5) < 6;
  let t12 = select(0.0, f32(x[base]), t0 & t6);
  let t13 = select(0.0, f32(x[base + 6]), t1 & t6);
  let t14 = select(0.0, f32(x[base + 12]), t2 & t6);
  let t15 = select(0.0, f32(x[base + 18]), t3 & t6);
  let t16 = select(0.0, f32(x[base + 24]), t4 & t6);
  let t17 = select(0.0, f32(x[base + 30]), t5 & t6);
  let t18 = fma(4.0f, t12, t16);
  let t19 = fma(-5.0f, t14, t18);
  let t20 = fma(-4.0f, t14, t16);
  let t21 = fma(-4.0f, t13, t15);
  let t22 = t20 + t21;
  let t23 = t20 - t21;
  let t24 = t16 - t14;
  let t25 = -2.0f * t13;
  let t26 = fma(2.0f, t15, t25);
  let t27 = t24 + t26;
  let t28 = t24 - t26;
  let t29 = fma(4.0f, t13, t17);
  let t30 = fma(-5.0f, t15, t29);
  let t31 = select(0.0, f32(x[base + 1]), t0 & t7);
  let t32 = select(0.0, f32(x[base + 7]), t1 & t7);
  let t33 = select(0.0, f32(x[base + 13]), t2 & t7);
  let t34 = select(0.0, f32(x[base + 19]), t3 & t7);
  let t35 = select(0.0, f32(x[base + 25]), t4 & t7);
  let t36 = select(0.0, f32(x[base + 31]), t5 & t7);
  let t37 = fma(4.0f, t31, t35);
  let t38 = fma(-5.0f, t33, t37);
  let t39 = fma(-4.0f, t33, t35);
  let t40 = fma(-4.0f, t32, t34);
  let t41 = t39 + t40;
  let t42 = t39 - t40;
  let t43 = t35 - t33;
  let t44 = -2.0f * t32;
  let t45 = fma(2.0f, t34, t44);
  let t46 = t43 + t45;
  let t47 = t43 - t45;
  let t48 = fma(4.0f, t32, t36);
  let t49 = fma(-5.0f, t34, t48);
  let t50 = select(0.0, f32(x[base + 2]), t0 & t8);
  let t51 = select(0.0, f32(x[base + 8]), t1 & t8);
  let t52 = select(0.0, f32(x[base + 14]), t2 & t8);
  let t53 = select(0.0, f32(x[base + 20]), t3 & t8);
  let t54 = select(0.0, f32(x[base + 26]), t4 & t8);
  let t55 = select(0.0, f32(x[base + 32]), t5 & t8);
  let t56 = fma(4.0f, t50, t54);
  let t57 = fma(-5.0f, t52, t56);
  let t58 = fma(-4.0f, t52, t54);
  let t59 = fma(-4.0f, t51, t53);
  let t60 = t58 + t59;
  let t61 = t58 - t59;
  let t62 = t54 - t52;
  let t63 = -2.0f * t51;
  let t64 = fma(2.0f, t53, t63);
  let t65 = t62 + t64;
  let t66 = t62 - t64;
  let t67 = fma(4.0f, t51, t55);
  let t68 = fma(-5.0f, t53, t67);
  let t69 = select(0.0, f32(x[base + 3]), t0 & t9);
  let t70 = select(0.0, f32(x[base + 9]), t1 & t9);
  let t71 = select(0.0, f32(x[base + 15]), t2 & t9);
  let t72 = select(0.0, f32(x[base + 21]), t3 & t9);
  let t73 = select(0.0, f32(x[base + 27]), t4 & t9);
  let t74 = select(0.0, f32(x[base + 33]), t5 & t9);
  let t75 = fma(4.0f, t69, t73);
  let t76 = fma(-5.0f, t71, t75);
  let t77 = fma(-4.0f, t71, t73);
  let t78 = fma(-4.0f, t70, t72);
  let t79 = t77 + t78;
  let t80 = t77 - t78;
  let t81 = t73 - t71;
  let t82 = -2.0f * t70;
  let t83 = fma(2.0f, t72, t82);
  let t84 = t81 + t83;
  let t85 = t81 - t83;
  let t86 = fma(4.0f, t70, t74);
  let t87 = fma(-5.0f, t72, t86);
  let t88 = select(0.0, f32(x[base + 4]), t0 & t10);
  let t89 = select(0.0, f32(x[base + 10]), t1 & t10);
  let t90 = select(0.0, f32(x[base + 16]), t2 & t10);
  let t91 = select(0.0, f32(x[base + 22]), t3 & t10);
  let t92 = select(0.0, f32(x[base + 28]), t4 & t10);
  let t93 = select(0.0, f32(x[base + 34]), t5 & t10);
  let t94 = fma(4.0f, t88, t92);
  let t95 = fma(-5.0f, t90, t94);
  let t96 = fma(-4.0f, t90, t92);
  let t97 = fma(-4.0f, t89, t91);
  let t98 = t96 + t97;
  let t99 = t96 - t97;
  let t100 = t92 - t90;
  let t101 = -2.0f * t89;
  let t102 = fma(2.0f, t91, t101);
  let t103 = t100 + t102;
  let t104 = t100 - t102;
  let t105 = fma(4.0f, t89, t93);
  let t106 = fma(-5.0f, t91, t105);
  let t107 = select(0.0, f32(x[base + 5]), t0 & t11);
  let t108 = select(0.0, f32(x[base + 11]), t1 & t11);
  let t109 = select(0.0, f32(x[base + 17]), t2 & t11);
  let t110 = select(0.0, f32(x[base + 23]), t3 & t11);
  let t111 = select(0.0, f32(x[base + 29]), t4 & t11);
  let t112 = select(0.0, f32(x[base + 35]), t5 & t11);
  let t113 = fma(4.0f, t107, t111);
  let t114 = fma(-5.0f, t109, t113);
  let t115 = fma(-4.0f, t109, t111);
  let t116 = fma(-4.0f, t108, t110);
  let t117 = t115 + t116;
  let t118 = t115 - t116;
  let t119 = t111 - t109;
  let t120 = -2.0f * t108;
  let t121 = fma(2.0f, t110, t120);
  let t122 = t119 + t121;
  let t123 = t119 - t121;
  let t124 = fma(4.0f, t108, t112);
  let t125 = fma(-5.0f, t110, t124);
  let t126 = fma(4.0f, t19, t95);
  let t127 = fma(-5.0f, t57, t126);
  let t128 = fma(-4.0f, t57, t95);
  let t129 = fma(-4.0f, t38, t76);
  let t130 = t128 + t129;
  let t131 = t128 - t129;
  let t132 = t95 - t57;
  let t133 = -2.0f * t38;
  let t134 = fma(2.0f, t76, t133);
  let t135 = t132 + t134;
  let t136 = t132 - t134;
  let t137 = fma(4.0f, t38, t114);
  let t138 = fma(-5.0f, t76, t137);
  v[index] = V(t127);
  v[index + 12] = V(t130);
  v[index + 24] = V(t131);
  v[index + 36] = V(t135);
  v[index + 48] = V(t136);
  v[index + 60] = V(t138);
  let t139 = fma(4.0f, t22, t98);
  let t140 = fma(-5.0f, t60, t139);
  let t141 = fma(-4.0f, t60, t98);
  let t142 = fma(-4.0f, t41, t79);
  let t143 = t141 + t142;
  let t144 = t141 - t142;
  let t145 = t98 - t60;
  let t146 = -2.0f * t41;
  let t147 = fma(2.0f, t79, t146);
  let t148 = t145 + t147;
  let t149 = t145 - t147;
  let t150 = fma(4.0f, t41, t117);
  let t151 = fma(-5.0f, t79, t150);
  v[index + 72] = V(t140);
  v[index + 84] = V(t143);
  v[index + 96] = V(t144);
  v[index + 108] = V(t148);
  v[index + 120] = V(t149);
  v[index + 132] = V(t151);
  let t152 = fma(4.0f, t23, t99);
  let t153 = fma(-5.0f, t61, t152);
  let t154 = fma(-4.0f, t61, t99);
  let t155 = fma(-4.0f, t42, t80);
  let t156 = t154 + t155;
  let t157 = t154 - t155;
  let t158 = t99 - t61;
  let t159 = -2.0f * t42;
  let t160 = fma(2.0f, t80, t159);
  let t161 = t158 + t160;
  let t162 = t158 - t160;
  let t163 = fma(4.0f, t42, t118);
  let t164 = fma(-5.0f, t80, t163);
  v[index + 144] = V(t153);
  v[index + 156] = V(t156);
  v[index + 168] = V(t157);
  v[index + 180] = V(t161);
  v[index + 192] = V(t162);
  v[index + 204] = V(t164);
  let t165 = fma(4.0f, t27, t103);
  let t166 = fma(-5.0f, t65, t165);
  let t167 = fma(-4.0f, t65, t103);
  let t168 = fma(-4.0f, t46, t84);
  let t169 = t167 + t168;
  let t170 = t167 - t168;
  let t171 = t103 - t65;
  let t172 = -2.0f * t46;
  let t173 = fma(2.0f, t84, t172);
  let t174 = t171 + t173;
  let t175 = t171 - t173;
  let t176 = fma(4.0f, t46, t122);
  let t177 = fma(-5.0f, t84, t176);
  v[index + 216] = V(t166);
  v[index + 228] = V(t169);
  v[index + 240] = V(t170);
  v[index + 252] = V(t174);
  v[index + 264] = V(t175);
  v[index + 276] = V(t177);
  let t178 = fma(4.0f, t28, t104);
  let t179 = fma(-5.0f, t66, t178);
  let t180 = fma(-4.0f, t66, t104);
  let t181 = fma(-4.0f, t47, t85);
  let t182 = t180 + t181;
  let t183 = t180 - t181;
  let t184 = t104 - t66;
  let t185 = -2.0f * t47;
  let t186 = fma(2.0f, t85, t185);
  let t187 = t184 + t186;
  let t188 = t184 - t186;
  let t189 = fma(4.0f, t47, t123);
  let t190 = fma(-5.0f, t85, t189);
  v[index + 288] = V(t179);
  v[index + 300] = V(t182);
  v[index + 312] = V(t183);
  v[index + 324] = V(t187);
  v[index + 336] = V(t188);
  v[index + 348] = V(t190);
  let t191 = fma(4.0f, t30, t106);
  let t192 = fma(-5.0f, t68, t191);
  let t193 = fma(-4.0f, t68, t106);
  let t194 = fma(-4.0f, t49, t87);
  let t195 = t193 + t194;
  let t196 = t193 - t194;
  let t197 = t106 - t68;
  let t198 = -2.0f * t49;
  let t199 = fma(2.0f, t87, t198);
  let t200 = t197 + t199;
  let t201 = t197 - t199;
  let t202 = fma(4.0f, t49, t125);
  let t203 = fma(-5.0f, t87, t202);
  v[index + 360] = V(t192);
  v[index + 372] = V(t195);
  v[index + 384] = V(t196);
  v[index + 396] = V(t200);
  v[index + 408] = V(t201);
  v[index + 420] = V(t203);
}

// 5 workgroups
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
  let j = index % 4u;
  let rest_j = index / 4u;
  let i = 0u;
  let block = rest_j % 2u;
  let rest_block = rest_j / 2u;
  let part = rest_block;
  let row = block;
  let i0 = i;
  let j0 = j;
  let a_first = part * 6 + row * 3;
  let x_first = i32(part) * 12 + i32(j0);
  var s0_0 = 0.0;
  let x0 = f32(x[x_first]);
  let x1 = f32(x[x_first + 4]);
  let x2 = f32(x[x_first + 8]);
  let a0 = f32(a[a_first]);
  let s0_0_0 = fma(a0, x0, s0_0);
  let a1 = f32(a[a_first + 1]);
  let s0_0_1 = fma(a1, x1, s0_0_0);
  let a2 = f32(a[a_first + 2]);
  let s0_0_2 = fma(a2, x2, s0_0_1);
  s0_0 = s0_0_2;
  let y_first = part * 8 + row * 4 + j0;
  if (index < 288) {
    let y0_0 = s0_0;
    y[y_first] = Y(y0_0);
  }
}

// 1 workgroups
// Winograd: outputs
alias M = f32;
alias P = f32;
alias Q = f32;
alias Operand_i0 = f32;
alias Y = f32;
@group(0) @binding(0) var<storage, read> m: array<M>;
@group(0) @binding(1) var<storage, read> p: array<P>;
@group(0) @binding(2) var<storage, read> q: array<Q>;
@group(0) @binding(3) var<storage, read> operand_i0: array<Operand_i0>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

fn max_of(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & u32(0x7fffffffu)) > u32(0x7f800000u);
}

fn finish(r: f32, i0: f32) -> f32 {
  let t0 = r + i0;
  let t1 = max_of(t0, 0.0f);
  return t1;
}

fn plain(element: u32) -> f32 {
  let u_o1 = element % 6u;
  let rest_u_o1 = element / 6u;
  let u_o0 = rest_u_o1 % 6u;
  let rest_u_o0 = rest_u_o1 / 6u;
  let u_oc = rest_u_o0;
  let u_n = 0u;
  let n = i32(u_n);
  let oc = i32(u_oc);
  let o0 = i32(u_o0);
  let o1 = i32(u_o1);
  var sum = 0.0f;
  for (var icl = 0; icl < 3; icl++) {
    let ic = oc / 2 * 3 + icl;
    for (var k0 = 0; k0 < 3; k0++) {
      let i0 = o0 + k0 - 1;
      if (u32(i0) < 6) {
        for (var k1 = 0; k1 < 3; k1++) {
          let i1 = o1 + k1 - 1;
          if (u32(i1) < 6) {
            sum += f32(p[(n * 3 + ic) * 36 + i0 * 6 + i1]) * f32(q[(oc * 3 + icl) * 9 + k0 * 3 + k1]);
          }
        }
      }
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = at.x;
  let index = group * 64u + lane;
  if (index >= 8u) { return; }
  let column = index % 4u;
  let rest_column = index / 4u;
  let channel = rest_column;
  let tile = column;
  let tile1 = tile % 2u;
  let rest_tile1 = tile / 2u;
  let tile0 = rest_tile1;
  let image = 0u;
  let at0 = tile0 * 4;
  let at1 = tile1 * 4;
  let base = (image * 2 + channel) * 36 + at0 * 6 + at1;
  let t0 = 0.0009765625f;
  let t1 = f32(m[index]);
  let t2 = f32(m[index + 48]);
  let t3 = f32(m[index + 96]);
  let t4 = f32(m[index + 144]);
  let t5 = f32(m[index + 192]);
  let t6 = f32(m[index + 240]);
  let t7 = t2 + t3;
  let t8 = t2 - t3;
  let t9 = t4 + t5;
  let t10 = t4 - t5;
  let t11 = t1 + t7;
  let t12 = t11 + t9;
  let t13 = fma(2.0f, t10, t8);
  let t14 = fma(4.0f, t9, t7);
  let t15 = fma(8.0f, t10, t8);
  let t16 = t15 + t6;
  let t17 = f32(m[index + 8]);
  let t18 = f32(m[index + 56]);
  let t19 = f32(m[index + 104]);
  let t20 = f32(m[index + 152]);
  let t21 = f32(m[index + 200]);
  let t22 = f32(m[index + 248]);
  let t23 = t18 + t19;
  let t24 = t18 - t19;
  let t25 = t20 + t21;
  let t26 = t20 - t21;
  let t27 = t17 + t23;
  let t28 = t27 + t25;
  let t29 = fma(2.0f, t26, t24);
  let t30 = fma(4.0f, t25, t23);
  let t31 = fma(8.0f, t26, t24);
  let t32 = t31 + t22;
  let t33 = f32(m[index + 16]);
  let t34 = f32(m[index + 64]);
  let t35 = f32(m[index + 112]);
  let t36 = f32(m[index + 160]);
  let t37 = f32(m[index + 208]);
  let t38 = f32(m[index + 256]);
  let t39 = t34 + t35;
  let t40 = t34 - t35;
  let t41 = t36 + t37;
  let t42 = t36 - t37;
  let t43 = t33 + t39;
  let t44 = t43 + t41;
  let t45 = fma(2.0f, t42, t40);
  let t46 = fma(4.0f, t41, t39);
  let t47 = fma(8.0f, t42, t40);
  let t48 = t47 + t38;
  let t49 = f32(m[index + 24]);
  let t50 = f32(m[index + 72]);
  let t51 = f32(m[index + 120]);
  let t52 = f32(m[index + 168]);
  let t53 = f32(m[index + 216]);
  let t54 = f32(m[index + 264]);
  let t55 = t50 + t51;
  let t56 = t50 - t51;
  let t57 = t52 + t53;
  let t58 = t52 - t53;
  let t59 = t49 + t55;
  let t60 = t59 + t57;
  let t61 = fma(2.0f, t58, t56);
  let t62 = fma(4.0f, t57, t55);
  let t63 = fma(8.0f, t58, t56);
  let t64 = t63 + t54;
  let t65 = f32(m[index + 32]);
  let t66 = f32(m[index + 80]);
  let t67 = f32(m[index + 128]);
  let t68 = f32(m[index + 176]);
  let t69 = f32(m[index + 224]);
  let t70 = f32(m[index + 272]);
  let t71 = t66 + t67;
  let t72 = t66 - t67;
  let t73 = t68 + t69;
  let t74 = t68 - t69;
  let t75 = t65 + t71;
  let t76 = t75 + t73;
  let t77 = fma(2.0f, t74, t72);
  let t78 = fma(4.0f, t73, t71);
  let t79 = fma(8.0f, t74, t72);
  let t80 = t79 + t70;
  let t81 = f32(m[index + 40]);
  let t82 = f32(m[index + 88]);
  let t83 = f32(m[index + 136]);
  let t84 = f32(m[index + 184]);
  let t85 = f32(m[index + 232]);
  let t86 = f32(m[index + 280]);
  let t87 = t82 + t83;
  let t88 = t82 - t83;
  let t89 = t84 + t85;
  let t90 = t84 - t85;
  let t91 = t81 + t87;
  let t92 = t91 + t89;
  let t93 = fma(2.0f, t90, t88);
  let t94 = fma(4.0f, t89, t87);
  let t95 = fma(8.0f, t90, t88);
  let t96 = t95 + t86;
  let t97 = t28 + t44;
  let t98 = t28 - t44;
  let t99 = t60 + t76;
  let t100 = t60 - t76;
  let t101 = t12 + t97;
  let t102 = t101 + t99;
  let t103 = fma(2.0f, t100, t98);
  let t104 = fma(4.0f, t99, t97);
  let t105 = fma(8.0f, t100, t98);
  let t106 = t105 + t92;
  let t107 = t102 * t0;
  let t108 = t103 * t0;
  let t109 = t104 * t0;
  let t110 = t106 * t0;
  let t111 = t29 + t45;
  let t112 = t29 - t45;
  let t113 = t61 + t77;
  let t114 = t61 - t77;
  let t115 = t13 + t111;
  let t116 = t115 + t113;
  let t117 = fma(2.0f, t114, t112);
  let t118 = fma(4.0f, t113, t111);
  let t119 = fma(8.0f, t114, t112);
  let t120 = t119 + t93;
  let t121 = t116 * t0;
  let t122 = t117 * t0;
  let t123 = t118 * t0;
  let t124 = t120 * t0;
  let t125 = t30 + t46;
  let t126 = t30 - t46;
  let t127 = t62 + t78;
  let t128 = t62 - t78;
  let t129 = t14 + t125;
  let t130 = t129 + t127;
  let t131 = fma(2.0f, t128, t126);
  let t132 = fma(4.0f, t127, t125);
  let t133 = fma(8.0f, t128, t126);
  let t134 = t133 + t94;
  let t135 = t130 * t0;
  let t136 = t131 * t0;
  let t137 = t132 * t0;
  let t138 = t134 * t0;
  let t139 = t32 + t48;
  let t140 = t32 - t48;
  let t141 = t64 + t80;
  let t142 = t64 - t80;
  let t143 = t16 + t139;
  let t144 = t143 + t141;
  let t145 = fma(2.0f, t142, t140);
  let t146 = fma(4.0f, t141, t139);
  let t147 = fma(8.0f, t142, t140);
  let t148 = t147 + t96;
  let t149 = t144 * t0;
  let t150 = t145 * t0;
  let t151 = t146 * t0;
  let t152 = t148 * t0;
  let y0_0 = finish(t107, f32(operand_i0[channel]));
  y[base] = Y(y0_0);
  let y0_1 = finish(t108, f32(operand_i0[channel]));
  y[base + 1] = Y(y0_1);
  if (at1 + 2 < 6) {
    let y0_2 = finish(t109, f32(operand_i0[channel]));
    y[base + 2] = Y(y0_2);
  }
  if (at1 + 3 < 6) {
    let y0_3 = finish(t110, f32(operand_i0[channel]));
    y[base + 3] = Y(y0_3);
  }
  let y1_0 = finish(t121, f32(operand_i0[channel]));
  y[base + 6] = Y(y1_0);
  let y1_1 = finish(t122, f32(operand_i0[channel]));
  y[base + 7] = Y(y1_1);
  if (at1 + 2 < 6) {
    let y1_2 = finish(t123, f32(operand_i0[channel]));
    y[base + 8] = Y(y1_2);
  }
  if (at1 + 3 < 6) {
    let y1_3 = finish(t124, f32(operand_i0[channel]));
    y[base + 9] = Y(y1_3);
  }
  if (at0 + 2 < 6) {
    let y2_0 = finish(t135, f32(operand_i0[channel]));
    y[base + 12] = Y(y2_0);
    let y2_1 = finish(t136, f32(operand_i0[channel]));
    y[base + 13] = Y(y2_1);
    if (at1 + 2 < 6) {
      let y2_2 = finish(t137, f32(operand_i0[channel]));
      y[base + 14] = Y(y2_2);
    }
    if (at1 + 3 < 6) {
      let y2_3 = finish(t138, f32(operand_i0[channel]));
      y[base + 15] = Y(y2_3);
    }
  }
  if (at0 + 3 < 6) {
    let y3_0 = finish(t149, f32(operand_i0[channel]));
    y[base + 18] = Y(y3_0);
    let y3_1 = finish(t150, f32(operand_i0[channel]));
    y[base + 19] = Y(y3_1);
    if (at1 + 2 < 6) {
      let y3_2 = finish(t151, f32(operand_i0[channel]));
      y[base + 20] = Y(y3_2);
    }
    if (at1 + 3 < 6) {
      let y3_3 = finish(t152, f32(operand_i0[channel]));
      y[base + 21] = Y(y3_3);
    }
  }
  if ((bitcast<u32>(abs(t107) + abs(t108) + abs(t109) + abs(t110) + abs(t121) + abs(t122) + abs(t123) + abs(t124) + abs(t135) + abs(t136) + abs(t137) + abs(t138) + abs(t149) + abs(t150) + abs(t151) + abs(t152)) & 0x7f800000u) == 0x7f800000u) {
    for (var i = 0u; i < 4; i++) {
      for (var j = 0u; j < 4; j++) {
        if (at0 + i < 6 && at1 + j < 6) {
          let element = base + i * 6 + j * 1;
          let r = plain(element);
          let out = finish(r, f32(operand_i0[channel]));
          y[element] = Y(out);
        }
      }
    }
  }
}
