import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { isPageFile, type PageFileName, PageFiles } from './page-files.js';

/** The page needs no key; the routes that it calls do. */
const open = true;

const EXPLORER: RouteDoc = {
  tag: 'description',
  operation: 'explorer',
  summary: 'API explorer: shows this document and sends requests',
  answers: {
    200: { description: 'The page', content: { 'text/html': { schema: { type: 'string' } } } },
    304: { description: 'Not modified since the version in `If-None-Match`' },
  },
};

/** The page may run only its own scripts, connect only to this gateway, and not be embedded in a frame. */
const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
  vary: 'Accept-Encoding',
};

/** `GET /explorer`: Swagger UI for the OpenAPI document, served by the gateway; no external resources are loaded. */
export async function explorerRoutes(app: FastifyInstance): Promise<void> {
  const files = new PageFiles();
  const send = async (name: PageFileName, request: FastifyRequest, reply: FastifyReply) => {
    const { type, bytes, gzipped, etag } = await files.of(name);
    reply.headers({ ...HEADERS, etag });
    if (request.headers['if-none-match'] === etag) return await reply.code(304).send();
    const zipped = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
    if (zipped) reply.header('content-encoding', 'gzip');
    return await reply.type(type).send(zipped ? gzipped : bytes);
  };
  app.get('/explorer', { config: { open, doc: EXPLORER } }, (request, reply) => send('index.html', request, reply));
  // Who opens the gateway's address in a browser.
  app.get('/', { config: { open, doc: 'none' } }, (_, reply) => reply.redirect('explorer'));
  app.get<{ Params: { '*': string } }>('/explorer/*', { config: { open, doc: 'none' } }, (request, reply) => {
    const name = request.params['*'];
    if (!isPageFile(name)) throw new MillraceError('ROUTE_NOT_FOUND', 'the explorer has no file with this name');
    return send(name, request, reply);
  });
}
