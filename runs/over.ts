/** Reason of aborts at the end of a wait. Shared: a new error for each abort would capture a stack trace. */
export const OVER = new Error('the wait is over');

/** A promise that stays pending, for a race that something else decides. */
export const never = <T>(): Promise<T> => new Promise(() => undefined);
