import { launchBrowser, serve } from "@conv/testkit/browser";
const out = "/tmp/shots"; 
const jobs: [string, string, number, number, string?][] = JSON.parse(process.argv[2]);
const site = await serve(new URL("./dist", import.meta.url).pathname, { isolated: true });
const browser = await launchBrowser();
for (const [name, hash, w, h, actions] of jobs) {
  const page = await browser.newPage({ viewport: { width: w, height: h } });
  page.on("console", (m) => console.log(name, m.type(), m.text()));
  page.on("pageerror", (e) => console.log(name, "pageerror", e.message));
  await page.goto(site.url + hash);
  await page.waitForTimeout(1500);
  if (actions) await new Function("page", `return (async () => { ${actions} })()`)(page);
  await page.screenshot({ path: `${out}/${name}.png`, fullPage: h > 899 ? false : true });
  await page.close();
}
await browser.close(); await site.close();
