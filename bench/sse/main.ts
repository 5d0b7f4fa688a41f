/**
 * Many clients follow runs while new runs start at a steady rate: whether any client gets an error, misses an event or
 * gets one twice, and whether the gateway's memory stays bounded.
 *
 *   npm run bench:sse [-- --json] [--clients 200] [--rate 50] [--seconds 60]
 *
 * The clients follow runs that wait for a decision, ten per run, each to its end and then the next. In addition, runs
 * of one empty inline stage are started at the rate, each followed to its end by the request that starts it. Exits with
 * 1 if an event is lost or repeated, an answer is an error, or the gateway exceeds its memory limit.
 */
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { down, status, up } from '../../deploy/local/stack/index.js';
import type { RunDocument } from '../../pipelines/run/document.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { median, note, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { settings } from './settings.js';
import { Tally } from './tally.js';
import { cpuSeconds, MemoryWatch, residentMb } from './usage.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    clients: { type: 'string', default: '200' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '60' },
  },
});
const CLIENTS = Number(options.clients);
const RATE = Number(options.rate);
const SECONDS = Number(options.seconds);

const CLIENTS_A_RUN = 10;
/**
 * How long a run waits for its decision, in milliseconds; half as much again for the last of the runs, so that they
 * spread.
 */
const HELD_MS = 10_000;
/**
 * Most runs in flight besides the held ones; starts beyond that are skipped, so that the rate shows the machine's
 * capacity.
 */
const MOST_UNDER_WAY = 32;
const MOST_ATTEMPTS = 5;
const AGAIN_MS = 1_000;
const WARM_UP = 100;
const SAMPLE_MS = 250;
/** Wait after the load: until connections are closed and the last runs' garbage is collected. */
const SETTLE_MS = 10_000;
/** Memory limit of the gateway above its idle memory, in MiB: about twice the measured value. */
const MOST_GROWTH_MB = 80;

const PARTS = ['temporal', 'redis', 'worker', 'gateway'] as const;

const base = gatewayUrl(settings);
const tally = new Tally();
const startUrl = (pipeline: string) => `${base}/v1/pipelines/${pipeline}/runs`;
const input = (n: number, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ n }),
  headers: { 'content-type': 'application/json', ...headers },
});

/** One run of the empty pipeline from its start to its end, in milliseconds. */
async function emptyRun(n: number): Promise<number> {
  const began = performance.now();
  await tally.follow('empty', await fetch(startUrl('empty'), input(n, { accept: 'text/event-stream' })));
  return performance.now() - began;
}

/** Clients that follow one run after the other until the time is over. Returns the number of runs. */
async function group(size: number, heldMs: number, until: number): Promise<number> {
  let runs = 0;
  do {
    const started = await fetch(startUrl('held'), input(runs));
    if (started.status !== 202) throw new Error(`${started.status}: ${await started.text()}`);
    const { id } = (await started.json()) as { id: string };
    const ends: Promise<void>[] = [];
    const seeingItWait = Array.from({ length: size }, async () => {
      const response = await fetch(`${base}/v1/runs/${id}/events`);
      await new Promise<void>((resolve, reject) => {
        const client = tally.follow('held', response, (event) => event === 'stage.waiting wait' && resolve());
        ends.push(client);
        client.catch(reject);
      });
    });
    await Promise.all(seeingItWait);
    await sleep(Math.max(0, Math.min(heldMs, until - performance.now())));
    await approve(id);
    await Promise.all(ends);
    runs++;
  } while (performance.now() < until);
  return runs;
}

/** Retries like real clients while the server cannot tell what a run waits for. */
async function approve(id: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { waiting = [] } = (await (await fetch(`${base}/v1/runs/${id}`)).json()) as RunDocument;
    const answer = await fetch(`${base}/v1/runs/${id}/approve`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nonce: waiting[0]?.nonce ?? 'not known' }),
    });
    const text = await answer.text();
    if (answer.ok) return;
    if ((answer.status !== 503 && waiting.length > 0) || attempt === MOST_ATTEMPTS)
      throw new Error(`${answer.status}: ${text}`);
    await sleep(AGAIN_MS);
  }
}

