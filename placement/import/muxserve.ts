import type { ProfileFile } from '../profiles/index.js';
import { checkOptions } from './check-options.js';
import { documentIn } from './json.js';
import type { ProfileImport } from './measurements.js';
import { wrong } from './wrong.js';

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
export function muxserve(lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] {
  const table = documentIn(lines, file, 'INVALID_PROFILE') as MuxServe | null;
  if (typeof table !== 'object' || table === null) {
    throw wrong(file, 'it is not a table of costs by model: give the file that MuxServe reads', 'INVALID_PROFILE');
  }
  checkOptions({ models: Object.keys(table), devices: [], isLlm: true }, options);
  const kind = options.deviceKind ?? 'a100';
  return Object.entries(table).flatMap(([model, byGpus]) =>
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
