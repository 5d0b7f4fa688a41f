import type { ProfileFile } from '../profiles/index.js';
import { checkOptions } from './check-options.js';
import { areAlike, type LlmRun, type Step, stepsOf } from './decode-steps.js';
import { type Entry, entriesOf } from './json.js';
import { type ProfileImport, rising, type Times } from './measurements.js';
import { wrong } from './wrong.js';

type Members = Entry['value'];

/** Results of `vllm bench serve --save-result` and of GenAI-Perf or AIPerf: one file, a list, or JSON lines. */
export function llmBenchmarks(lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] {
  const entries = entriesOf(lines, file, 'INVALID_PROFILE');
  const rows = Array.from(entries, (entry) =>
    entry.value.mean_tpot_ms !== undefined || entry.value.median_tpot_ms !== undefined
      ? vllmRow(entry, options)
      : perfRow(entry, options),
  );
  const { deviceKind, model } = options;
  if (deviceKind === undefined) {
    throw wrong('--device-kind', 'the source names no device: give its kind', 'INVALID_PROFILE');
  }
  const names = [...new Set(rows.map((row) => row.model))];
  if (model !== undefined && names.length > 1) {
    throw wrong('--model', `the source has several models, ${names.join(', ')}: import each alone`, 'INVALID_PROFILE');
  }
  checkOptions({ models: model === undefined ? names : [model], devices: [], isLlm: true }, options);
  return names.map((name) =>
    llmProfile(
      rows.filter((row) => row.model === name),
      model ?? name,
      deviceKind,
      options,
    ),
  );
}

/** Whether `a` says better what prompts of `b` take alone: fewer were allowed at once, and they were as long, or longer and took no longer. */
const isBetter = (a: LlmRun, b: LlmRun): boolean =>
  a.concurrency < b.concurrency &&
  (areAlike(a.tokensIn, b.tokensIn) || (a.tokensIn > b.tokensIn && a.ttftMs.p50Ms <= b.ttftMs.p50Ms));

/** Says which prompts were measured beside others, and whether steps contain them for want of prompts alone. */
function crowdedNote(prompts: readonly LlmRun[]): readonly string[] {
  const crowded = prompts.filter(({ concurrency }) => concurrency > 1);
  if (crowded.length === 0) return [];
  const most = Math.max(...crowded.map(({ concurrency }) => concurrency));
  const lengths = crowded.map(({ tokensIn }) => Math.round(tokensIn));
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const said = shortest === longest ? `${shortest}` : `${shortest} to ${longest}`;
  const steps = crowded.length === prompts.length ? ', and its time per token contains prompts of others' : '';
  return [
    `its prompts of ${said} tokens were measured with up to ${most} at once, and take longer than alone${steps}: run them at a concurrency of 1 too, and import again`,
  ];
}

/** Runs that a note names. */
const MOST_SAID = 6;

/** Says in which runs there were fewer sequences than were allowed. */
function fewerNote(steps: readonly Step[]): readonly string[] {
  const fewer = steps
    .filter(({ batch, concurrency }) => batch < concurrency)
    .sort((a, b) => b.concurrency - a.concurrency)
    .map(({ batch, concurrency }) => `${batch} of ${concurrency}`);
  if (fewer.length === 0) return [];
  const runs = [...new Set(fewer)];
  const said = [...runs.slice(0, MOST_SAID), ...(runs.length > MOST_SAID ? ['…'] : [])].join(', ');
  return [`fewer requests ran at once than were allowed, by its throughput and time per token, and count: ${said}`];
}

/** Tokens in the cache of a sequence, on average over its steps. */
const contextOf = ({ tokensIn, tokensOut }: LlmRun): number => tokensIn + tokensOut / 2;

/** The first of the steps with as many sequences and as much context: between lengths that hardly differ, noise would be a slope. */
function apart(steps: readonly Step[]): readonly Step[] {
  const kept: Step[] = [];
  for (const step of steps) {
    if (!kept.some((each) => each.batch === step.batch && areAlike(contextOf(each), contextOf(step)))) kept.push(step);
  }
  return kept;
}

/** Prompts by the rows that say best what they take alone, steps by all. */
function llmProfile(rows: readonly LlmRun[], model: string, deviceKind: string, options: ProfileImport): ProfileFile {
  const prompts = rows.filter((row) => !rows.some((other) => isBetter(other, row)));
  const weights = options.memory[model];
  const perToken = options.perToken[model];
  const counted = stepsOf(rows);
  const steps = apart(counted);
  const least = Math.min(...steps.map(({ batch }) => batch));
  // A step of the fewest measured stands for one sequence.
  const first = steps.filter(({ batch }) => least > 1 && batch === least).map((step) => ({ ...step, batch: 1 }));
  const note = [...crowdedNote(prompts), ...fewerNote(counted)].join('; ');
  return {
    format: 1,
    model,
    deviceKind,
    batching: 'continuous',
    ...(weights !== undefined && { memory: { weights, ...(perToken !== undefined && { perToken }) } }),
    ...(note !== '' && { note }),
    prefill: prompts
      .filter(({ tokensIn }, i) => prompts.findIndex((each) => each.tokensIn === tokensIn) === i)
      .map(({ tokensIn, ttftMs }) => ({ tokens: tokensIn, ...rising(ttftMs) }))
      .sort((a, b) => a.tokens - b.tokens),
    decode: [...steps, ...first]
      .map((step) => ({ batch: step.batch, tokens: contextOf(step), ...rising(step.stepMs) }))
      .sort((a, b) => a.batch - b.batch || a.tokens - b.tokens),
  };
}

