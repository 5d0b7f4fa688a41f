import type { CallToolResult } from '@modelcontextprotocol/server';
import { type Artifact, parseArtifactUri } from '../../pipelines/artifact.js';
import type { JsonObject } from '../../pipelines/json.js';
import { embedding, type MediaSource, mediaIn } from '../http/output-media.js';
import { contentsOfArtifact, isText } from './artifact-contents.js';

type Content = CallToolResult['content'];

/** Source of the media. */
interface Source extends MediaSource {
  /** Base URL of the gateway for the caller. */
  readonly base: string;
}

/** Longest text that a result has within it, in bytes: it becomes part of what a model reads. Longer ones are linked. */
const LONGEST_TEXT = 65_536;

/**
 * A run’s output as content: its JSON as text, then its media: sounds, images and short texts by value, others and large ones as links.
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
    const link = { type: 'resource_link', uri: `${source.base}${href}`, name, mimeType: mime, size: bytes } as const;
    content.push((await byValue(artifact, embed)) ?? link);
  }
  return content;
}

/** Undefined for what is to be linked. */
async function byValue(artifact: Artifact, embed: ReturnType<typeof embedding>): Promise<Content[number] | undefined> {
  const { bytes, mime } = artifact;
  const type = mime.startsWith('audio/') ? 'audio' : mime.startsWith('image/') ? 'image' : undefined;
  if (type === undefined && !(isText(artifact) && bytes <= LONGEST_TEXT)) return undefined;
  const data = await embed(artifact);
  if (data === undefined) return undefined;
  if (type !== undefined) return { type, data, mimeType: mime };
  const resource = contentsOfArtifact(artifact, data);
  return 'text' in resource ? { type: 'resource', resource } : undefined;
}
