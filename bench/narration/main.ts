/**
 * Narrations by a scripted LLM and voice, on real Temporal and Redis: what grows, and what is lost, is Millrace's.
 *
 *   npm run bench:narration -- [--crowd 50] [--sentences 500] [--json]
 *
 * `crowd`: so many runs of the same story stream at once, each heard while it is made; memory of the gateway, the worker and the state store
 * before, at most and after. `deployed`: one run of so many sentences, 3.6 s of speech each, in whose middle a worker of another build takes
 * over; its history, and what the state store holds for it. 0 leaves a part out. Exit status 1 if a listener does not get every
 * sentence once and in order, if the crowd does not stream at once, or if something takes more than its bound.
 */
import { loadavg } from 'node:os';
import { printReport, runToExit } from '../chaos/kill-bench.js';
import { round } from '../figures.js';
import { parseOptions } from '../options.js';
import { crowd } from './crowd.js';
import { deployed } from './deployed.js';
import { Stack } from './stack.js';

const { values: options } = parseOptions({
  options: {
    crowd: { type: 'string', default: '50' },
    sentences: { type: 'string', default: '500' },
    json: { type: 'boolean' },
  },
});
const RUNS = Number(options.crowd);
const SENTENCES = Number(options.sentences);

const stack = await Stack.open();
await runToExit(
  async () => {
    const together = RUNS > 0 ? await crowd(stack, RUNS) : undefined;
    const long = SENTENCES > 0 ? await deployed(stack, SENTENCES) : undefined;
    printReport({ crowd: together, deployed: long, load: round(loadavg()[0] ?? 0, 1) }, options.json);
    const wrong = [
      (together?.differing ?? 0) > 0,
      (together?.tooMuch.length ?? 0) > 0,
      together !== undefined && together.atOnce < RUNS,
      long?.whole === false,
      (long?.tooMuch.length ?? 0) > 0,
      long !== undefined && !(long.spokenAtTheDeploy < SENTENCES),
    ];
    return wrong.some(Boolean) ? 1 : 0;
  },
  () => stack.close(),
);
