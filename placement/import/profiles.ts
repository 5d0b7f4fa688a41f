import type { ProfileFile } from '../profiles/index.js';
import { objectsOf, rowsOf, wrong } from './table.js';

/** Formats of measurements: what writes each is in docs/reference/placement.md. */
export const PROFILE_FORMATS = ['proteus', 'muxserve', 'model-analyzer', 'genai-perf', 'vllm-bench', 'csv'] as const;
export type ProfileFormat = (typeof PROFILE_FORMATS)[number];

export interface ProfileImport {
  /** Device kinds of the inventory, by the source's names. */
  readonly kinds: Readonly<Record<string, string>>;
  /** Model and device kind of sources that name none. */
  readonly model?: string | undefined;
  readonly deviceKind?: string | undefined;
  /** As an author writes it, e.g. `26GiB`, by model. */
  readonly memory: Readonly<Record<string, string>>;
  readonly perToken: Readonly<Record<string, string>>;
}

interface Times {
  readonly p50Ms: number;
  readonly p95Ms?: number;
  readonly p99Ms?: number;
  readonly meanMs?: number;
}

interface Measured extends Times {
  readonly model: string;
  readonly device: string;
  readonly batch: number;
}

/** Reads foreign measurements as profiles. Throws `INVALID_PROFILE`. */
export function importProfiles(
  format: ProfileFormat,
  text: string,
  file: string,
  options: ProfileImport,
): ProfileFile[] {
  const profiles = READERS[format](text, file, options);
  if (profiles.length === 0) throw wrong(file, `it has no measurements in the format "${format}"`, 'INVALID_PROFILE');
  return profiles;
}

type Reader = (text: string, file: string, options: ProfileImport) => ProfileFile[];

const READERS: Readonly<Record<ProfileFormat, Reader>> = {
  /** `Model,Accel,…,batchsize,50th_pct,90th_pct,avg_latency(ms)`; a key that comes twice counts once, the first. */
  proteus: (text, file, options) =>
    dynamicProfiles(
      rowsOf(text, file).map((row, i) => ({
        model: row.Model ?? '',
        device: row.Accel ?? '',
        batch: number(row.batchsize, file, i),
        p50Ms: number(row['50th_pct'], file, i),
        ...(Number(row['90th_pct']) > 0 && { p95Ms: Number(row['90th_pct']) }),
        meanMs: number(row['avg_latency(ms)'], file, i),
      })),
      options,
    ),
  'model-analyzer': (text, file, options) =>
    dynamicProfiles(
      rowsOf(text, file).map((row, i) => ({
        model: row.Model ?? options.model ?? '',
        device: row.GPU ?? options.deviceKind ?? '',
        // The largest batch that the configuration allows, as the run filled it: concurrency at batch 1.
        batch: filledBatch(row, file, i),
        ...latencies(row, file, i),
      })),
      options,
    ),
  csv: (text, file, options) =>
    dynamicProfiles(
      rowsOf(text, file).map((row, i) => ({
        model: row.model ?? options.model ?? '',
        device: row.device ?? row.deviceKind ?? options.deviceKind ?? '',
        batch: number(row.batch, file, i),
        p50Ms: number(row.p50Ms ?? row.p50_ms ?? row.meanMs ?? row.mean_ms ?? row.latency_ms, file, i),
        ...optional('p95Ms', row.p95Ms ?? row.p95_ms),
        ...optional('p99Ms', row.p99Ms ?? row.p99_ms),
        ...optional('meanMs', row.meanMs ?? row.mean_ms),
      })),
      options,
    ),
  muxserve: muxserve,
  'genai-perf': benchmarked,
  'vllm-bench': benchmarked,
};

const number = (text: string | undefined, file: string, i: number): number => {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw wrong(`${file}:${i + 2}`, `"${text ?? ''}" is not a number above 0`, 'INVALID_PROFILE');
};

/** Model Analyzer's runs fill a batch by their concurrency, up to the configuration's largest. */
function filledBatch(row: Readonly<Record<string, string>>, file: string, i: number): number {
  const largest = Number(/\d+/.exec(row['Max Batch Size'] ?? '')?.[0] ?? 1);
  return Math.max(1, Number(row.Batch ?? 1) * Math.min(number(row.Concurrency ?? '1', file, i), largest));
}

const optional = <K extends string>(name: K, text: string | undefined) =>
  text !== undefined && Number(text) > 0 ? ({ [name]: Number(text) } as Record<K, number>) : {};

function latencies(row: Readonly<Record<string, string>>, file: string, i: number): Times {
  const of = (name: RegExp) => Object.entries(row).find(([column]) => name.test(column))?.[1];
  const p50 = of(/p50 latency/i) ?? of(/avg latency/i) ?? of(/p90 latency/i);
  return {
    p50Ms: number(p50, file, i),
    ...optional('p95Ms', of(/p95 latency/i)),
    ...optional('p99Ms', of(/p99 latency/i)),
    ...optional('meanMs', of(/avg latency/i)),
  };
}

