import type { CallToolResult } from '@modelcontextprotocol/server';
import { parseArtifactUri } from '../../pipelines/artifact.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import { base64Of, mediaIn } from '../http/output-media.js';

type Content = CallToolResult['content'];

/** Media up to this size are embedded in the result, larger ones are links: 20 s of speech at 24 kHz fit. */
const INLINE_BYTES = 1_048_576;
/** Limit of all embedded media together: a client holds a result in memory as one message. */
const INLINE_BYTES_IN_ALL = 4_194_304;

/** Source of the media. */
interface Source {
  readonly artifacts: ArtifactStore;
  readonly tenant: string;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
}

/** A run's output as content: its JSON as text, then its media, embedded or as links if they are large. */
export async function contentOf(output: JsonObject, source: Source): Promise<Content> {
  const content: Content = [{ type: 'text', text: JSON.stringify(output) }];
  let left = INLINE_BYTES_IN_ALL;
  for (const { artifact, href, name } of mediaIn(output)) {
    // Artifacts in an output may have been part of the input: the address may be another tenant's.
    if (parseArtifactUri(artifact.uri)?.tenant !== source.tenant) continue;
    const { bytes, mime } = artifact;
    const type = mime.startsWith('audio/') ? 'audio' : mime.startsWith('image/') ? 'image' : undefined;
    if (type !== undefined && bytes <= Math.min(INLINE_BYTES, left)) {
      left -= bytes;
      content.push({ type, data: await base64Of(source, artifact), mimeType: mime });
    } else {
      content.push({ type: 'resource_link', uri: `${source.base}${href}`, name, mimeType: mime, size: bytes });
    }
  }
  return content;
}
