import type { Secrets } from './keys.js';

/** Ports of the two doors that are attacked: the gateway's, or the stub's in a control round. */
export interface Doors {
  readonly http: number;
  readonly grpc: number;
}

export interface AttackContext {
  readonly doors: Doors;
  readonly secrets: Secrets;
  /** Aborts when nothing more is to be sent; what is under way may still be answered. */
  readonly over: AbortSignal;
  /** Aborts when nothing is waited for any more. */
  readonly end: AbortSignal;
  /** To be called when it is under way: the bystander begins then. */
  readonly begun: () => void;
  /** An answer: an HTTP status or `grpc` and a status, and the code of the error table if there is one. */
  readonly note: (status: string) => void;
}

interface Described {
  readonly name: string;
  /** What is sent, in a few words. */
  readonly about: string;
  /** Answers of which each has to come. */
  readonly must: readonly string[];
  /** Answers that may come as well. Any other is a failure. */
  readonly may?: readonly string[];
}

/** An attack that goes on while the bystander asks. */
export interface Load extends Described {
  readonly run: (context: AttackContext) => Promise<void>;
}

export interface CheckContext {
  readonly doors: Doors;
  readonly secrets: Secrets;
  /** Ids of the keys. */
  readonly ids: Secrets;
}

/** An attack without load: its answers are all that is looked at. */
export interface Check extends Described {
  readonly answers: (context: CheckContext) => Promise<readonly string[]>;
}

export interface Pace {
  /** Milliseconds from one start to the next. */
  readonly everyMs: number;
  /** Most of them under way. */
  readonly atOnce: number;
  /** Most of them altogether. */
  readonly most: number;
}

/**
 * Sends at a pace, the same against the gateway and against the stub: whoever answers sooner is not sent more. Resolves when
 * all are answered.
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

/** Waits so many milliseconds, or until the round is over. */
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
