/**
 * The simulator compared with measurements: its prediction for a pipeline at three loads, and the pipeline's behaviour
 * when the same requests arrive through the gateway. Each model is profiled alone, as `millrace profile` does; the time
 * of a single run beyond its profiled stages is the orchestrator's cost, which does not grow with load; none of the
 * simulator's input was measured under load except the requests' sizes.
 *
 * `gpu-like`         three models that take a fixed time for a batch, each on a device of its own
 * `voice-assistant`  the real one: speech recognition, LLM and speech synthesis, all on this machine's processors
 *
 *   npm run bench:simulator [-- --json] [--seconds N] [--pipeline gpu-like|voice-assistant]
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { parseModels } from '../../activities/pools/index.js';
import { table } from '../../cli/output.js';
import { down, NODE_PARTS, SERVER_PARTS, up } from '../../deploy/local/stack/index.js';
import { describeMachine, thisMachine } from '../../measure/inventory/index.js';
import { profileTarget, SampleAudio, targetsOf } from '../../measure/profiling/index.js';
import { type ReadProfile, readProfile } from '../../placement/profiles/index.js';
import { arrivals, type Load, loadOf } from '../../placement/simulator/index.js';
import { shapeOf } from '../../placement/workload/index.js';
import { connectorsOf } from '../../workers/connectors.js';
import { endpointsOf } from '../../workers/endpoints.js';
import { note } from '../figures.js';
import { parseOptions } from '../options.js';
import { type Case, gpuLikeCase, voiceCase } from './cases.js';
import { capacity, open, type Seen, sequential } from './drive.js';
import { type Figures, observed, orchestrated, predict, type System } from './predict.js';
import { HOME, MODELS, settings } from './settings.js';

const PIPELINES = ['gpu-like', 'voice-assistant'];
const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    seconds: { type: 'string', default: '45' },
    pipeline: { type: 'string', multiple: true, default: PIPELINES },
  },
});
/** Length of each load: some hundred runs of the faster pipeline. */
const SECONDS = Number(options.seconds);
/** Shares of the measured capacity. */
const LOADS = [0.4, 0.6, 0.8];
const SEED = 7;
/** Runs used to measure the capacity, per run in flight. */
const CAPACITY_ROUNDS = 5;
const SAMPLES = 8;
const PROFILE_MS = 25_000;
/** Characters of the prompts used to profile the LLM: questions like the bench's. */
const PROMPTS = [30, 120];

const round = (value: number): number => Math.round(value * 100) / 100;

interface Row {
  readonly pipeline: string;
  /** Share of the measured capacity. */
  readonly load: number;
  readonly runs: number;
  readonly ratePerSecond: number;
  readonly throughput: Compared;
  readonly p50: Compared;
  readonly p95: Compared;
  /** Until the first audio; undefined where a pipeline speaks none. */
  readonly firstP50: Compared | undefined;
  readonly firstP95: Compared | undefined;
}
interface Compared {
  readonly predicted: number;
  readonly measured: number;
  /** Predicted / measured - 1. */
  readonly off: number;
}

function models() {
  const { triton, llm } = endpointsOf(settings);
  const on = (urls: readonly string[]) => urls.map((url) => ({ url, device: 'here' }));
  const onTriton = (model: string, kind: string) => ({ connector: 'triton', model, kind, endpoints: on(triton) });
  return {
    ...Object.fromEntries(['first', 'second', 'third'].map((name) => [name, onTriton(name, 'infer')])),
    whisper: onTriton('whisper', 'transcribe'),
    minilm: onTriton('minilm', 'embed'),
    tts: onTriton('tts', 'synthesize'),
    assistant: { connector: 'openai', model: settings.LLM_MODEL, kind: 'chat', endpoints: on(llm) },
  };
}

async function main(): Promise<void> {
  const unknown = options.pipeline.find((name) => !PIPELINES.includes(name));
  if (unknown !== undefined) throw new Error(`--pipeline: there are ${PIPELINES.join(', ')}, not "${unknown}"`);
  mkdirSync(HOME, { recursive: true });
  writeFileSync(MODELS, JSON.stringify(models()));
  await down(settings);
  note('starting the stack');
  const {
    triton: [triton = ''],
  } = await up({ settings, parts: SERVER_PARTS });
  // As `millrace inventory` writes them: one call per processor without slowdown.
  const { cpu } = await thisMachine();
  const cases: (() => Promise<Case>)[] = [];
  if (options.pipeline.includes('gpu-like')) cases.push(() => gpuLikeCase(triton));
  if (options.pipeline.includes('voice-assistant')) cases.push(() => voiceCase(triton, cpu.cores));
  await up({ settings, parts: [...SERVER_PARTS, ...NODE_PARTS] });
  const rows: Row[] = [];
  for (const make of cases) rows.push(...(await compare(await make())));
  report(rows);
}

