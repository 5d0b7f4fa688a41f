import { z } from 'zod';
import type { StageKind } from './kind.js';

const anything = z.looseObject({});

/** Kinds of calls that an agent makes and no stage is of: the worker carries them out. */
export const CALL_KINDS = {
  /** A tool of an MCP server: its arguments, and its result. */
  mcp: { input: anything, output: z.object({ result: z.json() }), servedBy: 'worker' },
  /** The tools that an MCP server has. */
  'mcp-tools': {
    input: z.object({}),
    output: z.object({
      tools: z.array(z.object({ name: z.string(), description: z.string(), schema: z.record(z.string(), z.json()) })),
    }),
    servedBy: 'worker',
  },
} as const satisfies Record<string, StageKind>;
