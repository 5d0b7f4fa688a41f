import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { readBody } from '../input/held-bodies.js';
import { DOOR_PREFIX, type Door } from './door.js';
import { doorGateway } from './door-gateway.js';

/**
 * Adds the routes of doors from outside, each in a scope of its own. Throws `INVALID_SETTING` for a prefix that is
 * malformed or in use, and for a route that would need no authentication.
 */
export async function mountDoors(
  app: FastifyInstance,
  deps: GatewayDeps,
  { doors, used }: { readonly doors: readonly Door[]; readonly used: ReadonlySet<string> },
): Promise<void> {
  const taken = new Set(used);
  for (const door of doors) {
    const first = firstPart(door.prefix);
    if (!DOOR_PREFIX.test(door.prefix)) throw refused(door, 'must be a path such as "/slack"');
    if (taken.has(first)) throw refused(door, `is in use: /${first} is another door’s`);
    taken.add(first);
    const plugin: FastifyPluginAsync = (scope) => mount(scope, deps, door);
    await app.register(plugin, { prefix: door.prefix });
  }
}

/** The first part of a path: doors are told apart by it. */
export const firstPart = (path: string): string => path.split('/', 2)[1] ?? '';

async function mount(scope: FastifyInstance, deps: GatewayDeps, door: Door): Promise<void> {
  const replies = new WeakMap<FastifyRequest, FastifyReply>();
  scope.addHook('onRequest', async (request, reply) => {
    replies.set(request, reply);
  });
  scope.addHook('onRoute', (route) => {
    if (route.config?.open) throw refused(door, `the route ${route.url} is open: the routes of doors need a caller`);
    route.bodyLimit = Math.min(route.bodyLimit ?? Number.POSITIVE_INFINITY, deps.limits.maxJsonBytes);
  });
  takeJson(scope, { mayBeEmpty: true });
  scope.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(request, payload),
  );
  await door.routes(
    scope,
    doorGateway(deps, (request) => replies.get(request) as FastifyReply),
  );
}

const refused = ({ prefix }: Door, message: string) =>
  invalidFields('INVALID_SETTING', [{ field: `the door ${prefix}`, message }]);
