import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { MOST_MADE, readLocated } from '../source/index.js';
import { versionOf } from './document.js';
import { type PlacementDocument, placementSchema, predictedSchema } from './schema.js';

/** `schedule.json`: what `millrace place day` decides, a placement for each hour; see docs/reference/placement.md. */

const cost = z.number().min(0);
const version = z.string().regex(/^[0-9a-f]{12}$/);

/** A server to start or to stop: of one replica. */
const server = z.strictObject({ model: z.string(), devices: z.array(z.string()).min(1) });

const hourSchema = z.strictObject({
  hour: z.int().min(0),
  /** Runs per second of each pipeline. */
  rates: z.record(z.string(), z.number().min(0)),
  /** The version of its placement, among `placements`. */
  placement: version,
  /** Reserved devices, used or not, and the others that it uses. */
  costPerHour: cost,
  predicted: predictedSchema.omit({ stages: true, devices: true }),
  /** What differs from the hour before; null: nothing. The servers are started so many seconds before the hour begins. */
  change: z.strictObject({ start: z.array(server), stop: z.array(server), startS: z.number().min(0), cost }).nullable(),
});

const scaledPool = z.strictObject({
  model: z.string(),
  /** Replicas in the schedule: in the hour with the fewest, and in the one with the most. */
  least: z.int().min(1),
  most: z.int().min(1),
  /** Calls in a replica, waiting ones included, on average over the pool, at which the next replica is due; null: never. */
  callsPerReplica: z.number().min(0).nullable(),
});

export const scheduleSchema = z.strictObject({
  format: z.literal(1),
  /** First 12 hex digits of the sha256 of the canonical JSON of the hours' versions. */
  version,
  currency: z.string(),
  slo: placementSchema.shape.slo,
  switching: z.strictObject({
    /** Seconds from the start of a model's server to its first answer. */
    coldStartS: z.record(z.string(), z.number().min(0)),
    costPerSwitch: cost,
    mostSwitches: z.int().min(0).optional(),
    /** The last hour is followed by the first again. */
    repeats: z.boolean(),
  }),
  cost: z.strictObject({
    /** Of all hours: the sum of the next three. */
    total: cost,
    /** Of the reserved devices, of the others in the hours in which they are used, and of the changes. */
    reserved: cost,
    used: cost,
    switching: cost,
    /** Of the cheapest single placement that serves every hour; null: none was found. */
    onePlacement: cost.nullable(),
    /** Of the cheapest placement for each hour, if changes cost nothing: no choice among the same placements costs less. */
    hourlyOptima: cost,
    /** No schedule costs less, of whatever placements. */
    bound: cost,
  }),
  switches: z.int().min(0),
  /** Probability that in some hour two of the spot devices in use are lost, after which the objectives are not kept. */
  spotRisk: z.number().min(0).max(1).optional(),
  hours: z.array(hourSchema).min(1),
  autoscaling: z.array(scaledPool),
  /** Each placement once, described for its busiest hour. */
  placements: z.array(placementSchema).min(1),
  warnings: z.array(z.string()).default([]),
});

export type ScheduleDocument = z.output<typeof scheduleSchema>;
export type ScheduledHour = z.output<typeof hourSchema>;
export type ScaledPool = z.output<typeof scaledPool>;

/** Adds the schedule's version, a hash of its hours' placements. */
export const sealSchedule = (body: Omit<ScheduleDocument, 'version'>): ScheduleDocument => ({
  ...body,
  version: hashOf(body),
});

const hashOf = ({ hours }: Pick<ScheduleDocument, 'hours'>): string =>
  jsonHash(hours.map(({ placement }) => placement)).slice(0, 12);

/** The placement of an hour. */
export const placementOf = (
  { placements }: ScheduleDocument,
  { placement }: ScheduledHour,
): PlacementDocument | undefined => placements.find((each) => each.version === placement);

/** Whether a file is a schedule, and not a placement; false if it is no JSON. */
export function isSchedule(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'hours' in value;
  } catch {
    return false;
  }
}

/**
 * Parses a `schedule.json`. Throws `INVALID_PLACEMENT` naming the wrong lines, an hour without its placement, or a version that
 * is not its hash.
 */
export function readSchedule(text: string, file = 'schedule.json'): ScheduleDocument {
  const { value, at } = readLocated(text, file, scheduleSchema, 'INVALID_PLACEMENT', MOST_MADE);
  const refuse = (path: readonly (string | number)[], message: string) => {
    const field = at(path);
    return new MillraceError('INVALID_PLACEMENT', `${field}: ${message}`, { fields: [{ field, message }] });
  };
  for (const [p, placement] of value.placements.entries()) {
    const hash = versionOf(placement);
    if (hash !== placement.version)
      throw refuse(['placements', p, 'version'], `the placement’s hash is ${hash}, not ${placement.version}`);
  }
  for (const [h, { hour, placement }] of value.hours.entries()) {
    if (hour !== h) throw refuse(['hours', h, 'hour'], `it is not ${h}: the hours are listed in order, from 0 on`);
    if (!value.placements.some((each) => each.version === placement))
      throw refuse(['hours', h, 'placement'], `there is no placement ${placement} among "placements"`);
  }
  if (hashOf(value) !== value.version)
    throw refuse(['version'], `the schedule’s hash is ${hashOf(value)}, not ${value.version}: make it again`);
  return value;
}
