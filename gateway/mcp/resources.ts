import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { parseArtifactUri } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Caller } from '../access/caller.js';
import { base64Of, inBase64 } from '../http/output-media.js';
import { contentsOfArtifact } from './artifact-contents.js';
import type { Serving } from './serving.js';
import { asError } from './task-handlers.js';

/** Largest artifact that is read by this protocol, whose messages are held in memory as a whole. */
const MOST_BYTES = 4_194_304;

export const templateOf = ({ tenant }: Caller): string => `artifact://${tenant}/{sha256}`;

/** Media of the caller’s runs, by the `uri` in their results. */
export const listTemplates = (caller: Caller) => ({
  resourceTemplates: [
    {
      name: 'artifact',
      title: 'Media of a run',
      uriTemplate: templateOf(caller),
      description: `Audio, images and documents of runs, up to ${MOST_BYTES} bytes; larger ones are at their href`,
    },
  ],
});

/**
 * The bytes of an artifact. Throws the protocol’s error for one that is not there, for one that is too large, and while responses
 * hold too much memory.
 */
export async function readResource({ deps: { artifacts }, caller: { tenant }, response }: Serving, uri: string) {
  if (parseArtifactUri(uri)?.tenant !== tenant) throw notFound(uri);
  try {
    const artifact = await artifacts.stat(tenant, uri);
    if (artifact.bytes > MOST_BYTES) {
      const message = `${uri} has ${artifact.bytes} bytes, more than ${MOST_BYTES}: get it from the href in its result`;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, message, { uri });
    }
    response?.take(inBase64(artifact.bytes));
    const blob = await base64Of({ artifacts, tenant }, artifact);
    if (blob === undefined) throw notFound(uri);
    return { contents: [contentsOfArtifact({ uri, mime: artifact.mime }, blob)] };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw error.code === 'ARTIFACT_NOT_FOUND' ? notFound(uri) : asError(error);
  }
}

const notFound = (uri: string) =>
  new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no resource ${uri}`, { uri });
