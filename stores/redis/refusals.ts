/** The answers of a Redis that starts, fails over, or cannot write to its disk. */
const AWAY = /^(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF)\b/;

/** Whether a command failed since Redis is away, and not because of what it was. */
export const isGone = (error: unknown): boolean =>
  error instanceof Error && (error.name !== 'ReplyError' || AWAY.test(error.message));

/**
 * Whether Redis rejected a write because it is out of memory, as opposed to being unreachable. Scripts are rejected
 * with the same code; a transaction carries the reason next to its own error.
 */
export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (/\bOOM command not allowed\b/.test(error.message)) return true;
  const reasons = (error as { previousErrors?: readonly unknown[] }).previousErrors;
  return Array.isArray(reasons) && reasons.some(isFull);
}
