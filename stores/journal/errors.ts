/** Another worker holds the journal under a lease, which expires in `leftMs` milliseconds unless it is renewed. */
export class HeldError extends Error {
  constructor(readonly leftMs: number) {
    super(`another worker holds the journal for ${leftMs} ms`);
  }
}

/** The journal belongs to a worker that was scheduled later. */
export class SupersededError extends Error {
  constructor() {
    super('a worker that was scheduled later owns the journal');
  }
}
