import { MillraceError } from '../../pipelines/errors.js';
import type { ArtifactStore } from './store.js';

/**
 * A store for one call of a stage that limits the total size of the call's puts to `maxBytes`, however much a small
 * input unpacks to. A put above it throws `OUTPUT_BUDGET_EXCEEDED`; earlier puts of the call remain until they are
 * pruned.
 */
export function withOutputBudget(store: ArtifactStore, maxBytes: number): ArtifactStore {
  let written = 0;
  async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of bytes) {
      written += chunk.length;
      if (written > maxBytes) {
        throw new MillraceError(
          'OUTPUT_BUDGET_EXCEEDED',
          `the stage writes more than ${maxBytes} bytes of media; reduce its input, or raise MILLRACE_MAX_STAGE_MEDIA_BYTES`,
        );
      }
      yield chunk;
    }
  }
  return {
    put: (tenant, bytes, inspector) => store.put(tenant, counted(bytes), inspector),
    stat: (...of) => store.stat(...of),
    read: (...of) => store.read(...of),
    check: () => store.check(),
  };
}
