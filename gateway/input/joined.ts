import { setImmediate as nextTurn } from 'node:timers/promises';

/** Most bytes that are copied in one turn of the event loop: a few tenths of a millisecond. */
const AT_ONCE = 1024 * 1024;

/**
 * Concatenates the pieces of a body and empties the list. Large bodies are copied over several turns of the event loop:
 * 70 MiB at once would block it for some tenths of a second.
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
    // A piece is some ten kilobytes.
    at += piece.copy(whole, at);
    if (at - turn < AT_ONCE) continue;
    turn = at;
    await nextTurn();
  }
  return whole;
}
