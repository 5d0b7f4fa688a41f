import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { exchange, type Transport, textOf } from '../../connectors/exchange.js';
import type { EndpointConfig } from '../models.js';
import { at, nameOf, portOf } from './address.js';
import type { Discovery } from './discovery.js';

export interface KubernetesAccess {
  /** Base URL of the API server. */
  readonly api: string;
  /** File with the bearer token; it is read for every request, because it is replaced before it expires. */
  readonly tokenFile: string;
  /** Sends the requests, with the cluster's certificate authority. */
  readonly transport: Transport;
}

/** What is read of `discovery.k8s.io/v1` EndpointSlices. */
const slices = z.object({
  items: z.array(
    z.object({
      endpoints: z
        .array(
          z.object({
            addresses: z.array(z.string()).default([]),
            conditions: z.object({ ready: z.boolean().nullish(), terminating: z.boolean().nullish() }).nullish(),
            zone: z.string().nullish(),
          }),
        )
        .nullish(),
      ports: z.array(z.object({ name: z.string().nullish(), port: z.number().nullish() })).nullish(),
    }),
  ),
});

/**
 * The ready pods of a service, by its EndpointSlices; those that terminate are draining. The endpoint's URL names the
 * service, `http://<service>.<namespace>:<port>/v1`, with the port of the pods, which is needed if they have several.
 */
export const kubernetesDiscovery =
  (access: KubernetesAccess | undefined): Discovery =>
  async ({ endpoints }, signal) => {
    if (!access) {
      throw new MillraceError('INVALID_SETTING', 'discover: kubernetes: set MILLRACE_KUBERNETES_API to the API server');
    }
    return (await Promise.all(endpoints.map((each) => podsOf(each, access, signal)))).flat();
  };

async function podsOf(
  endpoint: EndpointConfig,
  access: KubernetesAccess,
  signal: AbortSignal,
): Promise<EndpointConfig[]> {
  const [service = '', namespace = 'default'] = (nameOf(endpoint.url) ?? '').split('.');
  const token = (await readFile(access.tokenFile, 'utf8')).trim();
  const query = `labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}&resourceVersion=0`;
  const path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?${query}`;
  const headers = { accept: 'application/json', authorization: `Bearer ${token}` };
  const answer = await exchange(access.transport, { url: `${access.api}${path}`, method: 'GET', headers }, signal);
  if (answer.status !== 200) {
    throw new MillraceError('BACKEND_REJECTED', `EndpointSlices of ${service}.${namespace}: HTTP ${answer.status}`);
  }
  const wanted = portOf(endpoint.url);
  return slices.parse(JSON.parse(textOf(answer))).items.flatMap(({ endpoints: pods, ports }) => {
    const known = (ports ?? []).flatMap(({ port }) => port ?? []);
    const port = known.find((each) => each === wanted) ?? (known.length === 1 ? known[0] : undefined);
    if (port === undefined) return [];
    return (pods ?? []).flatMap(({ addresses, conditions, zone }) => {
      const terminating = conditions?.terminating === true;
      if (conditions?.ready === false && !terminating) return [];
      return addresses.map((address) =>
        at(endpoint, address, { port, ...(terminating && { draining: true }), ...(zone && { zone }) }),
      );
    });
  });
}
