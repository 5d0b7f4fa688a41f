import { readFileSync } from 'node:fs';

const LONGEST_MS = 60_000;

/**
 * Tries cases by name, each of which gives what the client shows its user; prints a line of JSON for each.
 * @param installed the name that the client's package is installed under
 */
export async function tryAll(client, door, cases, installed = client) {
  const file = new URL(`node_modules/${installed}/package.json`, import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8'));
  for (const [name, ask] of Object.entries(cases)) {
    const late = new Promise((_, reject) => setTimeout(reject, LONGEST_MS, new Error('no answer')).unref());
    let result;
    try {
      result = { said: await Promise.race([ask(), late]) };
    } catch (error) {
      result = { failure: String(error?.message ?? error).slice(0, 500) };
    }
    process.stdout.write(`${JSON.stringify({ client: `${client} ${version}`, door, name, ...result })}\n`);
  }
}
