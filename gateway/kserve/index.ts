import type { FastifyInstance } from 'fastify';
import type { Authenticator } from '../access/authenticator.js';
import type { GatewayDeps } from '../deps.js';
import type { ResponseMemory } from '../http/response-memory.js';
import type { BodyBudget } from '../input/body-budget.js';
import { Door } from './door.js';
import { GrpcServer } from './grpc-server.js';
import { restRoutes } from './rest-routes.js';

/**
 * The door of the KServe v2 protocol (Open Inference Protocol): every pipeline is a model, whose tensors are the fields
 * of its input and output. REST is served by the gateway's HTTP server, gRPC at `deps.grpc`.
 */
export async function kserveDoor(
  app: FastifyInstance,
  deps: GatewayDeps,
  shared: { readonly authenticator: Authenticator; readonly bodies: BodyBudget; readonly responses: ResponseMemory },
): Promise<void> {
  const door = new Door(deps);
  const { release = 'unknown', grpc } = deps;
  await restRoutes(app, door, release);
  if (grpc === undefined) return;
  const server = new GrpcServer(door, { ...shared, release, ...grpc });
  // Before the gateway listens, so that a port in use prevents the start.
  app.addHook('onReady', async () => {
    const port = await server.listen();
    deps.logger.info({ host: grpc.host, port }, 'the inference protocol is served by gRPC');
  });
  app.addHook('preClose', () => server.close());
}
