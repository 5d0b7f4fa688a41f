import { MillraceError } from '../pipelines/errors.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { abortable } from './abortable.js';

/**
 * All bytes of an artifact. Throws `ARTIFACT_NOT_FOUND`, `ARTIFACT_CORRUPT`, the signal's reason, and `BODY_TOO_LARGE`
 * above `most` bytes before reading.
 *
 * @param limit what the limit is for: `are sent to a model as a file`
 */
export async function readWhole(
  store: ArtifactStore,
  tenant: string,
  uri: string,
  { most, limit, signal }: { readonly most: number; readonly limit: string; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const { bytes } = await store.stat(tenant, uri);
  if (bytes > most) throw new MillraceError('BODY_TOO_LARGE', `${uri} has ${bytes} bytes; at most ${most} ${limit}`);
  // Not of the pool that other buffers share: it is handed to the author.
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for await (const part of abortable(store.read(tenant, uri), signal)) {
    // A file that grows meanwhile does not match its sha256, which the end of the read reports.
    whole.set(part.subarray(0, bytes - at), at);
    at = Math.min(bytes, at + part.length);
  }
  return whole;
}
