import { comparableUri, type McpDocument } from '../../pipelines/definition/index.js';
import { inBase64 } from '../http/output-media.js';
import { declaredBy, take } from './declared.js';
import type { Serving } from './serving.js';

const documentsOf = (serving: Serving): ReadonlyMap<string, McpDocument> =>
  declaredBy(serving, ({ documents }) => documents.map((document) => [comparableUri(document.uri), document]));

/** The documents of the pipelines that the caller may run. */
export const listDocuments = (serving: Serving) => ({
  resources: [...documentsOf(serving).values()].map((document) => ({
    uri: document.uri,
    name: document.name,
    ...(document.description !== undefined && { description: document.description }),
    mimeType: document.mime,
    size: bytesOf(document),
  })),
});

/** A document; undefined if none has this uri. Throws the protocol's error while responses hold too much memory. */
export function readDocument(serving: Serving, uri: string) {
  const document = documentsOf(serving).get(comparableUri(uri));
  return document && { contents: [contentsOf(serving, document)] };
}

/** Its text, or its bytes as base64. */
export function contentsOf(serving: Serving, document: McpDocument) {
  const { uri, mime, content } = document;
  const bytes = bytesOf(document);
  take(serving, typeof content === 'string' ? bytes : inBase64(bytes));
  const of = { uri, mimeType: mime };
  return typeof content === 'string'
    ? { ...of, text: content }
    : { ...of, blob: Buffer.from(content).toString('base64') };
}

/** Documents are part of the definition, and up to 4 MiB long: each is measured once. */
const measured = new WeakMap<McpDocument, number>();

function bytesOf(document: McpDocument): number {
  const known = measured.get(document);
  if (known !== undefined) return known;
  const bytes = Buffer.byteLength(document.content);
  measured.set(document, bytes);
  return bytes;
}
