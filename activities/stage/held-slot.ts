/** Slots that the attempts of a worker's queues share. */
export interface SharedSlots {
  /** One attempt gives up its slot; false if too many have: it then keeps it. */
  leave(): boolean;
  /** Resolves when there is a slot again, which is then held; rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<void>;
  /** Holds a slot again although there may be none: the attempt ends, and its worker releases it. */
  takeBack(): void;
}

/** The slot of one attempt, which gives it up while it waits for another stage: that stage may need it. */
export class HeldSlot {
  readonly #shared: SharedSlots;
  #left = false;

  constructor(shared: SharedSlots) {
    this.#shared = shared;
  }

  leave(): void {
    if (!this.#left) this.#left = this.#shared.leave();
  }

  async take(signal: AbortSignal): Promise<void> {
    if (!this.#left) return;
    await this.#shared.take(signal);
    this.#left = false;
  }

  /** The attempt has ended. */
  end(): void {
    if (this.#left) this.#shared.takeBack();
    this.#left = false;
  }
}
