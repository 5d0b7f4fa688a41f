import type { RequestId } from '@modelcontextprotocol/server';
import { CancelledByCaller } from '../../runs/leaving.js';

/** How much of a reason is read, in characters. */
const LONGEST_REASON = 200;

/** Identifies a request: its id is unique in a session of the caller. */
interface CallKey {
  readonly tenant: string;
  readonly owner?: string | undefined;
  readonly session: string | undefined;
  readonly id: RequestId;
}

/**
 * The running calls of this process. `notifications/cancelled` is a request of its own and finds its call here. Without
 * a session the id is not unique to the client, so such a call can be cancelled by closing its connection only.
 */
export class Calls {
  readonly #open = new Map<string, AbortController>();

  /**
   * Registers a call that is aborted when `dropped` aborts or the call is cancelled. `end` must be called when it has
   * ended.
   */
  open(key: CallKey, dropped: AbortSignal): { readonly cancelled: AbortSignal; end(): void } {
    const controller = new AbortController();
    const name = nameOf(key);
    const abort = () => controller.abort();
    if (dropped.aborted) abort();
    dropped.addEventListener('abort', abort, { once: true });
    if (name !== undefined) this.#open.set(name, controller);
    return {
      cancelled: controller.signal,
      end: () => {
        dropped.removeEventListener('abort', abort);
        if (name !== undefined && this.#open.get(name) === controller) this.#open.delete(name);
      },
    };
  }

  /** @param reason what the client states; the SDK's clients cancel a call that has timed out */
  cancel(key: CallKey, reason = ''): void {
    const name = nameOf(key);
    const left = reason.slice(0, LONGEST_REASON).toLowerCase().includes('timed out');
    if (name !== undefined) this.#open.get(name)?.abort(left ? undefined : new CancelledByCaller());
  }
}

/** `1` and `"1"` are different ids. */
const nameOf = ({ tenant, owner = '', session, id }: CallKey): string | undefined =>
  session === undefined ? undefined : JSON.stringify([tenant, owner, session, id]);
