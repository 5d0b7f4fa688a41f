import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { MOST_MADE, readLocated } from '../source/index.js';
import { type PlacementDocument, placementSchema } from './schema.js';

/** Adds the placement's version, a hash of the parts that are carried out; predictions and reasons are not included. */
export function sealPlacement(body: Omit<PlacementDocument, 'version'>): PlacementDocument {
  return { ...body, version: versionOf(body) };
}

/** The version that a placement must have. */
export function versionOf({ pools, stages }: Pick<PlacementDocument, 'pools' | 'stages'>): string {
  const carriedOut = pools.map(({ reason: _, prefixCache, replicas, ...pool }) => ({
    ...pool,
    // The size of a token and what is reserved follow from the cache, and were not stated in earlier releases.
    replicas: replicas.map(({ tokenBytes: __, reservedBytes: ___, ...replica }) => replica),
    ...(prefixCache && { affinity: prefixCache.affinity }),
  }));
  return jsonHash({ pools: carriedOut, stages } as unknown as Json).slice(0, 12);
}

/** As `millrace place --json --what-if` prints it: the answers to its questions are no part of the placement. */
const printedSchema = placementSchema.extend({ whatIf: z.unknown().optional() });

/** Parses a `placement.json`. Throws `INVALID_PLACEMENT` naming the wrong lines, or a version that is not its hash. */
export function readPlacement(text: string, file = 'placement.json'): PlacementDocument {
  const { value: printed, at } = readLocated(text, file, printedSchema, 'INVALID_PLACEMENT', MOST_MADE);
  const { whatIf: _, ...value } = printed;
  if (versionOf(value) === value.version) return value;
  const field = at(['version']);
  const message = `the placement’s hash is ${versionOf(value)}, not ${value.version}: make it again, or correct the version`;
  throw new MillraceError('INVALID_PLACEMENT', `${field}: ${message}`, { fields: [{ field, message }] });
}
