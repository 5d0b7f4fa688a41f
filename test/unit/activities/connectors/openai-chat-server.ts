import { afterEach, beforeEach, expect } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { chat as chatStage } from '../../../../pipelines/stages/index.js';
import { invoke, SimulatedServer } from './openai-server.js';

export const planned = (options: Omit<Parameters<typeof chatStage>[0], 'model'>) =>
  chatStage({ model: 'm', ...options }).with;

export const city = z.object({ city: z.string() });
export const TOOLS = planned({
  tools: [
    { name: 'weather', description: 'The weather in a city', input: city },
    { name: 'time', description: 'The time in a city', input: city },
  ],
});
export const ANY_ID = expect.stringMatching(/^\S+$/);

/** A simulated server for the tests of a file, and a backend of it. */
export function chatServer() {
  const at = { server: undefined as unknown as SimulatedServer, backend: undefined as unknown as Backend };
  beforeEach(async () => {
    at.server = await SimulatedServer.start();
    at.backend = at.server.connect();
  });
  afterEach(() => at.server.stop());
  const chat = (options: JsonObject = {}, input: JsonObject = { prompt: 'Capital of France?' }) =>
    invoke(at.backend, { kind: 'chat', with: options, input });
  const sent = () => at.server.received[0]?.body;
  return Object.assign(at, { chat, sent });
}
