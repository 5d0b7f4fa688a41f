import type { Connector } from './connector.js';
import { httpConnector } from './http/index.js';
import { oipRestConnector } from './oip-rest/index.js';
import { type OpenAiOptions, openAiConnector } from './openai/index.js';
import { tritonConnector } from './triton/index.js';

export interface ConnectorOptions {
  readonly openai: OpenAiOptions;
}

const NO_KEYS: ConnectorOptions = { openai: { keyOf: () => undefined } };

/** Every connector by name. To add one, add a folder here and a line below. */
export function createConnectors({ openai } = NO_KEYS): ReadonlyMap<string, Connector> {
  const connectors = [tritonConnector(), oipRestConnector(), openAiConnector(openai), httpConnector()];
  return new Map(connectors.map((connector) => [connector.name, connector]));
}

export type * from './connector.js';
