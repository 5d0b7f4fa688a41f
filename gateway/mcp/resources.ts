import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { parseArtifactUri } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Caller } from '../access/caller.js';
import { base64Of } from '../http/output-media.js';
import type { Serving } from './serving.js';

/** Largest artifact that is read by this protocol, whose messages are held in memory as a whole. */
const MOST_BYTES = 4_194_304;

/** Media of the caller’s runs, by the `uri` in their results. */
export const listTemplates = ({ tenant }: Caller) => ({
  resourceTemplates: [
    {
      name: 'artifact',
      title: 'Media of a run',
      uriTemplate: `artifact://${tenant}/{sha256}`,
      description: `Audio, images and documents of runs, up to ${MOST_BYTES} bytes; larger ones are at their href`,
    },
  ],
});

/** The bytes of an artifact. Throws the protocol’s error for one that is not there, and for one that is too large. */
export async function readResource({ deps: { artifacts }, caller: { tenant } }: Serving, uri: string) {
  if (parseArtifactUri(uri)?.tenant !== tenant) throw notFound(uri);
  try {
    const artifact = await artifacts.stat(tenant, uri);
    if (artifact.bytes > MOST_BYTES) {
      const message = `${uri} has ${artifact.bytes} bytes, more than ${MOST_BYTES}: get it from the href in its result`;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, message, { uri });
    }
    const blob = await base64Of({ artifacts, tenant }, artifact);
    if (blob === undefined) throw notFound(uri);
    return { contents: [{ uri, mimeType: artifact.mime, blob }] };
  } catch (error) {
    throw error instanceof MillraceError && error.code === 'ARTIFACT_NOT_FOUND' ? notFound(uri) : error;
  }
}

const notFound = (uri: string) =>
  new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no resource ${uri}`, { uri });
