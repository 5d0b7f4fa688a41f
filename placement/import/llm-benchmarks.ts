import type { ProfileFile } from '../profiles/index.js';
import { entriesOf } from './json.js';
import { type ProfileImport, rising, type Times } from './measurements.js';
import { wrong } from './wrong.js';

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
export function llmBenchmarks(lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] {
  const entries = entriesOf(lines, file, 'INVALID_PROFILE');
  const rows = Array.from(entries, ({ at, value: run }): LlmRow & { readonly model: string } => {
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
