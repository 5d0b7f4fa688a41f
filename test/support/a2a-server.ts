import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentCard, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server';

/** What an agent does with the text of a message. */
export type Does = (task: AgentTask, text: string) => Promise<void>;

/** A task of the SDK's server. */
export class AgentTask {
  readonly #bus: ExecutionEventBus;
  readonly #of: { readonly taskId: string; readonly contextId: string };

  constructor(bus: ExecutionEventBus, of: { readonly taskId: string; readonly contextId: string }) {
    this.#bus = bus;
    this.#of = of;
  }

  begins(): void {
    const { taskId: id, contextId } = this.#of;
    const status = { state: 'TASK_STATE_WORKING', timestamp: new Date().toISOString() };
    this.#bus.publish(AgentEvent.task(Task.fromJSON({ id, contextId, status })));
  }

  says(state: string, text?: string): void {
    const message = { messageId: randomUUID(), role: 'ROLE_AGENT', parts: [{ text }], ...this.#of };
    const status = { state: `TASK_STATE_${state}`, timestamp: new Date().toISOString(), ...(text && { message }) };
    this.#bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({ ...this.#of, status })));
  }

  writes(parts: readonly object[], append = false): void {
    const artifact = { artifactId: 'answer', name: 'answer', parts };
    this.#bus.publish(
      AgentEvent.artifactUpdate(
        TaskArtifactUpdateEvent.fromJSON({ ...this.#of, artifact, append, lastChunk: !append }),
      ),
    );
  }
}

/** The SDK's server with one agent, on a port of its own. */
export async function a2aServer(does: Does, { streaming = true } = {}) {
  const received: { method: string; params: Record<string, never> }[] = [];
  let cancelled = 0;
  const executor: AgentExecutor = {
    async execute({ taskId, contextId, userMessage }, bus) {
      const text = userMessage.parts.map(({ content }) => (content?.$case === 'text' ? content.value : '')).join('');
      const task = new AgentTask(bus, { taskId, contextId });
      task.begins();
      await does(task, text);
      bus.finished();
    },
    async cancelTask() {
      cancelled += 1;
    },
  };
  let handler: JsonRpcTransportHandler;
  let card: unknown;
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET')
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify(card));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as (typeof received)[number];
    received.push(body);
    const result = await handler.handle(body, new ServerCallContext({ requestedVersion: '1.0' }));
    if (!(Symbol.asyncIterator in result))
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify(result));
    // A client that has gone does not end the task.
    response.on('error', () => undefined).setHeader('content-type', 'text/event-stream');
    for await (const event of result) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end();
  }
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  card = {
    ...{ name: 'agent', description: 'an agent', version: '1', skills: [] },
    defaultInputModes: ['text/plain', 'application/json'],
    defaultOutputModes: ['text/plain', 'application/json'],
    supportedInterfaces: [{ url: `${url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming },
  };
  handler = new JsonRpcTransportHandler(
    new DefaultRequestHandler(AgentCard.fromJSON(card), new InMemoryTaskStore(), executor),
  );
  return {
    url,
    received,
    methods: () => received.map(({ method }) => method),
    cancels: () => cancelled,
    /** Drops all connections: streams break off. */
    cut: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
