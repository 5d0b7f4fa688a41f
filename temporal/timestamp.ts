/** A time or a duration as Temporal's API has it: seconds, as a 64-bit integer in any form, and nanoseconds. */
interface Timestamp {
  readonly seconds?: unknown;
  readonly nanos?: number | null;
}

/** A time in milliseconds since 1970, or the milliseconds of a duration. */
export const millisecondsOf = ({ seconds, nanos }: Timestamp): number =>
  Number(seconds ?? 0) * 1_000 + (nanos ?? 0) / 1e6;