async function compare(one: Case): Promise<readonly Row[]> {
  const { pipeline, request, inFlight } = one;
  const profiles = await profilesOf(one);
  const bare: System = { ...one, shape: shapeOf(pipeline.plan), profiles };
  const [, ...first] = await sequential(request, one.alone);
  const apart = withSizes(loadOf(Float64Array.from(first, (_, i) => i * 1e6)), first);
  const insideMs = predict(bare, apart, SEED).p50;
  const outside = first.map(({ latencyMs }) => Math.max(0, latencyMs - insideMs));
  note(
    `${pipeline.name}: a run alone takes ${round(observed(first).p50)} ms, ${round(insideMs)} of them in the models`,
  );
  const system = orchestrated(bare, outside);
  const most = await capacity(request, CAPACITY_ROUNDS * inFlight, inFlight);
  note(`${pipeline.name}: ${round(most)} runs/s with ${inFlight} in flight`);
  const rows: Row[] = [];
  for (const load of LOADS) {
    const rate = load * most;
    const count = Math.max(20, Math.round(rate * SECONDS));
    const requests = loadOf(arrivals({ count, rate, seed: SEED }));
    const seen = await open(request, requests);
    // For trying another model on the same data.
    const kept = { system, timesMs: [...requests.timesMs], seen, outside, capacity: most };
    writeFileSync(path.join(HOME, `${pipeline.name}-${load}.json`), JSON.stringify(kept));
    const measured = observed(seen);
    const predicted = predict(system, withSizes(requests, seen), SEED);
    const row = {
      pipeline: pipeline.name,
      load,
      runs: count,
      ratePerSecond: round(rate),
      ...compared(predicted, measured),
    };
    note(
      `${row.pipeline} at ${load}: p95 ${row.p95.predicted} ms predicted, ${row.p95.measured} measured; load average ${round(loadavg()[0] ?? 0)}`,
    );
    rows.push(row);
  }
  return rows;
}

/** Profiles as `millrace profile` makes them. */
async function profilesOf({ pipeline, deviceKind }: Case): Promise<readonly ReadProfile[]> {
  const connectors = connectorsOf(settings);
  const file = path.resolve('deploy/local/audio/question.wav');
  const audio = await SampleAudio.of(readFileSync(file), file);
  const machine = describeMachine(await thisMachine());
  const profiles: ReadProfile[] = [];
  for (const target of targetsOf(pipeline.plan, parseModels(models(), MODELS), { deviceKind })) {
    const backend = connectors.get(target.pool.connector)?.connect(target.endpoint.url, target.pool);
    if (!backend) throw new Error(`no connector ${target.pool.connector}`);
    const { profile } = await profileTarget(target, backend, {
      ...{ samples: SAMPLES, timeLimitMs: PROFILE_MS, batches: [1, 2, 4], variant: 'default', quality: 1, memory: {} },
      ...(target.pool.kind === 'chat' && { sizes: PROMPTS }),
      ...{ audio, machine, now: new Date(), signal: new AbortController().signal },
    });
    backend.close();
    const text = JSON.stringify(profile, undefined, 2);
    writeFileSync(path.join(HOME, `${target.model}.profile.json`), text);
    profiles.push(readProfile(text, target.model));
  }
  return profiles;
}

/** A load with the measured sizes of its requests. */
function withSizes(load: Load, seen: readonly Seen[]): Load {
  const columns = Object.keys(seen[0]?.sizes ?? {});
  const sizes = columns.map((column) => [column, Float64Array.from(seen, (run) => run.sizes[column] ?? Number.NaN)]);
  return { ...load, sizes: Object.fromEntries(sizes) };
}

function compared(predicted: Figures, measured: Figures): Pick<Row, keyof Figures> {
  const both = (expected: number, seen: number): Compared => ({
    predicted: round(expected),
    measured: round(seen),
    off: round(expected / seen - 1),
  });
  const first = (of: 'firstP50' | 'firstP95'): Compared | undefined => {
    const [expected, seen] = [predicted[of], measured[of]];
    return expected === undefined || seen === undefined ? undefined : both(expected, seen);
  };
  return {
    throughput: both(predicted.throughput, measured.throughput),
    p50: both(predicted.p50, measured.p50),
    p95: both(predicted.p95, measured.p95),
    firstP50: first('firstP50'),
    firstP95: first('firstP95'),
  };
}

function report(rows: readonly Row[]): void {
  const load = loadavg().map(round);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ loads: rows, loadAverage: load })}\n`);
    return;
  }
  const percent = ({ off }: { readonly off: number }) => `${off > 0 ? '+' : ''}${Math.round(100 * off)} %`;
  const cells = rows.map((row) => [
    ...[row.pipeline, row.load, row.runs, row.throughput.predicted, row.throughput.measured, percent(row.throughput)],
    ...[row.p95, row.firstP50, row.firstP95].flatMap((each) =>
      each ? [Math.round(each.predicted), Math.round(each.measured), percent(each)] : ['', '', ''],
    ),
  ]);
  const headings = [
    'pipeline',
    'load',
    'runs',
    'runs/s predicted',
    'measured',
    'off',
    ...['p95 ms', 'first audio p50 ms', 'first audio p95 ms'].flatMap((name) => [
      `${name} predicted`,
      'measured',
      'off',
    ]),
  ];
  process.stdout.write(`${table(headings, cells)}\nload average ${load.join(', ')}\n`);
}

try {
  await main();
} finally {
  await down(settings);
}
