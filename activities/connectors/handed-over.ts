/**
 * Why a call's signal aborts when its worker stops: another worker makes the next attempt, which goes on from the
 * checkpoint. What the checkpoint names at the server is not to be cancelled.
 */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';

  constructor() {
    super('the worker stops; the next attempt goes on from the checkpoint');
  }
}
