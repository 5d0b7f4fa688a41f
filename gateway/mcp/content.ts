import type { CallToolResult } from '@modelcontextprotocol/server';
import { parseArtifactUri } from '../../pipelines/artifact.js';
import type { JsonObject } from '../../pipelines/json.js';
import { embedding, type MediaSource, mediaIn } from '../http/output-media.js';

type Content = CallToolResult['content'];

/** Source of the media. */
interface Source extends MediaSource {
  /** Base URL of the gateway for the caller. */
  readonly base: string;
}

/**
 * A run's output as content: its JSON as text, then its media, embedded or as links if they are large.
 * @param text the output as JSON
 */
export async function contentOf(
  output: JsonObject,
  source: Source,
  text: string = JSON.stringify(output),
): Promise<Content> {
  const content: Content = [{ type: 'text', text }];
  const embed = embedding(source);
  for (const { artifact, href, name } of mediaIn(output)) {
    // Artifacts in an output may have been part of the input: the address may be another tenant's.
    if (parseArtifactUri(artifact.uri)?.tenant !== source.tenant) continue;
    const { bytes, mime } = artifact;
    const type = mime.startsWith('audio/') ? 'audio' : mime.startsWith('image/') ? 'image' : undefined;
    const data = type && (await embed(artifact));
    if (type !== undefined && data !== undefined) content.push({ type, data, mimeType: mime });
    else content.push({ type: 'resource_link', uri: `${source.base}${href}`, name, mimeType: mime, size: bytes });
  }
  return content;
}
