/** Slots that the attempts of a worker's queues share. */
export interface SharedSlots {
  /** One attempt gives up its slot; false if too many of its tenant have: it then keeps it. */
  leave(tenant: string): boolean;
  /** Resolves when there is a slot again, which is then held; rejects with the signal's reason. */
  take(tenant: string, signal: AbortSignal): Promise<void>;
  /** Holds a slot again although there may be none: the attempt ends, and its worker releases it. */
  takeBack(tenant: string): void;
}

/** The slot of one attempt, which gives it up while it waits for another stage, or for a person: others may need it. */
export class HeldSlot {
  readonly #shared: SharedSlots;
  readonly #tenant: string;
  #left = false;
  #taking: Promise<void> | undefined;
  /** What is waited for without it. */
  #waits = 0;
  #ended = false;

  constructor(shared: SharedSlots, tenant: string) {
    this.#shared = shared;
    this.#tenant = tenant;
  }

  /** Gives it up. False if the attempt still holds it. */
  leave(): boolean {
    if (!this.#left && !this.#ended) this.#left = this.#shared.leave(this.#tenant);
    return this.#left;
  }

  async take(signal: AbortSignal): Promise<void> {
    if (!this.#left) return;
    this.#taking ??= this.#takeNow(signal);
    await this.#taking;
  }

  async #takeNow(signal: AbortSignal): Promise<void> {
    try {
      await this.#shared.take(this.#tenant, signal);
      this.#left = false;
      // Another wait has begun meanwhile.
      if (this.#waits > 0) this.leave();
    } finally {
      this.#taking = undefined;
    }
  }

  /** Waits without the slot. Several waits may be open at once; after the last one it is held again. */
  async without<T>(waiting: () => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#waits += 1;
    this.leave();
    try {
      return await waiting();
    } finally {
      this.#waits -= 1;
      if (this.#waits === 0) await this.take(signal);
    }
  }

  /** The attempt has ended. */
  end(): void {
    this.#ended = true;
    // A slot that is being taken counts when it is, or now if that fails.
    if (this.#taking !== undefined) this.#taking.catch(() => this.#shared.takeBack(this.#tenant));
    else if (this.#left) this.#shared.takeBack(this.#tenant);
    this.#left = false;
  }
}
