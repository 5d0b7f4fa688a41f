import { type AudioPort, type FfmpegBench, inspectorOf } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { MediaKind } from '../../pipelines/media.js';
import type { Bounds } from '../../pipelines/stages/option-bounds.js';

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
export function wholeNumber(options: JsonObject, name: string, { least, most }: Bounds): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidField(name, `must be a whole number from ${least} to ${most}`);
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Refuses to make a picture that is too large. With one side wanted, the other follows from the proportions of the source:
 * of a very thin one it would have millions of pixels. Throws `INVALID_INPUT` naming the field.
 */
export function refuseLarge(
  field: string,
  { width, height }: { readonly width: number | undefined; readonly height: number | undefined },
  source: Size,
  { side, pixels = Number.POSITIVE_INFINITY }: { readonly side: number; readonly pixels?: number },
): void {
  const w = width ?? (source.width * (height ?? 0)) / source.height;
  const h = height ?? (source.height * (width ?? 0)) / source.width;
  const message =
    Math.max(w, h) > side
      ? `would have a side of more than ${side} pixels`
      : w * h > pixels
        ? `would have more than ${pixels} pixels`
        : undefined;
  if (message !== undefined) throw invalidField(field, message);
}
