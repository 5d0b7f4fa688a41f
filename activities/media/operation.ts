import { type AudioPort, type FfmpegBench, inspectorOf } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';

/** One operation of the kind `media`. Throws a `MillraceError`. */
export type Operation = (work: Work) => Promise<JsonObject>;

export interface Work {
  /** Checked against the operation's schema. */
  readonly input: JsonObject;
  readonly options: JsonObject;
  readonly bench: FfmpegBench;
  readonly audio: AudioPort;
}

/** Stores bytes as an artifact of the run's tenant; they must be media of the kind. */
export async function store(
  { store: artifacts, tenant }: FfmpegBench,
  kind: MediaKind,
  bytes: AsyncIterable<Uint8Array>,
): Promise<Json> {
  return { ...(await artifacts.put(tenant, bytes, inspectorOf(kind))) } as unknown as Json;
}

export async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

export const artifactIn = (input: JsonObject, field: string): Artifact => input[field] as unknown as Artifact;

/** An option that is a whole number, or undefined. Throws `INVALID_INPUT` naming it. */
export function wholeNumber(
  options: JsonObject,
  name: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidFields('INVALID_INPUT', [{ field: name, message: `must be a whole number from ${least} to ${most}` }]);
}
