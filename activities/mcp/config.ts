import { z } from 'zod';
import { invalidSettings } from '../../pipelines/invalid-setting.js';

/** A server that the worker starts as a child process and calls over its standard input and output. */
const process = z.strictObject({
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  /** In addition to the few variables that are safe to inherit: PATH, HOME and the like. */
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().min(1).optional(),
});
/** A remote server, called by streamable HTTP. */
const remote = z.strictObject({ url: z.url(), headers: z.record(z.string(), z.string()).default({}) });

const serversSchema = z.record(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), z.union([process, remote]));

/**
 * The file of MCP servers: how to reach each, by the name that pipelines use. It may hold secrets; a plan never does.
 */
export type McpConfig = z.output<typeof serversSchema>;
export type McpServerConfig = McpConfig[string];

/** Checks a file of MCP servers. Throws `INVALID_SETTING` naming every bad path; `source` is the file's name. */
export function parseMcpServers(value: unknown, source: string): McpConfig {
  const parsed = serversSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || '(root)', message }));
  throw invalidSettings(fields, source);
}
