import type { Secrets } from './keys.js';

/** Ports of the two attacked doors: the gateway's, or the stub's in a control round. */
export interface Doors {
  readonly http: number;
  readonly grpc: number;
}

export interface AttackContext {
  readonly doors: Doors;
  readonly secrets: Secrets;
  /** Aborts when no more requests are to be sent; requests in flight may still be answered. */
  readonly over: AbortSignal;
  /** Aborts when no answer is awaited any more. */
  readonly end: AbortSignal;
  /** Called when the attack is running; the bystander then starts. */
  readonly begun: () => void;
  /** Records an answer: an HTTP status or `grpc` and a status, and the code of the error table if there is one. */
  readonly note: (status: string) => void;
}

interface Described {
  readonly name: string;
  /** Short description of the requests. */
  readonly about: string;
  /** Expected answers; each must occur. */
  readonly must: readonly string[];
  /** Further allowed answers. Any other is a failure. */
  readonly may?: readonly string[];
}

/** An attack that runs while the bystander sends requests. */
export interface Load extends Described {
  readonly run: (context: AttackContext) => Promise<void>;
}

export interface CheckContext {
  readonly doors: Doors;
  readonly secrets: Secrets;
  /** Ids of the keys. */
  readonly ids: Secrets;
}

/** An attack without load: only its answers are checked. */
export interface Check extends Described {
  readonly answers: (context: CheckContext) => Promise<readonly string[]>;
}

export interface Pace {
  /** Milliseconds from one start to the next. */
  readonly everyMs: number;
  /** Most requests in flight. */
  readonly atOnce: number;
  /** Most requests in total. */
  readonly most: number;
}

/**
 * Sends at a fixed pace, the same to the gateway and the stub: a faster answer does not cause more requests. Resolves
 * when all are answered.
 */
export async function paced(
  { everyMs, atOnce, most }: Pace,
  { over, note, begun }: AttackContext,
  send: (n: number) => Promise<string | undefined>,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const began = performance.now();
  begun();
  for (let n = 0; n < most && !over.aborted; n++) {
    await pause(began + n * everyMs - performance.now(), over);
    while (underWay.size >= atOnce && !over.aborted) await Promise.race([...underWay, aborted(over)]);
    if (over.aborted) break;
    const one = send(n)
      .then((status) => status !== undefined && note(status))
      .catch((error: unknown) => note(`no answer: ${(error as NodeJS.ErrnoException).code ?? String(error)}`))
      .then(() => void underWay.delete(one));
    underWay.add(one);
  }
  await Promise.all(underWay);
}

/** Waits this many milliseconds, or until the round is over. */
export const pause = (ms: number, over: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, Math.max(0, ms));
    function done(): void {
      clearTimeout(timer);
      over.removeEventListener('abort', done);
      resolve();
    }
    over.addEventListener('abort', done, { once: true });
  });

const aborted = (over: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (over.aborted) resolve();
    over.addEventListener('abort', () => resolve(), { once: true });
  });
