import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueKey } from '../../gateway/index.js';
import { changeKeys } from '../../workers/keys/index.js';
import {
  headerFloods,
  idleConnections,
  oversizeBodies,
  pipelinedKeys,
  slowBodies,
  type Target,
  wrongKeys,
} from '../support/attacks.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog } from '../support/runs.js';

/**
 * A gateway with keys under attack from one address of loopback, while a customer at another goes on asking and running. The
 * customer must never be refused; how much slower it is answered is told, not judged: attackers, gateway, worker and servers
 * share the machine.
 */
const MEBIBYTE = 1024 * 1024;
const { secret, key } = issueKey({ name: 'customer', tenant: 'acme', permissions: ['run', 'read', 'metrics'] });
const attacker = issueKey({ name: 'attacker', tenant: 'evil', permissions: ['run', 'read'], limits: { runs: 1 } });
let gateway: GatewayProcess;
let target: Target;
let calmMs: number;
const lines: string[] = [];

beforeAll(async () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
  await changeKeys(file, () => [key, attacker.key], { create: true });
  gateway = await GatewayProcess.start({
    MILLRACE_KEYS: file,
    MILLRACE_MAX_JSON_BYTES: String(MEBIBYTE),
    // Longer than the gateway stands still: a request that is whole, or refused for its size, must not count as late.
    MILLRACE_UPLOAD_TIMEOUT_MS: '7000',
    MILLRACE_HEADERS_TIMEOUT_MS: '7000',
    // Above all connections of the attacks that last at the same time: each address has its own limit, and a burst counts until it is closed.
    MILLRACE_MAX_CONNECTIONS: '1300',
    MILLRACE_MAX_CONNECTIONS_PER_ADDRESS: '300',
  });
  target = { port: Number(new URL(gateway.url).port), from: '127.0.0.2' };
  await customer(0);
  calmMs = (await customer(10)).p50;
});
afterAll(async () => {
  await gateway?.stop();
  process.stderr.write(`${lines.join('\n')}\n`);
});

/** Asks, and now and then runs, so many times. Throws when it is refused. */
async function customer(
  times: number,
  attack: AbortSignal = AbortSignal.abort(),
): Promise<{ p50: number; worst: number; requests: number }> {
  const log = new CallLog();
  const taken: number[] = [];
  for (let i = 0; i < times || !attack.aborted; i++) {
    const start = performance.now();
    const headers = { 'x-api-key': secret, 'content-type': 'application/json', prefer: 'wait=50' };
    const body = JSON.stringify({ log: log.file, ms: 1 });
    const response =
      i % 5 === 4
        ? await fetch(`${gateway.url}/v1/pipelines/four-inline-steps/runs`, { method: 'POST', headers, body })
        : await fetch(`${gateway.url}/v1/pipelines/gated`, { headers });
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
    if (i % 5 !== 4) taken.push(performance.now() - start);
    // Three customers at once stay below the tenant's 100 requests in a second, however fast they are answered.
    await sleep(50);
  }
  taken.sort((a, b) => a - b);
  return { p50: taken[Math.floor(taken.length / 2)] ?? 0, worst: taken.at(-1) ?? 0, requests: taken.length };
}

/** What became of an attack, the customer having been served during all of it. */
async function under<T>(name: string, attack: Promise<T>): Promise<T> {
  const over = new AbortController();
  const [answers, { p50, worst, requests }] = await Promise.all([
    attack.finally(() => over.abort()),
    customer(5, over.signal),
  ]);
  const ratio = (p50 / calmMs).toFixed(1);
  lines.push(
    `${name}: ${JSON.stringify(answers)}; a customer’s ${requests} requests: median ${p50.toFixed(1)} ms (${ratio} of calm), longest ${worst.toFixed(0)} ms`,
  );
  return answers;
}

describe('nobody else is refused during', () => {
  it('10,000 wrong keys', async () => {
    const before = gateway.log.length;
    const answers = await under('wrong keys', wrongKeys(target, 10_000, 20));
    expect(answers).toEqual({ 401: 20, 429: 9_980 });
    // The log comes through a pipe, behind the answers.
    const written = () => gateway.log.slice(before);
    await expect
      .poll(() =>
        written()
          .split('\n')
          .filter((line) => /"status":4(01|29)/.test(line)),
      )
      .toHaveLength(20);
    expect(written()).not.toContain('wrong-');
    await expect
      .poll(() => gateway.lines('too many requests without a valid key'))
      .toEqual([expect.objectContaining({ from: '127.0.0.2' })]);
  });

  it('requests that wait for no answer, which are not looked at', async () => {
    const { closed = 0, ...answered } = await under('pipelining', pipelinedKeys(target, 50));
    expect(closed + Object.values(answered).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(50 * 4);
    await expect
      .poll(() => gateway.lines('pipelines too many requests'))
      .toEqual([expect.objectContaining({ from: '127.0.0.2' })]);
  });

  it('oversize bodies, which are not kept', async () => {
    const before = gateway.memory();
    const answers = await under('oversize bodies', oversizeBodies(target, attacker.secret, 40, 20 * MEBIBYTE));
    expect(answers).toEqual({ 413: 40 });
    expect(gateway.memory() - before).toBeLessThan(150 * MEBIBYTE);
  });

  // These three wait for the gateway's limits of time, at once, each from an address of its own.
  it.concurrent('slow bodies', async ({ expect }) => {
    const from = '127.0.0.3';
    expect(await under('slow bodies', slowBodies({ ...target, from }, attacker.secret, 60))).toEqual({ 408: 60 });
  });

  it.concurrent('header floods and headers that never end', async ({ expect }) => {
    const answers = await under('header floods', headerFloods({ ...target, from: '127.0.0.4' }, 90));
    expect(answers).toEqual({ 431: 60, 408: 30 });
    await expect.poll(() => gateway.lines('header fields')).not.toHaveLength(0);
    await expect.poll(() => gateway.lines('HEADERS_TOO_LARGE')).not.toHaveLength(0);
  });

  it.concurrent('connections on which nothing is said', async ({ expect }) => {
    const from = '127.0.0.5';
    const idle = idleConnections({ ...target, from }, 1_000);
    const { 408: late = 0, closed = 0 } = await under('idle connections', idle);
    // Some that were late find the place of others whose time was over.
    expect(late).toBeGreaterThanOrEqual(300);
    expect(closed).toBeGreaterThan(0);
    expect(late + closed).toBe(1_000);
    await expect
      .poll(() => gateway.lines('connection limit of an address reached'))
      .toEqual([expect.objectContaining({ from })]);
  });
});

it('no key is in the log', () => {
  for (const text of [secret, attacker.secret]) expect(gateway.log).not.toContain(text);
});
