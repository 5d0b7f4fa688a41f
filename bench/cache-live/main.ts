/**
 * A semantic cache with a `maxErrorRate` under traffic, on the embedded stack: gateway, worker, Redis, and MiniLM on
 * Triton. Three callers of two tenants ask the texts of a labelled set in an order that a seed decides; the stage is a
 * function that returns the set's answer, so that both the labels of its shadow calls and the judgement of each hit come
 * from the set. In the middle the cache's store is killed; its supervisor starts it again, with what it had written to disk.
 *
 *   npm run bench:cache-live [-- --requests 2000] [--rate 0.05] [--seed N] [--seeds N] [--data FILE] [--no-kill] [--json]
 *
 * With `--seeds` such traffic is sent so often, each time with the next seed, by callers of tenants of its own, so that each
 * seed begins with an empty cache and without labels; the store is killed only if `--kill` says so.
 *
 * Exits with 1 if a request fails, a caller gets an answer that was made for another, or there is no hit after the kill; if
 * the lower 90 % bound of the error rate of hits on other texts is above the stated rate, or, with several seeds, if the
 * error rate of more than a tenth of them is. Ports from 7820.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { loadavg } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { down, status, up } from '../../deploy/local/stack/index.js';
import { issueKey } from '../../gateway/index.js';
import { lowerBound, upperBound } from '../../stores/evidence/index.js';
import { changeKeys } from '../../workers/keys/index.js';
import { exchange, POST } from '../abuse/exchange.js';
import { type Pair, readPairs } from '../cache/pairs.js';
import { note, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { ANSWERS, KEYS, settings } from './settings.js';
import { type Asked, answersOf, CALLERS, type Caller, trafficOf } from './traffic.js';
import { hitsAfter, isGood, isHit, overSeeds } from './verdict.js';

const { values: options } = parseOptions({
  allowNegative: true,
  options: {
    requests: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '0.05' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    data: { type: 'string', default: 'bench/cache/sets/developer.jsonl' },
    kill: { type: 'boolean' },
    json: { type: 'boolean' },
  },
});
const PIPELINES: Readonly<Record<string, string>> = { '0.02': 'help-2', '0.05': 'help-5', '0.1': 'help-10' };
const maxErrorRate = Number(options.rate);
const pipeline = PIPELINES[`${maxErrorRate}`];
const requests = Number(options.requests);
const first = Number(options.seed);
const seeds = Number(options.seeds);
const kills = options.kill ?? seeds === 1;
if (pipeline === undefined) throw new Error(`--rate is one of ${Object.keys(PIPELINES).join(', ')}`);
if (!Number.isInteger(requests) || requests < 100 || requests > 20_000)
  throw new Error('--requests is a whole number from 100 to 20000');
if (!Number.isInteger(seeds) || seeds < 1 || seeds > 1_000) throw new Error('--seeds is a whole number from 1 to 1000');

/** Requests at the same time: more than one, so that equal ones meet. */
const TOGETHER = 6;
const LIMIT_MS = 60_000;

const ran = z.object({
  output: z.object({ answer: z.number(), call: z.string() }),
  stages: z.array(
    z.object({
      cache: z.string().optional(),
      cachedBy: z.object({ tier: z.string(), bound: z.number().optional() }).optional(),
    }),
  ),
});

interface Answered extends Asked {
  readonly at: number;
  readonly answer: number;
  /** The call that made the answer. */
  readonly call: string;
  /** Tier of a hit, else the outcome. */
  readonly by: string;
  readonly ms: number;
}

type Secrets = Readonly<Record<Caller, string>>;

/** Keys of the callers of each seed. */
async function issueKeys(): Promise<Secrets[]> {
  rmSync(KEYS, { force: true });
  const all = Array.from({ length: seeds }, (_, i) =>
    CALLERS.map((name) =>
      issueKey({
        name: `${name}-${i}`,
        tenant: name === 'mallory' ? `other-${i}` : `team-${i}`,
        permissions: ['run', 'read'],
        limits: { rate: { perSecond: 5_000 } },
      }),
    ),
  );
  await changeKeys(KEYS, () => all.flat().map(({ key }) => key), { create: true });
  return all.map((issued) => Object.fromEntries(CALLERS.map((name, i) => [name, issued[i]?.secret])) as Secrets);
}

function killStore(): void {
  const pid = status(settings).parts.find(({ name }) => name === 'redis-cache')?.pid;
  if (pid === undefined) throw new Error('the cache store does not run');
  process.kill(pid, 'SIGKILL');
  note('killed the cache store');
}

async function ask(traffic: readonly Asked[], secrets: Secrets) {
  const agent = new Agent({ keepAlive: true, maxSockets: TOGETHER });
  const answered: Answered[] = [];
  const failed: string[] = [];
  let next = 0;
  const one = async (at: number) => {
    const { caller, text } = traffic[at] as Asked;
    const began = performance.now();
    const response = await exchange({
      port: settings.MILLRACE_GATEWAY_PORT,
      path: `/v1/pipelines/${pipeline}/runs`,
      method: 'POST',
      headers: { ...POST.headers, prefer: 'wait=50' },
      body: JSON.stringify({ question: text }),
      secret: secrets[caller],
      agent,
      from: '127.0.0.1',
      end: AbortSignal.timeout(LIMIT_MS),
    });
    const run = ran.safeParse(JSON.parse(response.text));
    if (!run.success) throw new Error(`${response.status} ${response.text.slice(0, 200)}`);
    const [stage] = run.data.stages;
    const by = stage?.cachedBy?.tier ?? stage?.cache ?? 'off';
    answered.push({ ...(traffic[at] as Asked), ...run.data.output, at, by, ms: performance.now() - began });
  };
  await Promise.all(
    Array.from({ length: TOGETHER }, async () => {
      for (let at = next++; at < traffic.length; at = next++) {
        if (kills && at === Math.floor(traffic.length / 2)) killStore();
        await one(at).catch((error: unknown) => failed.push(String(error)));
      }
    }),
  );
  agent.destroy();
  return { answered: answered.sort((a, b) => a.at - b.at), failed };
}