/** One profile for each model and device; percentiles never fall, whatever the source rounded. */
function dynamicProfiles(rows: readonly Measured[], { kinds, memory }: ProfileImport): ProfileFile[] {
  const groups = new Map<string, Map<number, Measured>>();
  for (const row of rows) {
    const key = JSON.stringify([row.model, row.device]);
    const group = groups.get(key) ?? new Map<number, Measured>();
    if (!group.has(row.batch)) group.set(row.batch, row);
    groups.set(key, group);
  }
  return [...groups.values()].flatMap((group): ProfileFile[] => {
    const all = [...group.values()].sort((a, b) => a.batch - b.batch);
    const [first] = all;
    // Without a single call's time there is nothing to plan with.
    if (first === undefined || first.batch !== 1) return [];
    return [
      {
        format: 1,
        model: first.model,
        deviceKind: kinds[first.device] ?? slug(first.device),
        batching: 'dynamic',
        ...(memory[first.model] !== undefined && { memory: { weights: memory[first.model] ?? '' } }),
        latency: all.map(({ model: _, device: __, ...row }) => ({ batch: row.batch, ...rising(row) })),
      },
    ];
  });
}

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

function rising({ p50Ms, p95Ms, p99Ms, meanMs }: Times): Times {
  const p95 = p95Ms === undefined ? undefined : Math.max(p50Ms, p95Ms);
  const p99 = p99Ms === undefined ? undefined : Math.max(p95 ?? p50Ms, p99Ms);
  return {
    p50Ms,
    ...(p95 !== undefined && { p95Ms: p95 }),
    ...(p99 !== undefined && { p99Ms: p99 }),
    ...(meanMs !== undefined && { meanMs }),
  };
}

interface LlmRow {
  readonly batch: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly ttftMs: Times;
  readonly tpotMs: Times;
}

/** Prompts by the rows at one sequence, steps by all. */
function llmProfile(rows: readonly LlmRow[], model: string, deviceKind: string, options: ProfileImport): ProfileFile {
  const once = <T>(all: readonly T[], keyOf: (each: T) => string) => [
    ...new Map([...all].reverse().map((each) => [keyOf(each), each])).values(),
  ];
  const least = Math.min(...rows.map(({ batch }) => batch));
  const alone = rows.filter(({ batch }) => batch === least);
  const weights = options.memory[model];
  const perToken = options.perToken[model];
  const steps = once(rows, ({ batch, tokensIn }) => `${batch} ${tokensIn}`);
  // A step of the fewest measured stands for one sequence.
  const first = steps.some(({ batch }) => batch === 1) ? [] : alone.map((row) => ({ ...row, batch: 1 }));
  return {
    format: 1,
    model,
    deviceKind,
    batching: 'continuous',
    ...(weights !== undefined && { memory: { weights, ...(perToken !== undefined && { perToken }) } }),
    prefill: once(alone, ({ tokensIn }) => `${tokensIn}`)
      .map(({ tokensIn, ttftMs }) => ({ tokens: tokensIn, ...rising(ttftMs) }))
      .sort((a, b) => a.tokens - b.tokens),
    decode: once([...steps, ...first], ({ batch, tokensIn }) => `${batch} ${tokensIn}`)
      .map(({ batch, tokensIn, tokensOut, tpotMs }) => ({ batch, tokens: tokensIn + tokensOut / 2, ...rising(tpotMs) }))
      .sort((a, b) => a.batch - b.batch || a.tokens - b.tokens),
  };
}

/** Results of `vllm bench serve --save-result` and of genai-perf or aiperf: one file, a list, or JSON lines. */
function benchmarked(text: string, file: string, options: ProfileImport): ProfileFile[] {
  const runs =
    text.trimStart().startsWith('{') && isOne(text)
      ? [JSON.parse(text) as Record<string, unknown>]
      : objectsOf(text, file);
  const rows = runs.map((run, i): LlmRow & { readonly model: string } => {
    const at = `${file}, run ${i + 1}`;
    const need = (value: unknown, name: string): number => {
      if (typeof value === 'number' && value > 0) return value;
      throw wrong(at, `it has no ${name}`, 'INVALID_PROFILE');
    };
    if (run.mean_tpot_ms !== undefined || run.median_tpot_ms !== undefined) {
      const completed = need(run.completed, 'completed');
      return {
        model: String(run.model_id ?? run.model ?? options.model ?? ''),
        batch: Math.round(need(run.max_concurrency, 'max_concurrency')),
        tokensIn: need(run.total_input_tokens, 'total_input_tokens') / completed,
        tokensOut: need(run.total_output_tokens, 'total_output_tokens') / completed,
        ttftMs: vllmTimes(run, 'ttft', need),
        tpotMs: vllmTimes(run, 'tpot', need),
      };
    }
    const metric = (name: string) => run[name] as Readonly<Record<string, number>> | undefined;
    const config = run.input_config as Readonly<Record<string, unknown>> | undefined;
    const times = (name: string): Times => {
      const of = metric(name);
      const p50 = need(of?.p50 ?? of?.avg, name);
      return {
        p50Ms: p50,
        ...(of?.p95 && { p95Ms: of.p95 }),
        ...(of?.p99 && { p99Ms: of.p99 }),
        ...(of?.avg && { meanMs: of.avg }),
      };
    };
    const stimulus = /\d+/.exec(
      JSON.stringify(
        (config?.perf_analyzer as Record<string, unknown>)?.stimulus ?? config?.concurrency ?? run.concurrency ?? '',
      ),
    );
    return {
      model: String((config?.model_names as string[] | undefined)?.[0] ?? config?.model ?? options.model ?? ''),
      batch: Math.max(1, Number(stimulus?.[0] ?? 1)),
      tokensIn: need(metric('input_sequence_length')?.avg, 'input_sequence_length'),
      tokensOut: need(metric('output_sequence_length')?.avg, 'output_sequence_length'),
      ttftMs: times('time_to_first_token'),
      tpotMs: times('inter_token_latency'),
    };
  });
  if (options.deviceKind === undefined)
    throw wrong('--device-kind', 'the source names no device: give its kind', 'INVALID_PROFILE');
  const kind = options.deviceKind;
  const models = [...new Set(rows.map(({ model }) => model))];
  return models.map((model) =>
    llmProfile(
      rows.filter((row) => row.model === model),
      options.model ?? model,
      kind,
      options,
    ),
  );
}