function vllmRow({ at, value: run }: Entry, { model }: ProfileImport): LlmRun {
  const need = neededAt(at);
  // Without a rate, all requests at once as far as the concurrency allows, it says "inf".
  refuseRate(at, run.request_rate, 'run it with --max-concurrency, and with no --request-rate');
  const completed = need(run.completed, 'completed');
  const concurrency = Math.round(need(run.max_concurrency, 'max_concurrency: run it with --max-concurrency'));
  refuseFew(at, run.output_throughput, concurrency, completed, 'output_throughput', '--num-prompts');
  return {
    model: modelOf(at, [run.model_id, run.model, model], 'model_id'),
    concurrency,
    requests: completed,
    ...measured('tokensPerSecond', run.output_throughput),
    tokensIn: need(run.total_input_tokens, 'total_input_tokens') / completed,
    tokensOut: need(run.total_output_tokens, 'total_output_tokens') / completed,
    ttftMs: vllmTimes(run, 'ttft', need),
    tpotMs: vllmTimes(run, 'tpot', need),
  };
}

function vllmTimes(run: Members, of: string, need: (value: unknown, name: string) => number): Times {
  const at = (name: string) => run[`${name}_${of}_ms`];
  const known = (name: string, key: keyof Times) => (typeof at(name) === 'number' ? { [key]: at(name) } : {});
  return {
    p50Ms: need(at('median') ?? at('mean'), `median_${of}_ms`),
    ...known('p95', 'p95Ms'),
    ...known('p99', 'p99Ms'),
    ...known('mean', 'meanMs'),
  };
}

function perfRow({ at, value: run }: Entry, { model }: ProfileImport): LlmRun {
  const need = neededAt(at);
  const config = membersIn(run.input_config);
  const times = (name: string): Times => {
    const { p50, p95, p99, avg } = membersIn(run[name]);
    return {
      p50Ms: need(p50 ?? avg, name),
      ...measured('p95Ms', p95),
      ...measured('p99Ms', p99),
      ...measured('meanMs', avg),
    };
  };
  const mean = (name: string) => need(membersIn(run[name]).avg, name);
  const concurrency = concurrencyOf(at, run, config);
  const { avg: throughput } = membersIn(run.output_token_throughput);
  const { avg: count } = membersIn(run.request_count);
  refuseFew(at, throughput, concurrency, count, 'output_token_throughput', '--request-count');
  const named = [membersIn(config.endpoint).model_names, config.model_names, config.model, model];
  return {
    model: modelOf(at, named, 'input_config.endpoint.model_names'),
    concurrency,
    ...measured('requests', count),
    ...measured('tokensPerSecond', throughput),
    tokensIn: mean('input_sequence_length'),
    tokensOut: mean('output_sequence_length'),
    ttftMs: times('time_to_first_token'),
    tpotMs: times('inter_token_latency'),
  };
}

/**
 * Refuses a run at a request rate: how many requests ran at once depends on the server, and a concurrency beside the rate is only their
 * limit.
 */
function refuseRate(at: string, rate: unknown, mend: string): void {
  if (typeof rate !== 'number') return;
  throw wrong(at, `it was run at a request rate, ${rate}, and not at a concurrency: ${mend}`, 'INVALID_PROFILE');
}

/** Refuses a run with fewer requests than twice those allowed at once, unless its throughput says how many ran. */
function refuseFew(
  at: string,
  throughput: unknown,
  concurrency: number,
  completed: unknown,
  member: string,
  option: string,
): void {
  const few = typeof completed === 'number' && concurrency > 1 && completed < 2 * concurrency;
  if (!few || (typeof throughput === 'number' && throughput > 0)) return;
  const message = `it has no ${member}, and only ${completed} requests: how many of the ${concurrency} that were allowed ran at once is not known; run it with ${option} ${10 * concurrency}`;
  throw wrong(at, message, 'INVALID_PROFILE');
}

/** Requests at once: in GenAI-Perf's files as the stimulus, in AIPerf's as that of the load. */
function concurrencyOf(at: string, run: Members, config: Members): number {
  const stimulus = membersIn(membersIn(config.perf_analyzer).stimulus);
  const load = membersIn(config.loadgen);
  const rate = stimulus.request_rate ?? load.request_rate;
  const given = stimulus.concurrency ?? load.concurrency ?? config.concurrency ?? run.concurrency;
  const mend = 'run it with --concurrency, and with no request rate';
  refuseRate(at, rate, mend);
  if (typeof given === 'number' && Number.isInteger(given) && given > 0) return given;
  const said = given === undefined || given === null ? 'no concurrency' : `the concurrency ${JSON.stringify(given)}`;
  const where = 'input_config.perf_analyzer.stimulus.concurrency, or input_config.loadgen.concurrency';
  throw wrong(at, `it has ${said} (${where}): ${mend}`, 'INVALID_PROFILE');
}

/** The first name of a model that there is. */
function modelOf(at: string, named: readonly unknown[], member: string): string {
  const [found] = named.flatMap((each) => (Array.isArray(each) ? each.slice(0, 1) : [each])).filter(isName);
  if (found !== undefined) return found;
  throw wrong(at, `it names no model (${member}): pass --model`, 'INVALID_PROFILE');
}

const isName = (value: unknown): value is string => typeof value === 'string' && value !== '';

const neededAt =
  (at: string) =>
  (value: unknown, name: string): number => {
    if (typeof value === 'number' && value > 0) return value;
    throw wrong(at, `it has no ${name}`, 'INVALID_PROFILE');
  };

/** The members of what should be an object. */
const membersIn = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {});

const measured = <K extends string>(name: K, value: unknown) =>
  typeof value === 'number' && value > 0 ? ({ [name]: value } as Record<K, number>) : {};
