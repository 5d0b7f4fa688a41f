import type { CallToolResult } from '@modelcontextprotocol/client';
import type { Artifact } from '../../pipelines/artifact.js';
import type { Json } from '../../pipelines/json.js';

/** Stores media; undefined for bytes that are no media of their type. */
export type KeepMedia = (kind: 'audio' | 'image', bytes: Uint8Array) => Promise<Artifact | undefined>;

interface Part {
  readonly type: string;
  readonly text?: string;
  readonly data?: string;
  readonly mimeType?: string;
  readonly uri?: string;
  /** Of an embedded resource. */
  readonly resource?: Omit<Part, 'type' | 'resource'>;
}

const partsOf = ({ content }: CallToolResult): readonly Part[] => content as readonly Part[];

export const textIn = (result: CallToolResult): string => partsOf(result).map(textOf).join('\n');

/** A part as text: an embedded one as its own. */
function textOf({ type, resource = {}, ...own }: Part): string {
  const { text, mimeType, uri } = { ...resource, ...own };
  return text ?? `[${[type, mimeType, uri].filter((each) => each !== undefined).join(' ')}]`;
}

/**
 * A result as a value: its structured content, else its text. With audio or images it is an object of both, whose `media`
 * are artifacts that later calls can take.
 */
export async function resultValue(result: CallToolResult, keep?: KeepMedia): Promise<Json> {
  const value = (result.structuredContent as Json | undefined) ?? textIn(result);
  const media: Artifact[] = [];
  for (const { type, data } of keep ? partsOf(result) : []) {
    if ((type !== 'audio' && type !== 'image') || data === undefined) continue;
    const artifact = await keep?.(type, Buffer.from(data, 'base64'));
    if (artifact) media.push(artifact);
  }
  return media.length === 0 ? value : { result: value, media: media as unknown as Json };
}