const isOne = (text: string): boolean => {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
};

function vllmTimes(
  run: Readonly<Record<string, unknown>>,
  of: string,
  need: (value: unknown, name: string) => number,
): Times {
  const at = (name: string) => run[`${name}_${of}_ms`];
  const known = (name: string, key: keyof Times) => (typeof at(name) === 'number' ? { [key]: at(name) } : {});
  return {
    p50Ms: need(at('median') ?? at('mean'), `median_${of}_ms`),
    ...known('p95', 'p95Ms'),
    ...known('p99', 'p99Ms'),
    ...known('mean', 'meanMs'),
  };
}

type MuxServe = Readonly<
  Record<
    string,
    Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Cost>>>>>>>>
  >
>;
interface Cost {
  readonly prefill: number;
  readonly decoding: number;
}

/**
 * MuxServe's table of costs: model, GPUs, percentage of a GPU's processors, batch, sequence length; milliseconds of a prefill of
 * batch times length tokens, and of a step with as many in the cache. Only whole GPUs; each number of GPUs is a variant.
 */
function muxserve(text: string, file: string, options: ProfileImport): ProfileFile[] {
  if (!isOne(text)) throw wrong(file, 'it is not JSON', 'INVALID_PROFILE');
  const kind = options.deviceKind ?? 'a100';
  return Object.entries(JSON.parse(text) as MuxServe).flatMap(([model, byGpus]) =>
    Object.entries(byGpus).map(([gpus, byShare]): ProfileFile => {
      const cells = Object.entries(byShare['100'] ?? {}).flatMap(([batch, byLength]) =>
        Object.entries(byLength).map(([length, cost]) => ({ batch: Number(batch), length: Number(length), cost })),
      );
      const longest = Math.max(...cells.map(({ length }) => length));
      // Prompts up to the longest measured alone; longer ones as so many of the longest.
      const prompts = cells.filter(({ batch, length }) => batch === 1 || length === longest);
      const weights = options.memory[model];
      const perToken = options.perToken[model];
      const tokensOf = ({ batch, length }: { readonly batch: number; readonly length: number }) => batch * length;
      return {
        format: 1,
        model,
        variant: `tp${gpus}`,
        deviceKind: kind,
        parallel: { tensor: Number(gpus), pipeline: 1 },
        batching: 'continuous',
        ...(weights !== undefined && { memory: { weights, ...(perToken !== undefined && { perToken }) } }),
        prefill: monotone(prompts.map((cell) => ({ tokens: tokensOf(cell), p50Ms: cell.cost.prefill }))),
        decode: cells
          .map(({ batch, length, cost }) => ({ batch, tokens: length, p50Ms: cost.decoding }))
          .sort((a, b) => a.batch - b.batch || a.tokens - b.tokens)
          .map((row, i, all) => {
            // Noise of the measurement: a longer context is not faster.
            const before = all.slice(0, i).filter(({ batch }) => batch === row.batch);
            return { ...row, p50Ms: Math.max(row.p50Ms, ...before.map(({ p50Ms }) => p50Ms)) };
          }),
      };
    }),
  );
}

/** Rows by tokens, each at least as long as the shorter prompts. */
function monotone(rows: readonly { readonly tokens: number; readonly p50Ms: number }[]) {
  const sorted = [...new Map(rows.map((row) => [row.tokens, row])).values()].sort((a, b) => a.tokens - b.tokens);
  let most = 0;
  return sorted.map(({ tokens, p50Ms }) => {
    most = Math.max(most, p50Ms);
    return { tokens, p50Ms: most };
  });
}
