import { z } from 'zod';
import { list, SHORTEST_SECRET } from './fields.js';

/** Who may reach the gateway, and what new runs are placed by. */
export const ACCESS_SETTINGS = {
  MILLRACE_GATEWAY_HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'Address the gateway binds. If other machines can reach it, keys or an authenticating proxy are required.',
    ),
  MILLRACE_CORS_ORIGINS: list(
    'Origins whose pages may call the gateway from a browser (CORS), such as `https://app.example`, separated by commas. Default: none. Keys are still needed where they are in use; `*` is not accepted.',
  ).refine((origins) => origins === undefined || origins.every(isOrigin), {
    error: 'must be origins such as https://app.example or http://localhost:5173: scheme, host and port only, no *',
  }),
  MILLRACE_MEDIA_ORIGINS: list(
    'Origins of media that callers may name by their address, such as `https://images.example`, separated by commas: the gateway fetches them. Default: none. Name only origins whose every address any caller may read.',
  ).refine((origins) => origins === undefined || origins.every(isOrigin), {
    error: 'must be origins such as https://images.example or http://minio:9000: scheme, host and port only, no *',
  }),
  MILLRACE_KEYS: z
    .string()
    .optional()
    .describe(
      'JSON file of API keys, maintained by "millrace keys"; a change takes effect within a second. With it every request needs a key. Unset: the gateway serves this machine only.',
    ),
  MILLRACE_PROXY_AUTHENTICATES: z
    .enum(['no', 'yes'])
    .default('no')
    .describe(
      'Whether a proxy in front authenticates callers, sets `Millrace-Tenant` on every request and removes it from clients’ requests: the gateway then needs no keys.',
    ),
  MILLRACE_PROXY_SECRET: list(
    'What that proxy sends as `Millrace-Proxy-Secret`, at least 32 characters; several, separated by commas, during a rotation. Required if other machines can reach the gateway’s address.',
    SHORTEST_SECRET,
  ),
  MILLRACE_PROXY_GRPC: z
    .enum(['off', 'on'])
    .default('off')
    .describe(
      'Whether gRPC is served when a proxy authenticates. Off: most proxies pass HTTP only, and a port beside the proxy would bypass it. On: the same headers are required as metadata.',
    ),
  MILLRACE_API_KEY: z.string().optional().describe('API key that the command line sends to the gateway.'),
  MILLRACE_PLACEMENT: z
    .string()
    .optional()
    .describe(
      'Placement file, as written by `millrace place`, that new runs use; a change takes effect within a second. Default: none, every stage goes to the shared queue.',
    ),
};

/** As browsers send it: lower case, without a default port, a path or a slash at the end. */
function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes('*');
}
