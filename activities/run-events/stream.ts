import type { RunEvent } from '../../pipelines/plan/index.js';

/** The stream of a run's events. */
export const streamOf = (run: string): string => `millrace:events:${run}`;

/** Position before the first entry of a stream. */
export const START = '0-0';

/** Ids of Redis streams: milliseconds of its clock and a number, in decimal. */
const ID = /^\d{1,19}-\d{1,19}$/;
export const isPosition = (text: string): boolean => ID.test(text);

/** An entry's one field. */
const FIELD = 'e';

export const fieldsOf = (event: RunEvent): [field: string, value: string] => [FIELD, JSON.stringify(event)];
export const eventOf = (fields: readonly string[]): RunEvent => JSON.parse(fields[1] ?? 'null') as RunEvent;
