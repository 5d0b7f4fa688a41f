import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { isPageFile, type PageFileName, PageFiles } from './page-files.js';

/** The page shows no secret; what it calls needs a key. */
const open = true;

const EXPLORER: RouteDoc = {
  tag: 'description',
  operation: 'explorer',
  summary: 'A page that shows this document and sends requests',
  answers: {
    200: { description: 'The page', content: { 'text/html': { schema: { type: 'string' } } } },
    304: { description: 'The page is as `If-None-Match` has it' },
  },
};

/** The page runs its own scripts only, talks to its own gateway only, and stands in no other page's frame. */
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

/** `GET /explorer`: the interface as a page, which is Swagger UI from the gateway itself; nothing is loaded from elsewhere. */
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
  app.get<{ Params: { '*': string } }>('/explorer/*', { config: { open, doc: 'none' } }, (request, reply) => {
    const name = request.params['*'];
    if (!isPageFile(name)) throw new MillraceError('ROUTE_NOT_FOUND', `the explorer has no file of this name`);
    return send(name, request, reply);
  });
}
