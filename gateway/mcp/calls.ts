import type { RequestId } from '@modelcontextprotocol/sdk/types.js';

/** Whose request it is: ids of requests are unique in a session of a caller's. */
interface CallKey {
  readonly tenant: string;
  readonly owner?: string | undefined;
  readonly session: string | undefined;
  readonly id: RequestId;
}

/**
 * The calls under way in this process. `notifications/cancelled` comes in a request of its own and finds its call here. Without
 * a session the id alone could be anybody's, so such a call ends with its connection only.
 */
export class Calls {
  readonly #open = new Map<string, AbortController>();

  /** A call that ends when `dropped` aborts or it is cancelled. `end` must be called when it is over. */
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

  cancel(key: CallKey): void {
    const name = nameOf(key);
    if (name !== undefined) this.#open.get(name)?.abort();
  }
}

/** `1` and `"1"` are two ids. */
const nameOf = ({ tenant, owner = '', session, id }: CallKey): string | undefined =>
  session === undefined ? undefined : JSON.stringify([tenant, owner, session, id]);
