// A walk with Node's own http module and JSON.parse. See walk.lua for what it reads and writes.
import http from "node:http";
import readline from "node:readline";

function get(url, agent) {
  return new Promise((resolve, reject) => {
    http.get(url, { agent, headers: { "Api-Key": "bench" } }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString("utf8"))));
    }).on("error", reject);
  });
}

function work(seconds) {
  for (const ends = performance.now() + seconds * 1000; performance.now() < ends; );
}

async function walk(base, seconds) {
  const agent = new http.Agent({ keepAlive: true });
  let count = 0, last = "", after = null;
  do {
    const page = await get(`${base}/v1/workflows/experiments/runs?limit=100${after ? `&after=${after}` : ""}`, agent);
    for (const run of page.data) {
      count++;
      last = run.id;
    }
    if (seconds > 0) work(seconds);
    after = page.list_metadata.after;
  } while (after);
  agent.destroy();
  return [count, last];
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [base, seconds] = line.split(" ");
  const [count, last] = await walk(base, Number(seconds));
  process.stdout.write(`${count}\t${last}\n`);
}
