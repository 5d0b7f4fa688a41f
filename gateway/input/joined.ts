import { setImmediate as nextTurn } from 'node:timers/promises';

/** Copied at once, in bytes: some tenths of a millisecond, in which nobody else is served. */
const AT_ONCE = 1024 * 1024;

/**
 * The pieces of a body as one, and none of them afterwards. A large one takes many turns of the event loop: to copy 70 MiB in one
 * keeps everybody else waiting for some tenths of a second.
 */
export function joined(pieces: Buffer[], size: number): Buffer | Promise<Buffer> {
  if (size > AT_ONCE) return inTurns(pieces, size);
  return Buffer.concat(pieces.splice(0), size);
}

async function inTurns(pieces: Buffer[], size: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(size);
  let at = 0;
  let turn = 0;
  for (const piece of pieces.splice(0)) {
    // A piece is what came at once: some ten kilobytes.
    at += piece.copy(whole, at);
    if (at - turn < AT_ONCE) continue;
    turn = at;
    await nextTurn();
  }
  return whole;
}
