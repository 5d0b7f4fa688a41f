import type { ProfileFile } from '../profiles/index.js';
import { checkOptions } from './check-options.js';
import { type ProfileImport, rising, type Times } from './measurements.js';

/** A measured batch, as the source names its model and device. */
export interface Measured extends Times {
  readonly model: string;
  readonly device: string;
  readonly batch: number;
}

/** One profile for each model and device. Of several rows for a batch the first counts. */
export function dynamicProfiles(rows: readonly Measured[], options: ProfileImport): ProfileFile[] {
  const { kinds, memory } = options;
  checkOptions({ models: namesOf(rows, 'model'), devices: namesOf(rows, 'device'), isLlm: false }, options);
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

const namesOf = (rows: readonly Measured[], of: 'model' | 'device'): readonly string[] => [
  ...new Set(rows.map((row) => row[of])),
];

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
