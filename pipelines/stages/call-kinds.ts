import { z } from 'zod';
import { chatMessage } from './chat.js';
import type { StageKind } from './kind.js';
import { TRAITS } from './traits.js';

const anything = z.looseObject({});
const question = z.object({
  message: z.string(),
  schema: z.record(z.string(), z.json()).optional(),
  url: z.string().optional(),
});
const asks = z.object({
  questions: z.record(z.string(), question),
  goesOn: z.record(z.string(), z.json()),
  safe: z.literal(true).optional(),
});
const grant = z.object({ by: z.string(), actor: z.string().optional(), at: z.string() });

/** Kinds of calls that only agents make; no stage has them. The worker executes them. */
export const CALL_KINDS = {
  /** A call of an MCP server's tool: its arguments, and its result or what the server asks before (`AskedQuestions`). */
  mcp: { ...TRAITS.mcp, input: anything, output: z.object({ result: z.json().optional(), asks: asks.optional() }) },
  /** Runs code that the model has written. What the code does wrong is its `error`: the call itself has succeeded. */
  sandbox: {
    ...TRAITS.sandbox,
    input: z.object({
      code: z.string(),
      files: z.array(z.object({ name: z.string(), uri: z.string() })).optional(),
    }),
    output: z.object({
      result: z.json().optional(),
      stdout: z.string().default(''),
      files: z.array(z.object({ name: z.string(), file: z.looseObject({ uri: z.string() }) })).optional(),
      error: z.string().optional(),
    }),
  },
  /** Lists the tools of an MCP server. */
  'mcp-tools': {
    ...TRAITS['mcp-tools'],
    input: z.object({}),
    output: z.object({
      tools: z.array(
        z.object({
          name: z.string(),
          /** The name for models, where the one made of the server’s is that of another tool. */
          as: z.string().optional(),
          description: z.string(),
          schema: z.record(z.string(), z.json()),
        }),
      ),
    }),
  },
  /** Reads a conversation; with `part` appends to it. `grant` keeps an approval with it, `granted` reads that of a tool. */
  session: {
    ...TRAITS.session,
    input: z.object({
      session: z.string(),
      of: z.string(),
      part: z.json().optional(),
      grant: grant.extend({ of: z.string() }).optional(),
      granted: z.string().optional(),
    }),
    output: z.object({
      summary: z.string().optional(),
      messages: z.array(chatMessage),
      parts: z.int(),
      wholes: z.record(z.string(), z.looseObject({ uri: z.string() })).optional(),
      begun: z.string().optional(),
      grant: grant.optional(),
    }),
  },
  /** Reads what is remembered of a user; with `remember` adds a fact, and with `forget` removes one by its number. */
  memory: {
    ...TRAITS.memory,
    input: z.object({
      user: z.string(),
      of: z.string(),
      remember: z.string().optional(),
      forget: z.int().optional(),
    }),
    output: z.object({
      facts: z.array(z.object({ id: z.int(), text: z.string() })).optional(),
      text: z.string().optional(),
    }),
  },
  /** Stores long results of tools as text artifacts (`put`), and returns a part of one (`read`). */
  result: {
    ...TRAITS.result,
    input: z.object({
      put: z.array(z.string()).optional(),
      read: z.looseObject({ uri: z.string() }).optional(),
      from: z.int().min(0).optional(),
      find: z.string().optional(),
      characters: z.int().min(1).optional(),
    }),
    output: z.object({
      stored: z
        .array(z.object({ artifact: z.looseObject({ uri: z.string() }), characters: z.int(), beginning: z.string() }))
        .optional(),
      text: z.string().optional(),
    }),
  },
  /** Finds the tools whose descriptions are nearest to a text. */
  'tool-search': {
    ...TRAITS['tool-search'],
    input: z.object({ query: z.string(), tools: z.array(z.object({ name: z.string(), description: z.string() })) }),
    output: z.object({ names: z.array(z.string()) }),
  },
} as const satisfies Record<string, StageKind>;
