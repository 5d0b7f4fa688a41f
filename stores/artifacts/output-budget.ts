import { MillraceError } from '../../pipelines/errors.js';
import type { ArtifactStore } from './store.js';

/** A store for one call of a stage, whose puts have a limit in total. */
export interface BudgetedStore extends ArtifactStore {
  /** Throws `OUTPUT_BUDGET_EXCEEDED` if the call may not write that many bytes more. For use before work whose output is known to be that large. */
  expectRoom(bytes: number): void;
}

/**
 * A store for one call of a stage that limits the total size of the call's puts to `maxBytes`, however much a small
 * input unpacks to. A put above it throws `OUTPUT_BUDGET_EXCEEDED`; earlier puts of the call remain until they are
 * pruned.
 */
export function withOutputBudget(store: ArtifactStore, maxBytes: number): BudgetedStore {
  let written = 0;
  const expectRoom = (more: number) => {
    if (written + more <= maxBytes) return;
    throw new MillraceError(
      'OUTPUT_BUDGET_EXCEEDED',
      `the stage writes more than ${maxBytes} bytes of media; reduce its input, or raise MILLRACE_MAX_STAGE_MEDIA_BYTES`,
    );
  };
  async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of bytes) {
      written += chunk.length;
      expectRoom(0);
      yield chunk;
    }
  }
  return {
    put: (tenant, bytes, inspector) => store.put(tenant, counted(bytes), inspector),
    stat: (...of) => store.stat(...of),
    read: (...of) => store.read(...of),
    check: () => store.check(),
    expectRoom,
  };
}
