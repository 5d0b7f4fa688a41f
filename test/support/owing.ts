import type { RunDocument } from '../../runs/document.js';
import { pacedRuns } from '../../runs/paced-runs.js';

/** A second of what a tenant may read of large runs. */
const SECOND = { status: 'succeeded', output: { text: 'x'.repeat(8_000_000) } };

/** Makes a tenant owe for large runs that it has read, in seconds. */
export function owe(deps: Parameters<typeof pacedRuns>[0], tenant: string, seconds: number): void {
  for (let n = 0; n < seconds; n++)
    pacedRuns(deps)
      .reading(`large-${n}`, { tenant })
      .read({ ...SECOND } as unknown as RunDocument);
}
