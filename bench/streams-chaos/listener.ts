import { setTimeout as sleep } from 'node:timers/promises';

const HEADER = 44;
const PAUSE_MS = 250;

/** A client that hears a run's audio while it is made; it comes back where its connection ended. */
export class Listener {
  readonly #url: string;
  readonly #parts: Uint8Array[] = [];
  readonly heardAt: number[] = [];
  #bytes = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Samples received. */
  get heard(): Buffer {
    return Buffer.concat(this.#parts).subarray(HEADER);
  }

  /** Resolves when the audio has ended. */
  async listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const from = this.#bytes;
        const response = await fetch(this.#url, {
          signal,
          ...(from > 0 && { headers: { range: `bytes=${from}-` } }),
        });
        // Everything has been received.
        if (response.status === 416) return;
        if (!response.ok || (from > 0 && response.status !== 206)) throw new Error(`status ${response.status}`);
        for await (const part of response.body ?? []) {
          this.#parts.push(part);
          this.#bytes += part.length;
          this.heardAt.push(Date.now());
        }
        return;
      } catch {
        await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
