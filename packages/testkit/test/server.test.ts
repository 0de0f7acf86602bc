// No request ends a server or leaves its folder: whatever is sent, the next one is answered.

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serve } from "../src/browser.ts";
import type { LocalServer } from "../src/server.ts";

let folder = "";
let server: LocalServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "server-"));
  await mkdir(join(folder, "site", "empty"), { recursive: true });
  await writeFile(join(folder, "secret.txt"), "secret");
  await writeFile(join(folder, "site", "index.html"), "<p>page</p>");
  await writeFile(join(folder, "site", "a b%.js"), "1");
  await symlink("nowhere", join(folder, "site", "dangling"));
  server = await serve(join(folder, "site"), {
    isolated: true,
    headers: { "Content-Security-Policy": "default-src 'self'" },
  });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

/** Sends raw bytes and hears what comes until the server closes; `end` closes this side at once. */
const raw = (text: string, end = true): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () =>
      end ? socket.end(text) : socket.write(text),
    );
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (data) => (answer += String(data)));
    socket.on("error", reject).on("close", () => resolve(answer));
  });
const get = async (path: string, method = "GET") =>
  (await raw(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, false)).slice(
    9,
    12,
  );

test.each([
  ["/", "200"],
  ["/index.html?x=%zz#%zz", "200"],
  ["/a%20b%25.js", "200"],
  ["/none.html", "404"],
  ["/empty", "404"],
  ["/empty/", "404"],
  ["/index.html/", "404"],
  ["/dangling", "404"],
  [`/${"n".repeat(1000)}`, "404"],
  ["/%zz.html", "400"],
  ["/%", "400"],
  ["/%c3%28", "400"],
  ["/%00", "400"],
  ["/..%2fsecret.txt", "400"],
  ["/../secret.txt", "400"],
  ["/%2e%2e/secret.txt", "400"],
  ["/..%5csecret.txt", "400"],
  ["//etc/passwd", "404"],
  ["http://x/index.html", "400"],
  ["*", "400"],
  [`/${"n".repeat(3000)}`, "414"],
  [`/${"n".repeat(100_000)}`, "400"],
])("%s gives %s", async (path, status) => {
  expect(await get(path)).toBe(status);
  expect((await fetch(server.url)).status).toBe(200);
});

test.each(["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])(
  "%s is refused",
  async (method) => {
    expect(await get("/", method)).toBe("405");
    expect((await fetch(server.url)).status).toBe(200);
  },
);

test.each([
  ["no request", "\0\x01\x02\r\n\r\n"],
  ["no header", "GET / HTTP/1.1\r\n\r\n"],
  ["a bad header", "GET / HTTP/1.1\r\nHost: x\r\n\x00: y\r\n\r\n"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
  ["an upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"],
  ["a tunnel", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"],
  ["a bad range", "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=zz-\r\nConnection: close\r\n\r\n"],
])("%s does not end it", async (_, text) => {
  await raw(text);
  expect((await fetch(server.url)).status).toBe(200);
});

test("HEAD has the headers and no body; every answer has those that isolate and protect", async () => {
  for (const [path, method] of [
    ["", "HEAD"],
    ["none", "GET"],
  ]) {
    const response = await fetch(`${server.url}${path}`, { method });
    expect(await response.text()).toBe("");
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'self'",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
  }
});
