import { randomUUID } from 'node:crypto';
import { SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import {
  type Client,
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
} from '@a2a-js/sdk/client';

/** JSON of the protocol, which the SDK's objects are compared in. */
export type TaskJson = {
  id: string;
  contextId: string;
  status: { state: string; message?: { parts: PartJson[] } };
  artifacts?: { artifactId: string; name: string; parts: PartJson[] }[];
};
type PartJson = { text?: string; data?: Record<string, unknown>; url?: string; raw?: string; mediaType?: string };

/**
 * The SDK's client, unchanged, of the agent whose card is below this URL. For 0.3 it gets the card without what 0.3 does not know, since it
 * would choose 1.0.
 */
export async function a2aClient(
  base: string,
  { secret, version = '1.0' }: { secret?: string; version?: '1.0' | '0.3' } = {},
): Promise<Client> {
  const fetchImpl: typeof fetch = (url, init) =>
    fetch(url, {
      ...init,
      headers: { ...(init?.headers as object), ...(secret !== undefined && { authorization: `Bearer ${secret}` }) },
    });
  const cardOf: typeof fetch = async (url, init) => {
    const card = (await (await fetchImpl(url, init && { ...init, headers: {} })).json()) as Record<string, unknown>;
    const { supportedInterfaces: _, ...legacy } = card;
    return Response.json(legacy);
  };
  const legacyCompat = { enabled: version === '0.3' };
  const factory = new ClientFactory(
    ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
      transports: [new JsonRpcTransportFactory({ fetchImpl, legacyCompat })],
      cardResolver: new DefaultAgentCardResolver({
        fetchImpl: version === '0.3' ? cardOf : fetchImpl,
        legacyCompat,
      }),
    }),
  );
  return await factory.createFromUrl(base);
}

/** The request with a message of these parts. */
export const messageOf = (
  parts: readonly object[],
  more: object = {},
  configuration: object = {},
): SendMessageRequest =>
  SendMessageRequest.fromJSON({
    message: { messageId: randomUUID(), role: 'ROLE_USER', parts, ...more },
    configuration,
  });

export async function sent(client: Client, ...given: Parameters<typeof messageOf>): Promise<TaskJson> {
  return Task.toJSON((await client.sendMessage(messageOf(...given))) as Task) as TaskJson;
}

export const taskAt = async (client: Client, id: string): Promise<TaskJson> =>
  Task.toJSON(await client.getTask({ tenant: '', id })) as TaskJson;

/** What a stream tells, each as `[kind, …]`: `['answer', 'text', append, last]`, `['state', …]`. */
export async function told(
  stream: AsyncIterable<StreamResponse>,
  each: (json: Record<string, never>) => void = () => undefined,
): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for await (const one of stream) {
    const json = StreamResponse.toJSON(one) as Record<string, never>;
    all.push(json);
    each(json);
  }
  return all;
}

/** The text of an artifact as a client of the protocol puts it together. */
export function textIn(updates: readonly Record<string, unknown>[], artifact = 'answer'): string {
  let text = '';
  for (const { artifactUpdate } of updates) {
    const { append, artifact: part } = (artifactUpdate ?? {}) as {
      append?: boolean;
      artifact?: NonNullable<TaskJson['artifacts']>[number];
    };
    if (part?.artifactId !== artifact) continue;
    text = `${append ? text : ''}${part.parts.map((each) => each.text ?? '').join('')}`;
  }
  return text;
}

/** The states that a stream tells, in order. */
export const statesIn = (updates: readonly Record<string, unknown>[]): string[] =>
  updates.flatMap(({ task, statusUpdate }) => {
    const of = (task ?? statusUpdate) as { status: { state: string } } | undefined;
    return of ? [of.status.state.replace('TASK_STATE_', '')] : [];
  });
