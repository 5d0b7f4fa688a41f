/*
 * Texts that have no UTF-8: a text that was cut by its UTF-16 units ends with half of an emoji. Encoders of protobuf write such a half
 * as it is, and Temporal's worker ends over a message that is not UTF-8. No Node API, because the workflows use it too.
 */

/** The text with U+FFFD in place of each half of a surrogate pair. Messages of errors may be anything. */
export const wellFormed = (text: unknown): string => String(text ?? '').replace(/\p{Cs}/gu, '\u{fffd}');

/** Causes of an error that are followed; deeper ones are dropped. */
const MOST_CAUSES = 8;

/** An error whose texts, and those of its causes, have UTF-8: itself, or a copy where one has not. */
export function wellFormedError(error: Error, left = MOST_CAUSES): Error {
  const [message, stack] = [String(error.message), String(error.stack ?? '')];
  const cause = wellFormedCause(error.cause, left);
  if (cause === error.cause && wellFormed(message) === message && wellFormed(stack) === stack) return error;
  const copy = new Error(wellFormed(message), { cause });
  copy.stack = wellFormed(stack);
  return copy;
}

function wellFormedCause(cause: unknown, left: number): unknown {
  if (typeof cause === 'string') return wellFormed(cause);
  if (!(cause instanceof Error)) return cause;
  return left > 0 ? wellFormedError(cause, left - 1) : undefined;
}
