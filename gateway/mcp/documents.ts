import type { McpDocument } from '../../pipelines/definition/index.js';
import { inBase64 } from '../http/output-media.js';
import { declaredBy, take } from './declared.js';
import type { Serving } from './serving.js';

const documentsOf = (serving: Serving): ReadonlyMap<string, McpDocument> =>
  declaredBy(serving, ({ documents }) => documents.map((document) => [document.uri, document]));

/** The documents of the pipelines that the caller may run. */
export const listDocuments = (serving: Serving) => ({
  resources: [...documentsOf(serving).values()].map(({ uri, name, description, mime, content }) => ({
    uri,
    name,
    ...(description !== undefined && { description }),
    mimeType: mime,
    size: Buffer.byteLength(content),
  })),
});

/** A document; undefined if none has this uri. Throws the protocol's error while responses hold too much memory. */
export function readDocument(serving: Serving, uri: string) {
  const document = documentsOf(serving).get(uri);
  return document && { contents: [contentsOf(serving, document)] };
}

/** Its text, or its bytes as base64. */
export function contentsOf(serving: Serving, { uri, mime, content }: McpDocument) {
  const bytes = Buffer.byteLength(content);
  take(serving, typeof content === 'string' ? bytes : inBase64(bytes));
  const of = { uri, mimeType: mime };
  return typeof content === 'string'
    ? { ...of, text: content }
    : { ...of, blob: Buffer.from(content).toString('base64') };
}
