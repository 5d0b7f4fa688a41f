import { MillraceError } from '../../pipelines/errors.js';
import { devicesPerReplica, type ReadProfile } from '../profiles/index.js';
import type { Load } from '../simulator/index.js';
import type { NamedStage } from './drafts.js';
import { keptRequests, tokensAlone, tokensOf } from './memory.js';
import type { Cell } from './problem.js';

interface Kept {
  readonly load: Load;
  /** Share of the runs that fit no device. */
  readonly share: number;
  readonly warnings: readonly string[];
}

/**
 * The load without the runs that no device can ever serve: an LLM's prompt and answer need more key-value cache than any
 * device has beside the weights and what is reserved. They are refused, and the share is said. Throws `MODEL_FITS_NOWHERE` if that is all.
 */
export function withoutOversized(
  load: Load,
  named: readonly (NamedStage & { readonly p: number })[],
  profiles: readonly ReadProfile[],
  cells: readonly Cell[],
  kinds: readonly string[],
): Kept {
  const gone = new Uint8Array(load.timesMs.length);
  const warnings: string[] = [];
  for (const { stage, pipeline, p } of named) {
    const rooms = profiles.flatMap(({ value }) => {
      if (value.model !== stage.model || value.batching !== 'continuous' || !value.memory?.perToken) return [];
      return cells.flatMap((cell) => {
        const whole = cells.reduce(
          (sum, each) => sum + (each.kind === cell.kind && each.node === cell.node ? each.devices.length : 0),
          0,
        );
        if (kinds[cell.kind] !== value.deviceKind || whole < devicesPerReplica(value)) return [];
        return [{ value, tokens: tokensAlone(value, cell) }];
      });
    });
    const others = profiles.some(
      ({ value }) => value.model === stage.model && (value.batching === 'dynamic' || !value.memory?.perToken),
    );
    const [best] = rooms.sort((a, b) => b.tokens - a.tokens);
    // A model that fits nowhere is reported with its profiles.
    if (best === undefined || others || best.tokens <= 0) continue;
    let count = 0;
    let largest = 0;
    for (let i = 0; i < gone.length; i += 1) {
      if (load.pipelines[i] !== p) continue;
      const tokens = tokensOf(load, best.value, i);
      if (!(tokens > best.tokens)) continue;
      gone[i] = 1;
      count += 1;
      largest = Math.max(largest, tokens);
    }
    if (count === 0) continue;
    const share = ((100 * count) / gone.length).toFixed(count * 1000 < gone.length ? 2 : 1);
    warnings.push(
      `${pipeline.name}/${stage.id}: ${count} of ${gone.length} runs (${share} %) can never be served: with up to ${Math.round(largest)} tokens they exceed the ${best.tokens} tokens of key-value cache that ${best.value.deviceKind} has beside the weights of ${stage.model} and what is reserved. They are refused, and the plan is for the others; a device with more memory or a variant on more devices serves them`,
    );
  }
  const left = gone.reduce((sum, each) => sum + (1 - each), 0);
  if (left === 0 && gone.length > 0) {
    throw new MillraceError('MODEL_FITS_NOWHERE', `no run fits any device: ${warnings.join('; ')}`, {
      fields: warnings.map((message) => ({ field: '--cluster', message })),
    });
  }
  return { load: keptRequests(load, (i) => gone[i] === 0), share: 1 - left / Math.max(1, gone.length), warnings };
}
