import type { FastifyInstance } from 'fastify';
import { MCP_PATH, METADATA_PATH } from '../access/challenge.js';
import type { GatewayDeps } from '../deps.js';
import { baseUrlOf } from '../http/public-url.js';
import type { RouteDoc } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';

/** Clients may keep it for a moment; it changes with the settings. */
const CACHE = 'private, max-age=60';

const docOf = (operation: string, of: string): RouteDoc => ({
  tag: 'description',
  operation,
  summary: `Who issues the tokens of ${of} (RFC 9728)`,
  answers: {
    200: {
      description: 'The resource and the issuer of its tokens',
      content: json({
        type: 'object',
        required: ['resource', 'authorization_servers'],
        properties: {
          resource: { type: 'string' },
          authorization_servers: { type: 'array', items: { type: 'string' } },
          bearer_methods_supported: { type: 'array', items: { type: 'string' } },
          scopes_supported: { type: 'array', items: { type: 'string' } },
          resource_name: { type: 'string' },
        },
      }),
    },
  },
});

/**
 * `GET /.well-known/oauth-protected-resource`, and the same with the path of `/mcp`: who issues the tokens that the gateway
 * accepts, as MCP wants it of a server. Only where it accepts tokens.
 */
export async function resourceMetadataRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const tokens = deps.authenticator?.tokens;
  if (tokens === undefined) return;
  const { issuer, scopes } = tokens;
  const resources = [
    ['', docOf('describeResource', 'this gateway')],
    [MCP_PATH, docOf('describeMcpResource', 'the MCP door')],
  ] as const;
  for (const [path, doc] of resources) {
    // Clients read it before they have a token.
    app.get(`${METADATA_PATH}${path}`, { config: { open: true, doc } }, async (request, reply) => {
      reply.header('cache-control', CACHE);
      return {
        resource: `${baseUrlOf(deps.publicUrl, request)}${path}`,
        authorization_servers: [issuer],
        bearer_methods_supported: ['header'],
        ...(scopes.length > 0 && { scopes_supported: scopes }),
        resource_name: 'Millrace',
      };
    });
  }
}
