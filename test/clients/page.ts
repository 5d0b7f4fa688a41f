import { table } from '../../docs/reference/render.mjs';

/** What a client showed its user, or its error. */
export interface Result {
  /** Its package and version. */
  readonly client: string;
  readonly door: keyof typeof DOORS;
  readonly name: string;
  readonly said?: unknown;
  readonly failure?: string;
}

const DOORS = {
  chat: '`chat/completions`',
  responses: '`responses`',
  messages: '`messages` (Anthropic)',
  a2a: '`a2a`',
  mcp: '`mcp`',
} as const;

const HEAD = `# Clients of agents

Which agent clients and frameworks work with Millrace. \`npm run test:clients\` calls pipelines through unmodified clients in these versions, on real servers with a scripted model;
\`-- --write\` writes this page from the results. [Use it from your framework](../guides/frameworks.md) has a program for each. The columns name these cases:

- _tools_: the client executes two calls that the model makes at once.
- _agent_: the pipeline is an agent that executes its calls itself.
- _another process_: one process starts a run in the background, another one waits for it.
- _connection lost_: a client continues to follow a background run with \`starting_after\`, or an [A2A](a2a.md) task with \`SubscribeToTask\`.
- _approval_: a call waits for a person, who decides through \`GET /v1/approvals\` or by a message to the task.
`;

/** The page of the documentation that the results make. */
export function pageOf(results: readonly Result[]): string {
  const rows = new Map<string, Result[]>();
  for (const result of results) {
    const key = `${result.client} ${result.door}`;
    rows.set(key, [...(rows.get(key) ?? []), result]);
  }
  const cells = [...rows.values()].map((cases) => {
    const [{ client, door } = { client: '', door: 'chat' as const }] = cases;
    const works = cases.filter(({ failure }) => failure === undefined).map(({ name }) => name);
    const fails = cases.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name}: ${failure}`]));
    return [client, DOORS[door], works.join(' · '), fails.join(' · ') || '–'];
  });
  return `${HEAD}\n${table(['client', 'endpoint', 'works', 'does not'], cells)}\n`;
}
