// Vite's own servers end with an address that can't be decoded, as /%zz.html: here it is refused
// before they see it.

import type { Connect, Plugin } from "vite";

const refuse: Connect.NextHandleFunction = (request, response, next) => {
  try {
    decodeURIComponent(request.url ?? "");
    response.setHeader("X-Content-Type-Options", "nosniff");
    next();
  } catch {
    response.writeHead(400).end();
  }
};

/** The plugin for both of Vite's servers. */
export const wellFormed = (): Plugin => ({
  name: "well-formed-addresses",
  configureServer: (server) => void server.middlewares.use(refuse),
  configurePreviewServer: (server) => void server.middlewares.use(refuse),
});
