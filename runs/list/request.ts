import type { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import { isJsonObject } from '../../pipelines/json.js';
import type { RunStatus } from '../../pipelines/run/document.js';
import type { ListRequest, RunFilters } from './run-list.js';

export const MOST_ROWS = 100;
export const USUAL_ROWS = 20;

export const RUN_STATUSES = ['running', 'succeeded', 'failed', 'cancelled'] as const satisfies readonly RunStatus[];

/** What filters may be. Nothing that passes has a character that Temporal's query language reads as anything but itself. */
export const PATTERNS = {
  pipeline: /^[a-z][a-z0-9-]{0,62}$/,
  version: /^[0-9a-f]{12}$/,
  id: /^[a-z][a-z0-9-]{0,127}$/,
  cursor: /^[A-Za-z0-9_-]{1,4096}$/,
} as const;

const LIMIT = /^[1-9]\d{0,2}$/;
/** A date, which is its midnight in UTC, or a time with its offset. */
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

const KNOWN = ['pipeline', 'status', 'version', 'from', 'to', 'id', 'limit', 'cursor', 'waiting'] as const;
type Given = Partial<Record<(typeof KNOWN)[number], string>>;

/** Reads the query of `GET /v1/runs`. Throws `INVALID_INPUT` naming the parameter. */
export function listRequestOf(query: unknown): ListRequest & { readonly waiting?: true } {
  const given = givenIn(query);
  const { waiting } = given;
  if (waiting !== undefined && waiting !== 'true')
    throw invalidField('waiting', 'must be true; leave it out for all runs');
  if (waiting !== undefined && given.status !== undefined && given.status !== 'running')
    throw invalidField('status', 'must be "running" or left out: only running runs wait');
  const { cursor, limit = String(USUAL_ROWS) } = given;
  if (!LIMIT.test(limit) || Number(limit) > MOST_ROWS)
    throw invalidField('limit', `must be a number from 1 to ${MOST_ROWS}`);
  if (cursor !== undefined && !PATTERNS.cursor.test(cursor)) throw foreignCursor();
  return {
    filters: filtersOf(given),
    limit: Number(limit),
    ...(cursor !== undefined && { cursor }),
    ...(waiting !== undefined && { waiting: true }),
  };
}

function givenIn(query: unknown): Given {
  const given = isJsonObject(query) ? query : {};
  for (const [name, value] of Object.entries(given)) {
    if (!KNOWN.some((known) => known === name))
      throw invalidField(name, `is not a parameter; there are ${KNOWN.join(', ')}`);
    if (typeof value !== 'string') throw invalidField(name, 'is given twice');
  }
  return given as Given;
}

function filtersOf({ pipeline, status, version, id, ...times }: Given): RunFilters {
  if (pipeline !== undefined && !PATTERNS.pipeline.test(pipeline))
    throw invalidField('pipeline', 'is no name of a pipeline');
  if (version !== undefined && !PATTERNS.version.test(version))
    throw invalidField('version', 'must be the 12 hexadecimal digits of a plan’s version');
  if (id !== undefined && !PATTERNS.id.test(id))
    throw invalidField(
      'id',
      'must be the beginning of a run’s id: lower-case letters, digits and dashes, a letter first',
    );
  const known = RUN_STATUSES.find((each) => each === status);
  if (status !== undefined && known === undefined)
    throw invalidField('status', `must be one of ${RUN_STATUSES.join(', ')}`);
  const from = timeOf('from', times.from);
  const to = timeOf('to', times.to);
  if (from !== undefined && to !== undefined && from >= to) throw invalidField('to', 'must be later than "from"');
  return {
    ...(pipeline !== undefined && { pipeline }),
    ...(version !== undefined && { version }),
    ...(known !== undefined && { status: known }),
    ...(id !== undefined && { id }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function timeOf(field: 'from' | 'to', text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const at = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return new Date(at).toISOString();
  throw invalidField(field, 'must be a date or time of ISO 8601 such as 2026-11-26 or 2026-11-26T07:30:00Z');
}

export const foreignCursor = (): MillraceError =>
  invalidField(
    'cursor',
    'is not of this list: take the nextCursor of the page before, with the same filters, or leave it out',
  );
