import { z } from 'zod';
import type { ProfileFile } from '../profiles/index.js';
import { locate } from '../source/index.js';
import { checkOptions } from './check-options.js';
import { documentIn } from './json.js';
import type { ProfileImport } from './measurements.js';
import { wrong } from './wrong.js';

/** Milliseconds; what it could not measure, since it took too long or did not fit, MuxServe writes as -1. */
const NOT_MEASURED = -1;
const time = z
  .number({ error: 'give a time in milliseconds' })
  .refine((ms) => ms > 0 || ms === NOT_MEASURED, 'give milliseconds above 0, or -1 for what was not measured');
/** A table by `of`: whole numbers, but for names and percentages. */
const by = <V extends z.ZodType>(of: string, value: V, key = z.string().regex(/^[1-9]\d*$/)) =>
  z.record(key, value, {
    error: ({ code }) =>
      code === 'invalid_key' ? `the ${of} must be a whole number above 0` : `give an object by ${of}`,
  });
const cost = z.object({ prefill: time, decoding: time }, { error: 'give prefill and decoding' });
const byShare = by('percentage', by('batch', by('length', cost)), z.string());
const costs = by('model', by('number of GPUs', byShare), z.string());

/**
 * MuxServe's table of costs: model, GPUs, percentage of a GPU's processors, batch, sequence length; milliseconds of a prefill of
 * batch times length tokens, and of a step with as many in the cache. Only whole GPUs; each number of GPUs is a variant, unless nothing was
 * measured with it.
 */
export function muxserve(lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] {
  const document = documentIn(lines, file, 'INVALID_PROFILE');
  if (typeof document !== 'object' || document === null) {
    throw wrong(file, 'it is not a table of costs by model: give the file that MuxServe reads', 'INVALID_PROFILE');
  }
  const table = locate(document, file, costs, 'INVALID_PROFILE').value;
  checkOptions({ models: Object.keys(table), devices: [], isLlm: true }, options);
  return Object.entries(table).flatMap(([model, byGpus]) =>
    Object.entries(byGpus).flatMap(([gpus, { 100: whole = {} }]) => profileOf(model, Number(gpus), whole, options)),
  );
}

type ByBatch = z.output<typeof byShare>[string];

function profileOf(model: string, gpus: number, whole: ByBatch, options: ProfileImport): readonly ProfileFile[] {
  const cells = Object.entries(whole).flatMap(([batch, lengths]) =>
    Object.entries(lengths).map(([length, cost]) => ({ batch: Number(batch), length: Number(length), ...cost })),
  );
  const longest = Math.max(...cells.map(({ length }) => length));
  const prefill = cells
    // Prompts up to the longest measured alone; longer ones as so many of the longest.
    .filter(({ batch, length, prefill }) => prefill !== NOT_MEASURED && (batch === 1 || length === longest))
    .map(({ batch, length, prefill }) => ({ tokens: batch * length, p50Ms: prefill }));
  const decode = cells
    .filter(({ decoding }) => decoding !== NOT_MEASURED)
    .map(({ batch, length, decoding }) => ({ batch, tokens: length, p50Ms: decoding }))
    .sort((a, b) => a.batch - b.batch || a.tokens - b.tokens);
  if (prefill.length === 0 || decode.length === 0) return [];
  const weights = options.memory[model];
  const perToken = options.perToken[model];
  return [
    {
      format: 1,
      model,
      variant: `tp${gpus}`,
      deviceKind: options.deviceKind ?? 'a100',
      parallel: { tensor: gpus, pipeline: 1 },
      batching: 'continuous',
      ...(weights !== undefined && { memory: { weights, ...(perToken !== undefined && { perToken }) } }),
      prefill: monotone(prefill),
      decode: decode.map((row, i) => {
        // Noise of the measurement: a longer context is not faster.
        const before = decode.slice(0, i).filter(({ batch }) => batch === row.batch);
        return { ...row, p50Ms: Math.max(row.p50Ms, ...before.map(({ p50Ms }) => p50Ms)) };
      }),
    },
  ];
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
