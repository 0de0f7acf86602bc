// HTTP servers on this machine, for pages and tests. No request may end the process: what a server
// does not understand it refuses.

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join } from "node:path";

const LONGEST = 2048; // characters of an address

export interface ServerOptions {
  /** Sent with every answer, besides `X-Content-Type-Options: nosniff`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: GET and HEAD. */
  readonly methods?: readonly string[];
  /** Default: a free one. Where it is taken, a free one too. */
  readonly port?: number;
  /** Seconds for a request; 0 for no limit. Default: Node's 300. */
  readonly timeout?: number;
}

/** A server on 127.0.0.1. End it by `close()`, or by `await using`. */
export interface LocalServer extends AsyncDisposable {
  /** With a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Answers a request for a path, which is decoded and has no `..` in it. What it throws becomes an
 * answer too.
 */
export type Handler = (
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => void | Promise<void>;

/** Starts a server. */
export async function startServer(
  handler: Handler,
  options: ServerOptions = {},
): Promise<LocalServer> {
  const { headers = {}, methods = ["GET", "HEAD"], port = 0, timeout } = options;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.on("error", () => {}); // the client is gone
    try {
      for (const [name, value] of Object.entries({
        "X-Content-Type-Options": "nosniff",
        ...headers,
      }))
        response.setHeader(name, value);
      if (!methods.includes(request.method ?? ""))
        return refuse(response.setHeader("Allow", methods.join(", ")), 405);
      const address = request.url ?? "/";
      if (address.length > LONGEST) return refuse(response, 414);
      const path = pathOf(address);
      if (path === null) return refuse(response, 400);
      await handler(path, request, response);
    } catch (error) {
      refuse(response, statusOf(error));
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  server.on(
    "clientError",
    (_, socket) =>
      void (socket.writable
        ? socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        : socket.destroy()),
  );
  if (timeout !== undefined)
    server.requestTimeout = server.timeout = server.keepAliveTimeout = 1000 * timeout;
  const listen = (at: number) =>
    new Promise<void>((resolve, reject) => {
      server
        .once("error", reject)
        .listen(at, "127.0.0.1", () => resolve(void server.off("error", reject)));
    });
  await listen(port).catch(() => listen(0));
  server.on("error", () => {}); // too many open files: those that are open go on
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("the server has no port");
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${at.port}/`, close, [Symbol.asyncDispose]: close };
}

/** Ends an answer with a status, where it is not under way already. */
function refuse(response: ServerResponse, status: number): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(status).end();
}

function statusOf(error: unknown): number {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return ["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG"].includes(code)
    ? 404
    : ["EMFILE", "ENFILE"].includes(code)
      ? 503
      : 500;
}

/** The decoded path of an address; null where it is none, or would lead out of a folder. */
function pathOf(address: string): string | null {
  try {
    const path = decodeURIComponent(address.replace(/[?#].*$/s, ""));
    const parts = path.split("/");
    return path.startsWith("/") &&
      !/[\0\\]/.test(path) &&
      !parts.includes("..") &&
      !parts.includes(".")
      ? path
      : null;
  } catch {
    return null;
  }
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".woff2": "font/woff2",
};

/** Answers with the files of a folder; a path that ends with `/` means the `index.html` there. */
export const filesOf =
  (folder: string): Handler =>
  async (path, request, response) => {
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    const bytes = await readFile(file);
    response.writeHead(200, {
      "Content-Type": types[extname(file)] ?? "application/octet-stream",
      "Content-Length": bytes.length,
    });
    response.end(request.method === "HEAD" ? undefined : bytes);
  };
