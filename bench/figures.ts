import { loadavg } from 'node:os';

/** The value below which a share of the values lies; NaN without values. */
export const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

export const median = (values: readonly number[]): number => percentile(values, 0.5);

export const round = (value: number, digits = 0): number => Number(value.toFixed(digits));

/** Of the last 1, 5 and 15 minutes. */
export const loadAverages = (): readonly number[] => loadavg().map((value) => round(value, 2));

/** A line about the progress, apart from the result. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);
