/* Numbers as a placement's document has them. */

/** Stands for a run that never ends: JSON has no infinite numbers. A time that no run has is 0. */
const NEVER_MS = 1e15;

export const round = (value: number, digits: number): number => Number(value.toFixed(digits));
export const ms = (value: number): number => (Number.isNaN(value) ? 0 : round(Math.min(value, NEVER_MS), 3));