/** Runs of the empty pipeline at a fixed rate, independent of their answers; their times, and the skipped starts. */
async function steadyRuns(until: number): Promise<{ times: number[]; leftOut: number }> {
  const times: number[] = [];
  const underWay = new Set<Promise<void>>();
  let leftOut = 0;
  const began = performance.now();
  for (let n = 0; performance.now() < until; n++) {
    await sleep(Math.max(0, began + (n * 1000) / RATE - performance.now()));
    if (underWay.size >= MOST_UNDER_WAY) {
      leftOut++;
      continue;
    }
    const run = emptyRun(n)
      .then((ms) => void times.push(ms))
      .catch((error: unknown) => tally.wrong('errors', String(error)));
    underWay.add(run);
    void run.finally(() => underWay.delete(run));
  }
  await Promise.all(underWay);
  return { times, leftOut };
}

async function main() {
  note('starting Temporal, Redis, a worker and the gateway');
  await up({ settings, parts: [...PARTS] });
  const pids = new Map(status(settings).parts.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]])));
  const gateway = pids.get('gateway') as number;
  for (let n = 0; n < WARM_UP; n++) await emptyRun(n);
  const before = residentMb(gateway);
  const used = () =>
    new Map([...pids, ['clients' as const, process.pid] as const].map(([name, pid]) => [name, cpuSeconds(pid)]));
  const [watch, atStart, began] = [new MemoryWatch(gateway, SAMPLE_MS), used(), performance.now()];
  const until = began + SECONDS * 1000;
  note(`${CLIENTS} clients and ${RATE} runs/s for ${SECONDS} s`);
  const groups = Math.ceil(CLIENTS / CLIENTS_A_RUN);
  const held = Array.from({ length: groups }, async (_, i) => {
    const size = Math.min(CLIENTS_A_RUN, CLIENTS - i * CLIENTS_A_RUN);
    const heldMs = HELD_MS * (1 + i / groups / 2);
    return await group(size, heldMs, until).catch((error: unknown) => {
      tally.wrong('errors', String(error));
      return 0;
    });
  });
  const { times, leftOut } = await steadyRuns(until);
  const took = (performance.now() - began) / 1000;
  const load = loadavg()[0] as number;
  const atEnd = used();
  const heldRuns = (await Promise.all(held)).reduce((sum, runs) => sum + runs, 0);
  await sleep(SETTLE_MS);
  watch.stop();
  const { samples } = watch;
  const half = Math.floor((SECONDS * 1000) / SAMPLE_MS / 2);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const { events, errors, lost, repeated, mostOpen } = tally;
  return {
    clients: CLIENTS,
    wantedRunsPerS: RATE,
    seconds: SECONDS,
    runs: times.length,
    runsPerS: round(times.length / took, 1),
    leftOut,
    heldRuns,
    mostOpen,
    events,
    errors,
    lost,
    repeated,
    runMs: { p50: round(median(times), 0), p99: round(percentile(times, 0.99), 0) },
    gatewayMb: {
      before: round(before, 0),
      firstHalf: round(mean(samples.slice(0, half)), 0),
      secondHalf: round(mean(samples.slice(half, 2 * half)), 0),
      peak: round(Math.max(...samples), 0),
      after: round(residentMb(gateway), 0),
    },
    /** Share of one core, during the load. */
    cpuPercent: Object.fromEntries(
      [...atEnd].map(([name, seconds]) => [name, round(((seconds - (atStart.get(name) ?? 0)) / took) * 100, 0)]),
    ),
    cores: cpus().length,
    load: round(load, 2),
  };
}

let failed = true;
try {
  const result = await main();
  for (const line of tally.details) note(line);
  const { gatewayMb, cpuPercent, runMs } = result;
  const tooMuch = gatewayMb.peak > gatewayMb.before + MOST_GROWTH_MB;
  failed = result.errors + result.lost + result.repeated > 0 || tooMuch;
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    process.stdout.write(
      `${result.runs} runs of ${result.wantedRunsPerS}/s wanted: ${result.runsPerS}/s, ${result.leftOut} starts left out; ${runMs.p50} ms, p99 ${runMs.p99} ms\n` +
        `${result.heldRuns} runs followed by ${result.clients} clients; ${result.mostOpen} streams open at once at most, ${result.events} events\n` +
        `errors ${result.errors}, lost ${result.lost}, repeated ${result.repeated}\n` +
        `gateway, MiB: ${Object.entries(gatewayMb)
          .map(([name, mb]) => `${name} ${mb}`)
          .join(', ')}\n` +
        `CPU, % of one of ${result.cores} cores: ${Object.entries(cpuPercent)
          .map(([name, share]) => `${name} ${share}`)
          .join(', ')}; load average ${result.load}\n`,
    );
} finally {
  await down(settings);
}
process.exit(failed ? 1 : 0);
