/**
 * Calls of the QuickJS sandbox in turn: how long one takes, and what is left of all of them in the process.
 *
 *   npm run bench:sandbox [-- --json] [--calls 10000]
 *
 * Every tenth call is an attack that is stopped: a loop, too much memory, too deep a recursion. Exits with 1 if after the first tenth of
 * the calls the memory of the process grows by more than 64 MiB, or its threads or open files by more than 2. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { loadEngine, QuickJsSandbox } from '../../activities/sandbox/quickjs/index.js';
import { percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';

const MEBIBYTE = 1024 * 1024;
const MOST_MEBIBYTES = 64;
const MOST_HANDLES = 2;

const { values: options } = parseOptions({
  options: { json: { type: 'boolean', default: false }, calls: { type: 'string', default: '10000' } },
});
const CALLS = Number(options.calls);
if (!Number.isInteger(CALLS) || CALLS < 100) throw new Error('--calls is a whole number of 100 or more');

const WORK = 'const all = Array.from({ length: 1000 }, (_, i) => ({ i })); console.log(all.length); all.at(-1)';
const ATTACKS = [
  'for (;;);',
  'const all = []; for (;;) all.push(new Uint8Array(1_000_000).fill(1));',
  'const f = () => 1 + f(); f()',
];
const limits = { timeMs: 50, memoryBytes: 32 * MEBIBYTE, outputCharacters: 10_000, fileBytes: 0 };

interface Left {
  readonly mebibytes: number;
  readonly threads: number;
  readonly files: number;
}

const left = (): Left => ({
  mebibytes: Math.round(process.memoryUsage().rss / MEBIBYTE),
  threads: Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]),
  files: readdirSync('/proc/self/fd').length,
});

const sandbox = new QuickJsSandbox(await loadEngine());
const times: number[] = [];
let before: Left | undefined;
for (let i = 0; i < CALLS; i++) {
  if (i === Math.floor(CALLS / 10)) before = left();
  const attack = i % 10 === 9 ? ATTACKS[Math.floor(i / 10) % ATTACKS.length] : undefined;
  const began = performance.now();
  const { result, error } = await sandbox.run({
    language: 'javascript',
    code: attack ?? WORK,
    files: [],
    // A slow machine may take longer for the work than an attack is given.
    limits: attack === undefined ? { ...limits, timeMs: 10_000 } : limits,
    tenant: `tenant-${i % 3}`,
    idempotencyKey: String(i),
    signal: new AbortController().signal,
  });
  if (attack === undefined) times.push(performance.now() - began);
  if ((attack === undefined) !== (error === undefined))
    throw new Error(`call ${i}: ${error ?? `an attack gave ${JSON.stringify(result)}`}`);
}
const after = left();
await sandbox.close();

const at = (share: number) => round(percentile(times, share), 1);
const start = before ?? after;
const grown = {
  mebibytes: after.mebibytes - start.mebibytes,
  threads: after.threads - start.threads,
  files: after.files - start.files,
};
const measured = {
  calls: CALLS,
  ms: { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
  before: start,
  after,
};
const text = options.json ? JSON.stringify(measured) : JSON.stringify(measured, null, 2);
process.stdout.write(`${text}\n`);
if (grown.mebibytes > MOST_MEBIBYTES || grown.threads > MOST_HANDLES || grown.files > MOST_HANDLES) {
  process.stderr.write(`calls have left something behind: ${JSON.stringify(grown)}\n`);
  process.exitCode = 1;
}
