import type { JsonObject } from '../../../pipelines/json.js';
import type { CallContext } from '../connector.js';
import { valueAt } from '../json-values.js';
import type { Progress } from './api.js';
import type { Scope } from './template.js';

/** Tells how much is done, where an answer says it. Servers that write a number as text are read too. */
export function tellProgress(
  progress: Progress | undefined,
  scope: Scope,
  { progress: tell }: Pick<CallContext, 'progress'>,
): void {
  if (!progress || !tell) return;
  const found = valueAt(scope as JsonObject, progress.at);
  const done = typeof found === 'number' || typeof found === 'string' ? Number.parseFloat(String(found)) : Number.NaN;
  if (Number.isFinite(done)) tell(Math.min(1, Math.max(0, done / progress.of)));
}
