import { z } from 'zod';
import { extraSchema } from '../../../pipelines/stages/index.js';

/** Server software whose own members of a request are known. */
export const SOFTWARE = ['vllm', 'sglang', 'llama.cpp', 'other'] as const;
export type ServerSoftware = (typeof SOFTWARE)[number];

/** `options` of a pool of this connector. */
export const optionsSchema = z.strictObject({
  /** Further members of each request's body, as the server names them. A stage's own `extra` replaces them by name. */
  extra: extraSchema.optional(),
  /** The server's software, where its list of models does not state it, as behind some routers. */
  server: z.enum(SOFTWARE).optional(),
  /** Send the stage's priority as the request's: the server must have priority scheduling switched on. */
  priority: z.boolean().default(false),
  /** `tenant`: tenants share no cached prefix, at servers that can keep them apart. `off`: they do. */
  cacheSalt: z.enum(['tenant', 'off']).default('tenant'),
  /** The member of an assistant message in which the model wants its reasoning back. Absent: it is not sent. */
  reasoningInHistory: z.enum(['reasoning', 'reasoning_content']).optional(),
});

export type OpenAiOptions = z.output<typeof optionsSchema>;