/** Hits by tier, right and wrong, and answers that were made for another caller. */
function judge(answered: readonly Answered[], answers: ReadonlyMap<string, number>) {
  const madeFor = new Map(
    answered.filter((each) => !isHit(each) && each.by !== 'shared').map(({ call, caller }) => [call, caller]),
  );
  const asked = new Set<string>();
  const by: Record<string, { right: number; wrong: number }> = {};
  const wrong: string[] = [];
  let [foreign, possible] = [0, 0];
  for (const each of answered) {
    const same = answers.get(each.text);
    const subject = `${each.caller} ${same}`;
    if (asked.has(subject)) possible += 1;
    asked.add(subject);
    const right = each.answer === same;
    const tally = by[each.by] ?? { right: 0, wrong: 0 };
    tally[right ? 'right' : 'wrong'] += 1;
    by[each.by] = tally;
    if (!right) wrong.push(`${each.by}: ${each.text}`);
    const owner = madeFor.get(each.call);
    if (owner !== undefined && owner !== each.caller) foreign += 1;
  }
  return { by, foreign, possible, wrong };
}

const rounded = (value: number): number => round(value, 4);
const percentileOf = (values: readonly number[], share: number): number =>
  values.length === 0 ? 0 : rounded(percentile(values, share));

async function main(): Promise<{ readonly good: boolean }> {
  const pairs = readPairs(options.data);
  const answers = answersOf(pairs);
  await down(settings);
  mkdirSync(path.dirname(ANSWERS), { recursive: true });
  writeFileSync(ANSWERS, JSON.stringify(Object.fromEntries(answers)));
  const secrets = await issueKeys();
  note('starting Temporal, Redis, Triton, a worker and a gateway');
  await up({
    settings,
    parts: ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'worker', 'gateway'],
  });
  const results: Awaited<ReturnType<typeof judgeSeed>>[] = [];
  for (const [i, own] of secrets.entries()) {
    const result = await judgeSeed(pairs, answers, own, first + i);
    if (seeds === 1) return result;
    const { seed, errorRate, hitRate, failed, foreign } = result;
    note(`seed ${seed}: error rate ${errorRate}, hit rate ${hitRate}, ${failed} failed, ${foreign} foreign`);
    results.push(result);
  }
  const over = { requests, maxErrorRate, ...overSeeds(results, maxErrorRate), load: rounded(loadavg()[0] as number) };
  return over;
}

async function judgeSeed(pairs: readonly Pair[], answers: ReadonlyMap<string, number>, secrets: Secrets, seed: number) {
  const began = performance.now();
  const { answered, failed } = await ask(trafficOf(pairs, requests, seed), secrets);
  const seconds = (performance.now() - began) / 1_000;
  const { by, foreign, possible, wrong } = judge(answered, answers);
  const count = (tiers: readonly string[], which: 'right' | 'wrong') =>
    tiers.reduce((sum, tier) => sum + (by[tier]?.[which] ?? 0), 0);
  const tiers = ['guard', 'verifier', 'entailment'];
  const labels = { labels: count(tiers, 'right') + count(tiers, 'wrong'), wrong: count(tiers, 'wrong') };
  const interval = [labels.labels === 0 ? 0 : lowerBound(labels), upperBound(labels)].map(rounded);
  const hits = answered.filter(isHit);
  const measured = {
    ...{ requests, maxErrorRate, foreign, failed: failed.length, killed: kills },
    ...{ least: interval[0] as number, hits: hits.map(({ at }) => at) },
  };
  return {
    requests,
    maxErrorRate,
    seed,
    failed: failed.length,
    /** Requests about a subject that the same caller had asked about. */
    possible,
    by,
    /** Hits after the store was killed. */
    hitsAfterKill: kills ? hitsAfter(measured) : null,
    hitRate: rounded(hits.length / Math.max(1, possible)),
    /** Of hits on other texts, which `maxErrorRate` is about. */
    errorRate: rounded(labels.wrong / Math.max(1, labels.labels)),
    interval,
    firstOfVerifier: answered.find((each) => each.by === 'verifier')?.at ?? null,
    /** Answers that were made for another caller. */
    foreign,
    wrong: wrong.slice(0, 20),
    failures: [...new Set(failed)].slice(0, 5),
    perSecond: rounded(requests / seconds),
    hitP50Ms: percentileOf(
      hits.map(({ ms }) => ms),
      0.5,
    ),
    hitP95Ms: percentileOf(
      hits.map(({ ms }) => ms),
      0.95,
    ),
    load: rounded(loadavg()[0] as number),
    good: isGood(measured),
  };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void down(settings).finally(() => process.exit(130)));

let good = false;
try {
  const result = await main();
  good = result.good;
  process.stdout.write(`${JSON.stringify(result, null, options.json ? 0 : 2)}\n`);
} finally {
  await down(settings);
}
process.exit(good ? 0 : 1);
