import { TenantQueue } from '../../runtime/tenant-queue.js';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** Documents that are written in one turn of the event loop: so many, for so long at most, in milliseconds. */
const AT_ONCE = 4;
const TURN_MS = 2;

const texts = new WeakMap<object, Buffer>();

/**
 * The JSON of a document, made once for all who get the same object: a run of a thousand followers has one document, of several megabytes.
 * Nobody may change it.
 */
export function sharedJson(document: object): Buffer {
  const known = texts.get(document);
  if (known) return known;
  const text = Buffer.from(JSON.stringify(document));
  texts.set(document, text);
  return text;
}

/**
 * Documents are written a few in a turn of the event loop, tenant by tenant: all who follow a run, or wait for it, get its document at the same
 * moment.
 */
export class DocumentTurns {
  readonly #now: () => number;
  readonly #waiting = new TenantQueue<() => void>();
  #next: NodeJS.Immediate | undefined;

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Does the work in a later turn of the event loop. Resolves, or rejects, as it does. */
  in<T>(tenant: string, work: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(tenant, () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      this.#await();
    });
  }

  #await(): void {
    if (!this.#waiting.isEmpty) this.#next ??= setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#next = undefined;
    const began = this.#now();
    for (let n = 0; n < AT_ONCE && this.#now() - began < TURN_MS; n++) this.#waiting.shift()?.();
    this.#await();
  }
}

/** One per process: all documents are written in its event loop. */
export const documentTurns = new DocumentTurns();
