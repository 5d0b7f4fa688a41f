/**
 * The time from a spoken question to the first audio of its answer, of five sentences:
 *
 * `bound`      a client that calls the model servers itself, and has each sentence spoken while the LLM goes on
 * `collected`  queued stages, the voice waits for the whole answer
 * `queued`     queued stages that stream
 * `inline`     the same as one segment
 * `fast`       the same past Temporal, with its workflow as guardian
 *
 *   npm run bench:voice [-- --json] [--rounds N]
 */
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { down, NODE_PARTS, SERVER_PARTS, up } from '../../deploy/local/stack/index.js';
import { createAudioPort } from '../../media/index.js';
import { openArtifacts } from '../../workers/artifacts.js';
import { composeStages } from '../../workers/compose.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { readSettings } from '../../workers/settings.js';
import { median, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { boundMs, Servers } from './bound.js';
import { type Heard, hear } from './heard.js';
import { QUESTION } from './pipelines.js';

const { values: options } = parseOptions({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '5' } },
});
const ROUNDS = Number(options.rounds);
const TENANT = 'default';
const IN_FLIGHT = 4;

const settings = readSettings(
  environmentOf({
    name: 'bench-voice',
    portBase: Number(process.env.MILLRACE_BENCH_PORT_BASE ?? 7860),
    more: {
      MILLRACE_PIPELINES: fileURLToPath(new URL('./pipelines.js', import.meta.url)),
      ...(process.env.MILLRACE_MODEL_THREADS && { MILLRACE_MODEL_THREADS: process.env.MILLRACE_MODEL_THREADS }),
    },
  }),
);

const WAYS: Readonly<Record<string, readonly [pipeline: string, query: string]>> = {
  collected: ['voice-collected', ''],
  queued: ['voice-queued', ''],
  inline: ['voice-inline', ''],
  fast: ['voice-inline', '?priority=interactive'],
};

async function main() {
  await up({ settings, parts: [...SERVER_PARTS, ...NODE_PARTS] });
  const stages = await composeStages(settings, pino({ level: 'silent' }));
  const artifacts = await openArtifacts(settings, { reserveBytes: 0 });
  const servers = new Servers(stages.pools, createAudioPort(artifacts, TENANT));
  const question = await servers.speak(QUESTION);
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifacts.read(TENANT, question.uri)) chunks.push(chunk);
  const speech = Buffer.concat(chunks);
  const gateway = gatewayUrl(settings);
  const bounds: number[] = [];
  const heard: Record<string, Heard[]> = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]));
  // One of each before anything counts: models and connections are warm then.
  for (let i = -1; i < ROUNDS; i++) {
    const bound = await boundMs(servers, question);
    if (i >= 0) bounds.push(bound);
    for (const [way, [pipeline, query]] of Object.entries(WAYS)) {
      const one = await hear(gateway, pipeline, speech, query);
      if (i >= 0) heard[way]?.push(one);
    }
  }
  const together = await Promise.all(Array.from({ length: IN_FLIGHT }, () => hear(gateway, 'voice-queued', speech)));
  await stages.close();
  const base = median(bounds);
  const times = (all: readonly Heard[]) => {
    const ttfaMs = all.map((one) => one.ttfaMs).sort((a, b) => a - b);
    return {
      ttfaMs: round(median(ttfaMs), 0),
      p95Ms: round(ttfaMs[Math.ceil(0.95 * ttfaMs.length) - 1] ?? Number.NaN, 0),
      ratio: round(median(ttfaMs) / base, 2),
      totalMs: round(median(all.map((one) => one.totalMs)), 0),
    };
  };
  const of = (way: string) => times(heard[way] ?? []);
  const queued = heard.queued ?? [];
  return {
    boundMs: round(base, 0),
    collected: of('collected'),
    queued: of('queued'),
    inline: of('inline'),
    fast: of('fast'),
    fourInFlight: times(together),
    overlap: {
      llmBusy: round(median(queued.map(({ llmBusy }) => llmBusy)), 2),
      ttsBusy: round(median(queued.map(({ ttsBusy }) => ttsBusy)), 2),
    },
    sentences: median(queued.map(({ sentences }) => sentences)),
    rounds: ROUNDS,
    load: round(loadavg()[0] ?? 0, 1),
  };
}

try {
  const result = await main();
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else {
    const { boundMs: bound, collected, queued, inline, fast, fourInFlight } = result;
    process.stdout.write(`first audio, median of ${ROUNDS} rounds (load ${result.load})\n  bound ${bound} ms\n`);
    for (const [way, { ttfaMs, ratio, totalMs }] of Object.entries({ collected, queued, inline, fast, fourInFlight }))
      process.stdout.write(`  ${way.padEnd(12)} ${ttfaMs} ms, ${ratio} × bound; the whole after ${totalMs} ms\n`);
  }
} finally {
  await down(settings);
}
