import { checkReadCalls } from '../../activities/connectors/openai/tool-calls.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import type { StageCall, TokenUsage } from '../../pipelines/run/index.js';

/** What a scripted model says to a conversation: a text, or calls of tools. */
export interface Said {
  readonly text?: string;
  readonly calls?: readonly (readonly [name: string, given: JsonObject])[];
  readonly data?: JsonObject;
  readonly usage?: TokenUsage;
  /** Of a server: it rejects the request, in llama.cpp's words, as longer than its context of so many tokens. */
  readonly tooLongFor?: number;
}

export interface ModelRequest {
  /** Without the system message. */
  readonly messages: readonly AgentMessage[];
  /** Names of the tools on offer. */
  readonly tools: readonly string[];
  readonly with: JsonObject;
}

export type Script = (request: ModelRequest) => Said | Promise<Said>;

const scripts = new Map<string, Script>();

/** A model of a test, in place of a server that cannot be told what to say. Its name is unique among the tests of a file. */
export function scripted(name: string, script: Script): string {
  scripts.set(name, script);
  return name;
}

/** What the model of a `chat` call says; wrong tool calls are found as the connector finds them. */
export async function runScript(
  { model, with: options }: StageCall,
  input: JsonObject,
): Promise<{ output: JsonObject; usage?: TokenUsage }> {
  const { history = [], prompt } = input as { history?: AgentMessage[]; prompt?: string };
  const tools = (options.tools ?? []) as unknown as { name: string; schema: JsonObject }[];
  const messages = [...history, ...(prompt === undefined ? [] : [{ role: 'user' as const, content: prompt }])];
  const script = scripts.get(model);
  if (!script) throw new Error(`no script "${model}"`);
  const said = await script({ messages, tools: tools.map(({ name }) => name), with: options });
  const { text = '', calls = [], data, usage } = said;
  const offered = new Map(tools.map(({ name, schema }) => [name, schema]));
  const read = calls.map(([name, given], i) => ({ id: `call-${messages.length}-${i}`, name, arguments: given }));
  const toolCalls = checkReadCalls(read, offered) as unknown as JsonObject[];
  return {
    output: {
      text,
      finish: calls.length > 0 ? 'tools' : 'stop',
      ...(calls.length > 0 && { toolCalls }),
      ...(data && { data }),
    },
    ...(usage && { usage }),
  };
}
