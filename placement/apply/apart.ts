import { MillraceError } from '../../pipelines/errors.js';
import type { PlacedPool, PlacementDocument } from '../document/index.js';
import type { ModelServer } from './servers.js';
import { shellLine } from './shell.js';

/** vLLM’s default for the first port of NIXL’s handshake; a server’s own is as far from it as its port is from vLLM’s first. */
const FIRST_SIDE_CHANNEL = 5_600;
const FIRST_PORT = 9_000;

/**
 * What a vLLM of a pool served apart needs to give or take key-value caches (vLLM: docs/features/nixl_connector_usage.md). The
 * router in front of both decides which server does what; the role is for the reader.
 */
export const kvTransfer = ({ apart }: PlacedPool): string[] =>
  apart === undefined
    ? []
    : [
        '--kv-transfer-config',
        JSON.stringify({
          kv_connector: 'NixlConnector',
          kv_role: apart.part === 'prefill' ? 'kv_producer' : 'kv_consumer',
        }),
      ];

/** The port on which a server’s partners ask for its memory. */
export const sideChannelPort = ({ port }: Pick<ModelServer, 'port'>): number => FIRST_SIDE_CHANNEL + port - FIRST_PORT;

/**
 * The router before a pool served apart: `vllm-router` of the vLLM project, which sends each prompt to a prefill server, and then
 * the call to one that pulls its cache. Millrace does not ship it.
 */
export function routerCommand(
  { model, apart }: PlacedPool,
  { pools }: PlacementDocument,
  servers: readonly ModelServer[],
  port: string,
): string {
  const of = (name: string | undefined) => [
    ...pools.flatMap((pool) => (pool.model === name ? pool.replicas.flatMap(({ endpoint }) => endpoint ?? []) : [])),
    ...servers.flatMap((server) =>
      server.hosted.some(({ pool }) => pool.model === name) ? [`http://${server.node}:${server.port}`] : [],
    ),
  ];
  return shellLine([
    ...['vllm-router', '--vllm-pd-disaggregation', '--kv-connector', 'nixl', '--policy', 'round_robin'],
    ...of(apart?.with).flatMap((url) => ['--prefill', url.replace(/\/v1\/?$/, '')]),
    ...of(model).flatMap((url) => ['--decode', url.replace(/\/v1\/?$/, '')]),
    ...['--host', '0.0.0.0', '--port', port],
  ]);
}

/**
 * The URL of the router before a pool served apart. Throws `INVALID_PLACEMENT` with the router’s command if none is given, or
 * with what is wrong with it.
 */
export function routerOf(
  pool: PlacedPool,
  placement: PlacementDocument,
  servers: readonly ModelServer[],
  given: string | undefined,
): URL {
  const { model } = pool;
  const refuse = (message: string) =>
    new MillraceError('INVALID_PLACEMENT', `--router: ${model} ${message}`, {
      fields: [{ field: `pools.${model}.apart`, message }],
    });
  if (given === undefined) {
    const command = routerCommand(pool, placement, servers, '8080');
    throw refuse(
      `is served apart: calls go through a router, which Millrace does not ship. Start one once the servers are up, for example "${command}", and pass its address: --router ${model}=http://<host>:8080`,
    );
  }
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '') return url;
  throw refuse(`has the router "${given}": give a URL without a path, such as http://gpu1:8080`);
}

/** The pools that calls reach through a router. */
export const routedPools = ({ pools }: PlacementDocument): readonly PlacedPool[] =>
  pools.filter(({ apart }) => apart?.part === 'decode');
