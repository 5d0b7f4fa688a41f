import { z } from 'zod';
import { durationMs } from '../../pipelines/duration.js';
import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { LOOKED_AT } from '../replan/index.js';
import { type Located, type Path, readLocated } from '../source/index.js';

/** A policy of `millrace replan --auto within`: what may change a placement, how far and how often. See docs/reference/placement/auto.md. */

/** Drifts that explain others. A stage, the p95 and a budget follow from them: of these alone, nothing that one plans by has changed. */
export const DRIFTS = ['device', 'rate', 'service'] as const;

const UNITS = 'units: ms, s, m, h, d';

/** Milliseconds of a time with its unit, from one length to another. */
function time(what: string, least: `${number}${'s' | 'm'}`, most: `${number}d`) {
  const [from, to] = [durationMs(least, what), durationMs(most, what)];
  return z
    .union([z.string(), z.number()], { error: `give ${what}, such as "5m" (${UNITS})` })
    .transform((given, context) => {
      const ms = typeof given === 'string' ? parsed(given) : undefined;
      const message =
        ms === undefined
          ? `"${given}" is no time with a unit: give ${what}, such as "5m" (${UNITS})`
          : ms < from || ms > to
            ? `${given} is not from ${least} to ${most}: give ${what}`
            : undefined;
      if (message !== undefined) context.addIssue({ code: 'custom', message });
      return message === undefined ? (ms ?? 0) : 0;
    });
}

function parsed(text: string): number | undefined {
  try {
    return durationMs(text as `${number}ms`, 'time');
  } catch {
    return undefined;
  }
}

const count = (what: string, least: number, most: number, because = '') =>
  z
    .int({ error: `give ${what}, a whole number` })
    .min(least, `at least ${least}`)
    .max(most, `at most ${most}${because}`);

const share = (what: string) =>
  z
    .number({ error: `give ${what}, a number from 0 to 1` })
    .min(0, 'not below 0')
    .max(1, 'at most 1, which is all');

const policySchema = z.strictObject({
  format: z.literal(1, { error: 'write format: 1' }),
  /** Drifts that may cause a change. */
  drifts: z
    .array(z.enum(DRIFTS, { error: `must be one of ${DRIFTS.join(', ')}` }), {
      error: `list the drifts that may change the placement: ${DRIFTS.join(', ')}`,
    })
    .min(1, 'list at least one: without any, leave --auto out'),
  /** So many measurements in a row must show the same drift. */
  measurements: count('the measurements in a row that must show a drift', 1, 100).default(3),
  /** The most that a placement may cost, in the inventory's currency. */
  costPerHour: z
    .number({ error: 'give the most that a placement may cost an hour, e.g. 12.50' })
    .min(0, 'not negative')
    .max(1e9, 'at most 1000000000')
    .optional(),
  /** The most devices that it may use. */
  devices: count('the most devices that a placement may use', 1, 10_000).optional(),
  changes: z
    .strictObject({
      /** At most so many changes in a stretch of `per`. */
      most: count('the most changes', 1, 100).default(1),
      per: time('the stretch of time for them', '1m', '30d').prefault('1d'),
      /** From the end of a change to the begin of the next. */
      coolDown: time('the pause after a change', '1s', '30d').prefault('30m'),
      /** For so long, what was rolled back is not tried again. */
      again: time('how long what was rolled back is not tried again', '1m', '30d').prefault('1d'),
      /** For so long, a placement that a person applied or went back to is left alone. */
      byHand: time('how long a placement that a person applied is left alone', '1s', '30d').prefault('1d'),
    })
    .prefault({}),
  /** What a change is judged by for so long after it. */
  verify: z
    .strictObject({
      for: time('how long a change is measured', '10s', '1d').prefault('5m'),
      /** Fewest runs that must end in that time. */
      runs: count('the runs that must end', 1, LOOKED_AT.runs, ': the times of more are not read').default(20),
      /** Largest share of runs that may fail, unless more did before. */
      failed: share('the share of runs that may fail').default(0.01),
    })
    .prefault({}),
});

export type Policy = z.output<typeof policySchema>;

/**
 * Parses the policy of `millrace replan --auto within`. Throws `INVALID_POLICY` naming every wrong line: a time without its unit, a
 * number out of its range, an unknown field, no limit of what a placement may cost or use.
 */
export function readPolicy(text: string, file = 'policy.yaml'): Located<Policy> {
  const source = readLocated(text, file, policySchema, 'INVALID_POLICY');
  const { costPerHour, devices, drifts } = source.value;
  const mistakes: FieldError[] = [];
  const wrong = (path: Path, message: string) => mistakes.push({ field: source.at(path), message });
  if (costPerHour === undefined && devices === undefined) {
    wrong(
      ['costPerHour'],
      'state the most that a placement may cost an hour (costPerHour), or the most devices that it may use (devices)',
    );
  }
  if (new Set(drifts).size < drifts.length) wrong(['drifts'], 'one is listed twice: remove it');
  if (mistakes.length > 0) throw invalidFields('INVALID_POLICY', mistakes);
  return source;
}
