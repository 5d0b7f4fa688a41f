import type { Pool } from '../../activities/pools/index.js';

interface Member {
  readonly pool: Pool;
  close(): void;
}

/** One queue for several servers, first come, first served: a call goes to the first server with a free slot, the fastest of them. */
export class SharedQueue {
  readonly #members: readonly { readonly member: Member; free: number }[];
  readonly #waiting: (() => void)[] = [];

  /** @param members fastest first */
  constructor(members: readonly Member[], slots: number) {
    this.#members = members.map((member) => ({ member, free: slots }));
  }

  async use<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
    while (!this.#members.some(({ free }) => free > 0))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const chosen = this.#members.find(({ free }) => free > 0);
    if (!chosen) throw new Error('no slot');
    chosen.free -= 1;
    try {
      return await work(chosen.member.pool);
    } finally {
      chosen.free += 1;
      this.#waiting.shift()?.();
    }
  }

  close(): void {
    for (const { member } of this.#members) member.close();
  }
}
