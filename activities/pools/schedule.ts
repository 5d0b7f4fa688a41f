/** Least and greatest value of each field: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). */
const FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;
const PART = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/;
const DAYS = 2;
const WEEKDAYS = 4;

/** Times of a schedule, as sets of each field’s values. */
export interface Schedule {
  readonly fields: readonly ReadonlySet<number>[];
  /** Days of the month and of the week are both restricted: a day counts if either has it, as cron counts. */
  readonly either: boolean;
}

/**
 * A schedule in cron’s form of five fields (POSIX crontab, with steps): numbers, ranges, lists and steps. Undefined if it is none.
 * Times are UTC.
 */
export function parseSchedule(text: string): Schedule | undefined {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) return undefined;
  const fields = parts.map((part, i) => valuesOf(part, FIELDS[i] ?? [0, 0]));
  if (!fields.every((field) => field !== undefined)) return undefined;
  if (fields[WEEKDAYS]?.has(7)) fields[WEEKDAYS].add(0);
  return { fields, either: !parts[DAYS]?.startsWith('*') && !parts[WEEKDAYS]?.startsWith('*') };
}

function valuesOf(field: string, [least, greatest]: readonly [number, number]): Set<number> | undefined {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const match = PART.exec(part);
    if (!match) return undefined;
    const [, from, to, by] = match;
    const first = from === undefined ? least : Number(from);
    // With a step a single number is where it begins.
    const last = to !== undefined ? Number(to) : from === undefined || by !== undefined ? greatest : first;
    const step = Number(by ?? 1);
    if (first < least || last > greatest || first > last || step < 1) return undefined;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return values;
}

/** Whether a minute is one of the schedule’s. */
export function isDue({ fields, either }: Schedule, minute: Date): boolean {
  const [minutes, hours, days, months, weekdays] = fields;
  const day = days?.has(minute.getUTCDate()) === true;
  const weekday = weekdays?.has(minute.getUTCDay()) === true;
  return (
    minutes?.has(minute.getUTCMinutes()) === true &&
    hours?.has(minute.getUTCHours()) === true &&
    months?.has(minute.getUTCMonth() + 1) === true &&
    (either ? day || weekday : day && weekday)
  );
}
