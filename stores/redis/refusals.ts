/**
 * Whether Redis has refused a write for want of memory, as against being away. A script is refused with the same word, and a
 * transaction says why beside its own refusal.
 */
export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (/\bOOM command not allowed\b/.test(error.message)) return true;
  const reasons = (error as { previousErrors?: readonly unknown[] }).previousErrors;
  return Array.isArray(reasons) && reasons.some(isFull);
}
