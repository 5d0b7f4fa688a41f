/**
 * Why a call's signal aborts when its worker stops, or when Temporal has given its attempt up: another attempt is made, which goes on from
 * the checkpoint. What the checkpoint names at the server is not to be cancelled.
 */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';

  constructor() {
    super('this attempt is over; the next one goes on from the checkpoint');
  }
}
